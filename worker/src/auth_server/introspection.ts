/** Whether a grant still stands: token introspection (RFC 7662) at the authorization server, on every request.
 *
 * Nothing is kept. Revocation has to be instant, and a cache is a promise to be late. */

import { say } from "../catalog";
import { readApprovals } from "../policy/approval";
import { NO_STANDING, unknown, type Standing, type TokenFacts } from "../policy/facts";
import type { Settings } from "../settings";
import { carried, spanned, type Spanned } from "../tracing";
import { text } from "../wire/values";
import { address, askBounded, AuthServerUnavailable, jsonObject } from "./asking";
import { forget, metadataOf } from "./metadata";

const REVOKED_KINDS = ["session", "agent", "user", "token"] as const;

const WRONG_SECRETS =
  "set INTROSPECTION_CLIENT_ID and INTROSPECTION_CLIENT_SECRET as the authorization server knows them: npx wrangler secret put NAME";
const NO_USE =
  "it has no introspection (RFC 7662) for this shop: take both INTROSPECTION_ secrets out, npx wrangler secret delete NAME";

/**
 * What the authorization server says of a token. Never throws for what the authorization server does: an answer that
 * is not a clear yes or no is not known. Without credentials to ask with, the token's own claims are what there is.
 */
export async function askStanding(
  token: string,
  facts: TokenFacts,
  settings: Settings,
  traceparent: string | null = null,
): Promise<Standing> {
  if (settings.introspection === null) {
    const { username, name, roles } = facts;
    return { ...NO_STANDING, known: true, active: true, username, name, roles };
  }
  try {
    return judge(await introspect(token, settings.introspection, settings, traceparent), facts);
  } catch (error) {
    if (error instanceof AuthServerUnavailable) return unknown(error.message, error.fix !== null);
    throw error;
  }
}

const BASIC = "client_secret_basic";
const POST = "client_secret_post";

/** By which method an authorization server that does not tell its methods has known this shop. */
const taken = new Map<string, string>();

/** How to say who this shop is (RFC 6749 section 2.3.1), the likeliest first. WorkOS shows the credentials in the
 * body, and its metadata does not say. */
function methodsFor(issuer: string, told: string[] | null): string[] {
  const known = [BASIC, POST].filter((method) => told === null || told.includes(method));
  const last = taken.get(issuer);
  return last === undefined || told !== null ? known : [last, ...known.filter((method) => method !== last)];
}

/**
 * Ask about any text as a token; gives the response (RFC 7662 section 2.2).
 *
 * @throws AuthServerUnavailable it cannot be asked, or its answer is none.
 */
export async function introspect(
  token: string,
  { id, secret }: { id: string; secret: string },
  { issuer, answerTimeout, collector }: Settings,
  traceparent: string | null = null,
): Promise<Record<string, unknown>> {
  const { introspectionEndpoint, introspectionMethods } = await metadataOf(issuer, answerTimeout);
  if (introspectionEndpoint === null) {
    forget(issuer);
    throw new AuthServerUnavailable(say("no_endpoint", { name: "introspection_endpoint" }), NO_USE);
  }
  const methods = methodsFor(issuer, introspectionMethods);
  if (methods.length === 0)
    throw new AuthServerUnavailable("it takes this shop's credentials in no way known here", NO_USE);
  let response: Response | null = null;
  for (const method of methods) {
    // The form names the client beside the header, too: MCP's Python SDK looks it up by that.
    const body = new URLSearchParams({ token, token_type_hint: "access_token", client_id: id });
    const headers: Record<string, string> = { accept: "application/json" };
    if (method === BASIC) headers["authorization"] = basic(id, secret);
    else body.set("client_secret", secret);
    response = await spanned(collector, asking(introspectionEndpoint), async (told) => {
      // Where no span of ours stands between it is passed on as it came (W3C Trace Context section 4).
      const parent = carried(traceparent);
      if (parent !== null) headers["traceparent"] = parent;
      const heard = await askBounded(issuer, introspectionEndpoint, { method: "POST", headers, body }, answerTimeout);
      told({
        "http.response.status_code": heard.status,
        "error.type": heard.status >= 400 ? String(heard.status) : null,
      });
      return heard;
    });
    if (response.status === 401 || response.status === 403) continue;
    taken.set(issuer, method);
    break;
  }
  if (response === null || response.status === 401 || response.status === 403) {
    throw new AuthServerUnavailable(say("unknown_shop"), WRONG_SECRETS);
  }
  const answer = response.status === 200 ? await jsonObject(response) : null;
  if (answer === null || typeof answer["active"] !== "boolean") {
    forget(issuer);
    throw new AuthServerUnavailable(say("nonsense"));
  }
  return answer;
}

/** The span of a question: it has the path where that is the demo's own or AuthKit's; elsewhere it may be anything. */
function asking(endpoint: string): Spanned {
  const path = ["/oauth2/introspect", "/oauth2/introspection"].find((one) => endpoint.endsWith(one));
  const attributes = { "http.request.method": "POST", ...(path === undefined ? {} : { "url.template": path }) };
  return { name: path === undefined ? "POST" : `POST ${path}`, kind: "client", attributes };
}

/** An introspection response (RFC 7662 section 2.2) as standing. */
export function judge(answer: Record<string, unknown>, facts: TokenFacts): Standing {
  const username = text(answer["username"]) ?? address(answer);
  const base = { ...NO_STANDING, known: true, username, name: text(answer["name"]) };
  if (answer["active"] !== true) {
    const revoked = REVOKED_KINDS.find((kind) => kind === answer["revoked"]) ?? null;
    return { ...base, active: false, revoked, name: null, roles: [] };
  }
  for (const [claim, expected] of [
    ["sub", facts.user],
    ["jti", facts.tokenId],
  ] as const) {
    const said = answer[claim] ?? null;
    if (said !== null && said !== expected) return unknown(say("other_token"));
  }
  const roles = Array.isArray(answer["roles"]) ? answer["roles"].filter((role) => typeof role === "string") : [];
  const approvals = readApprovals(answer["authorization_details"]);
  return { ...base, active: true, revoked: null, roles, approvals };
}

/** HTTP Basic credentials of an OAuth client: each part form-encoded first (RFC 6749 section 2.3.1). */
export function basic(id: string, secret: string): string {
  const form = (part: string) =>
    encodeURIComponent(part).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16)}`);
  return `Basic ${btoa(`${form(id)}:${form(secret)}`)}`;
}
