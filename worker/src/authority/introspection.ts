/** Whether granted authority still stands: token introspection (RFC 7662) at the authority, on every request.
 *
 * Nothing is kept. Revocation has to be instant, and a cache is a promise to be late. */

import { unknown, type Standing, type TokenFacts } from "../policy/facts";
import type { Settings } from "../settings";
import { askBounded, AuthorityUnknown, jsonObject, text } from "./asking";
import { forget, metadataOf } from "./metadata";

const REVOKED_KINDS = ["session", "agent", "user", "token"] as const;

/**
 * What the authority says of a token. Never throws for what the authority does: an answer that is not a clear yes or
 * no is not known. Without credentials to ask with, the token's own claims are what there is.
 */
export async function askStanding(token: string, facts: TokenFacts, settings: Settings): Promise<Standing> {
  if (settings.introspection === null) {
    const { username, name, roles } = facts;
    return { known: true, active: true, revoked: null, username, name, roles, banned: false, detail: "" };
  }
  let response: Response;
  try {
    const { introspectionEndpoint } = await metadataOf(settings.authority, settings.authorityTimeout);
    if (introspectionEndpoint === null) return unknown("its metadata has no introspection_endpoint");
    const { id, secret } = settings.introspection;
    const init = {
      method: "POST",
      headers: { authorization: basic(id, secret), accept: "application/json" },
      body: new URLSearchParams({ token, token_type_hint: "access_token" }),
    };
    response = await askBounded(introspectionEndpoint, init, settings.authorityTimeout);
  } catch (error) {
    if (error instanceof AuthorityUnknown) return unknown(error.message);
    throw error;
  }
  if (response.status === 401 || response.status === 403) return unknown("it does not know this shop");
  const answer = response.status === 200 ? await jsonObject(response) : null;
  if (answer === null || typeof answer["active"] !== "boolean") {
    forget(settings.authority);
    return unknown("its answer makes no sense");
  }
  return judge(answer, facts);
}

/** An introspection response (RFC 7662 section 2.2) as standing. */
export function judge(answer: Record<string, unknown>, facts: TokenFacts): Standing {
  const username = text(answer["username"]) ?? text(answer["email"]);
  const base = { known: true, username, name: text(answer["name"]), banned: false, detail: "" };
  if (answer["active"] !== true) {
    const revoked = REVOKED_KINDS.find((kind) => kind === answer["revoked"]) ?? null;
    return { ...base, active: false, revoked, name: null, roles: [] };
  }
  for (const [claim, expected] of [
    ["sub", facts.user],
    ["jti", facts.tokenId],
  ] as const) {
    const said = answer[claim] ?? null;
    if (said !== null && said !== expected) return unknown("its answer is about another token");
  }
  const roles = Array.isArray(answer["roles"]) ? answer["roles"].filter((role) => typeof role === "string") : [];
  return { ...base, active: true, revoked: null, roles };
}

/** HTTP Basic credentials of an OAuth client: each part form-encoded first (RFC 6749 section 2.3.1). */
export function basic(id: string, secret: string): string {
  const form = (part: string) =>
    encodeURIComponent(part).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16)}`);
  return `Basic ${btoa(`${form(id)}:${form(secret)}`)}`;
}
