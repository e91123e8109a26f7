/** Under which names the shop may be called: a foreign `Host` or `Origin` is refused on every path, since a page in a
 * human's browser may have its own name point here (DNS rebinding; MCP 2026-07-28, transports, security). */

import { plainError, type Answer } from "./answer";
import { LOOPBACK } from "./values";

/** Why a request is refused for its names, or null.
 *
 * Where BASE_URL is set, that is the name, and on loopback its other spellings. Where it is not, the platform has
 * routed the request here by its name, which holds for https only: plain http is for loopback. */
export function refuseForeign(request: Request, base: string | null): Answer | null {
  const asked = new URL(request.url);
  const own = base === null ? ownOf(asked) : originsOf(new URL(base));
  if (!own.includes(asked.origin)) {
    return plainError(421, "invalid_request", `this server is not ${asked.host}`);
  }
  const origin = request.headers.get("origin");
  if (origin !== null && !own.includes(origin)) {
    return plainError(403, "invalid_request", `requests from pages of ${origin} are not served`);
  }
  return null;
}

function ownOf(asked: URL): string[] {
  return asked.protocol === "https:" || LOOPBACK.includes(asked.hostname) ? originsOf(asked) : [];
}

/** A resource identifier by every name that is this one's: on loopback each spelling of this machine's name is the same
 * door. */
export function spellings(resource: string): string[] {
  const url = new URL(resource);
  return originsOf(url).map((origin) => `${origin}${url.pathname}`);
}

/** The origins that are this one: itself, and on loopback the other spellings of this machine's name. */
function originsOf(url: URL): string[] {
  if (!LOOPBACK.includes(url.hostname)) return [url.origin];
  return LOOPBACK.map((name) => `${url.protocol}//${name}${url.port === "" ? "" : `:${url.port}`}`);
}
