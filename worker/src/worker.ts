/** The shop on Cloudflare Workers: which request goes where. */

import { EVENTS_PATH } from "./auth_server/events";
import type { Env } from "./env";
import { readSettings, SettingsWrong, type Settings } from "./settings";
import { administer, setDoor } from "./routes/admin";
import { adminMetadata, doorMetadata, health, unsettled, unsettledWelcome, welcome } from "./routes/about";
import { AUDIT_KEYS, auditKeys, readAudit, readCheckpoints, readDispatch, readLog } from "./routes/audit";
import { enter } from "./routes/door";
import { takeEvent } from "./routes/events";
import { addressOf, unreachable } from "./routes/edge";
import { plainError, rpcError, toResponse, type Answer } from "./wire/answer";
import { TOO_MANY } from "./wire/message";
import { refuseForeign } from "./wire/origin";
import { sendSpans, spanned } from "./tracing";

export { StockRoom } from "./ledger/stock";
export { UserLedger } from "./user_ledger";

const METADATA = "/.well-known/oauth-protected-resource";

/** Seconds of the window of the rate-limit binding in front; see `wrangler.jsonc`. */
const FRONT_SECONDS = 10;

export default {
  async fetch(request, env) {
    try {
      return toResponse(await answer(request, env));
    } catch (error) {
      if (error instanceof SettingsWrong) return toResponse(notSetUp(request, env, error.message));
      console.error("no answer from a ledger", error);
      return toResponse(unreachable());
    }
  },
} satisfies ExportedHandler<Env>;

async function answer(request: Request, env: Env): Promise<Answer> {
  const { origin, pathname } = new URL(request.url);
  const settings = readSettings(env, origin);
  const foreign = refuseForeign(request, env.BASE_URL ? settings.base : null);
  if (foreign !== null) return foreign;
  const flooded = await refuseFlood(request, env);
  if (flooded !== null) return flooded;
  const { collector } = settings;
  const within = request.headers.get("traceparent");
  if (collector === null || (within === null && UPKEEP.has(pathname))) return route(request, env, settings);
  const known = ROUTES.has(pathname);
  const attributes = { "http.request.method": request.method, ...(known ? { "http.route": pathname } : {}) };
  const name = known ? `${request.method} ${pathname}` : request.method;
  try {
    return await spanned(collector, { name, kind: "server", within, attributes }, async (told) => {
      const found = await route(request, env, settings);
      told({ "http.response.status_code": found.status });
      // Of 4xx the one who called is at fault.
      if (found.status >= 500) told({ "error.type": String(found.status) });
      return found;
    });
  } finally {
    sendSpans(collector);
  }
}

/** What servers ask each other by themselves: nobody's trace, unless it is part of one. */
const UPKEEP = new Set(["/health", EVENTS_PATH]);
/** The paths that a span has: any other is of the caller's choosing. */
const ROUTES = new Set([
  ...[
    "/",
    "/mcp",
    "/open/mcp",
    "/health",
    "/audit",
    "/audit/checkpoint",
    "/audit/dispatch",
    "/audit/log",
    AUDIT_KEYS,
    EVENTS_PATH,
  ],
  ...["/admin/revoke", "/admin/reinstate", "/admin/door", METADATA, `${METADATA}/mcp`, `${METADATA}/admin`],
]);

function route(request: Request, env: Env, settings: Settings): Promise<Answer> | Answer {
  const { origin, pathname } = new URL(request.url);
  switch (pathname) {
    case "/mcp":
      return enter("protected", request, env, settings, origin);
    case "/open/mcp":
      return enter("open", request, env, settings, origin);
    case "/admin/revoke":
    case "/admin/reinstate":
      if (request.method !== "POST") return otherMethod("POST");
      return administer(pathname === "/admin/revoke" ? "revoke" : "reinstate", request, env, settings, origin);
    case "/admin/door":
      if (request.method !== "POST") return otherMethod("POST");
      return setDoor(request, env, settings, origin);
    case EVENTS_PATH:
      if (request.method !== "POST") return otherMethod("POST");
      return takeEvent(request, env, settings);
    default:
      return read(pathname, request, env, settings, origin);
  }
}

async function read(path: string, request: Request, env: Env, settings: Settings, origin: string): Promise<Answer> {
  const routes: Record<string, () => Answer | Promise<Answer>> = {
    "/": () => welcome(settings),
    "/health": () => health(request, env, settings),
    "/audit": () => readAudit(request, env, settings, origin),
    "/audit/checkpoint": () => readCheckpoints(request, env, settings, origin),
    "/audit/dispatch": () => readDispatch(request, env, settings, origin),
    "/audit/log": () => readLog(request, env, settings, origin),
    [AUDIT_KEYS]: () => auditKeys(env),
    [METADATA]: () => doorMetadata(settings),
    [`${METADATA}/mcp`]: () => doorMetadata(settings),
    [`${METADATA}/admin`]: () => adminMetadata(settings),
  };
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return plainError(404, "not_found", "there is nothing at this path");
  if (request.method !== "GET" && request.method !== "HEAD") return otherMethod("GET, HEAD");
  const found = await route();
  return request.method === "HEAD" ? { ...found, body: null } : found;
}

/** Where the settings are wrong nothing is served, and the pages for the one who runs the shop say which and why. */
function notSetUp(request: Request, env: Env, problem: string): Answer {
  const { pathname } = new URL(request.url);
  if (pathname === "/") return unsettledWelcome(problem);
  if (pathname === "/health") return unsettled(env, problem);
  return plainError(500, "server_error", problem);
}

function otherMethod(allowed: string): Answer {
  return plainError(405, "invalid_request", `this path takes ${allowed}`, [["allow", allowed]]);
}

/** The coarse guard: so many requests from one address, counted in each of the platform's locations by itself. */
async function refuseFlood(request: Request, env: Env): Promise<Answer | null> {
  if (env.FRONT === undefined) return null;
  const { success } = await env.FRONT.limit({ key: addressOf(request) });
  if (success) return null;
  const message = `Too many requests from this address. Wait ${FRONT_SECONDS} s.`;
  return rpcError(429, null, { code: TOO_MANY, message }, [["retry-after", String(FRONT_SECONDS)]]);
}
