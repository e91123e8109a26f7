/** An agent on Cloudflare: which request goes where. All of it is its owner's, but for the way back from the consent. */

import { getAgentByName } from "agents";
import { CHALLENGE, isForeign, isOwner } from "./owner";
import { page } from "./page";
import { SettingsWrong, readSettings, type Env } from "./settings";
import { CALLBACK } from "./shop";

export { Shopper } from "./shopper";

export default {
  async fetch(request, env) {
    try {
      return await answer(request, env);
    } catch (error) {
      if (error instanceof SettingsWrong) return said(500, { error: "not_set_up", error_description: error.message });
      console.error("no answer", error);
      return said(503, {
        error: "unavailable",
        error_description: "The agent does not answer at the moment. Try again.",
      });
    }
  },
} satisfies ExportedHandler<Env>;

async function answer(request: Request, env: Env): Promise<Response> {
  const { origin, pathname, searchParams } = new URL(request.url);
  const { method } = request;
  if (pathname === "/health" && method === "GET") return said(200, health(env));
  const settings = readSettings(env);
  // One deployment, one owner, one agent.
  const agent = () => getAgentByName(env.SHOPPER, "shopper");
  // The human who consents need not be its owner: the SDK's `state`, good once, says whose answer this is.
  // The object is told its address and no header: to an upgrade to a WebSocket the SDK would say yes, and let whoever came
  // so set the object's state.
  if (pathname === CALLBACK && method === "GET")
    return (await agent()).fetch(new Request(request.url, { redirect: "manual" }));
  if (!(await isOwner(request, settings.ownerSecret))) {
    const body = {
      error: "unauthorized",
      error_description: "Sign in as its owner: any name, and OWNER_SECRET as the password.",
    };
    return said(401, body, { "www-authenticate": CHALLENGE });
  }
  if (method === "GET" && (pathname === "/" || pathname === "/status")) {
    const status = await (await agent()).status();
    return pathname === "/status" ? said(200, status) : html(page(status));
  }
  if (method !== "POST")
    return said(404, { error: "not_found", error_description: "GET / and /status, POST /start, /now and /stop." });
  if (isForeign(request))
    return said(403, { error: "foreign", error_description: "A page of somebody else's sent this." });
  const stub = await agent();
  let authorize: string | null = null;
  if (pathname === "/start") {
    const key = startKey(request);
    if (key === null)
      return said(400, {
        error: "bad_key",
        error_description: "An Idempotency-Key has 1 to 150 visible ASCII characters.",
      });
    authorize = await stub.begin(origin, key);
  } else if (pathname === "/now") await stub.hurry(secondsOf(searchParams.get("after"), settings.everySeconds));
  else if (pathname === "/stop") await stub.stop();
  else return said(404, { error: "not_found", error_description: "POST /start, /now or /stop." });
  // A browser goes on to the consent, or back to the page; a program gets what it would see at /status.
  if (request.headers.get("accept")?.includes("text/html")) return Response.redirect(authorize ?? `${origin}/`, 303);
  return said(200, await stub.status());
}

/** In how many seconds the next purchase is to be due: no later than it would be. */
function secondsOf(text: string | null, most: number): number {
  return text !== null && /^\d{1,9}$/.test(text) ? Math.min(Number(text), most) : 0;
}

/**
 * What names a start: the owner's Idempotency-Key (draft-ietf-httpapi-idempotency-key-header), else a new name; null for a
 * key that cannot be kept, since another one in its place might buy again.
 */
function startKey(request: Request): string | null {
  const given = request.headers.get("idempotency-key");
  if (given === null) return crypto.randomUUID();
  const bare = given.replaceAll(/^"|"$/g, "");
  return /^[!-~]{1,150}$/.test(bare) ? bare : null;
}

/** For everybody: whether it is set up, and for which shop. */
function health(env: Env): { agent: string; shop: string | null; problem: string | null } {
  try {
    return { agent: "shopper", shop: readSettings(env).shop, problem: null };
  } catch (error) {
    return { agent: "shopper", shop: null, problem: error instanceof Error ? error.message : String(error) };
  }
}

function said(status: number, body: unknown, more: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers: { "cache-control": "no-store", ...more } });
}

function html(body: string): Response {
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    // Not `no-referrer`: with that a browser hides the origin of the page's own buttons, too (`Origin: null`).
    "referrer-policy": "same-origin",
  };
  return new Response(body, { headers });
}
