/** Is this JWT an access token? The same policy as the agent's and the local shop's (`deputize/access_tokens.py`), held to
 * the same cases (`test/token_types.json`). */

import { fill, TOKEN_TYPES } from "../catalog";
import { short } from "../evidence";
import { urlOf } from "../wire/values";

/** A header without `typ`, which RFC 7515 section 4.1.9 leaves to the application. */
export const ABSENT = "absent";

/** No type that a header could name (a media type has no space): what its own claims tell for an ID token. */
export const ID_TOKEN = "ID token";

/** The types of AuthKit's access tokens, which have no `typ`. */
export const AUTHKIT: readonly string[] = TOKEN_TYPES.authkit;

/** What a JWT is, by its header and where that says nothing by its claims: the `typ` as it is written, `ABSENT`, or
 * `ID_TOKEN`. */
export function typeOf(header: Record<string, unknown>, claims: Record<string, unknown>): string {
  if (!Object.hasOwn(header, "typ")) {
    return TOKEN_TYPES.loginClaims.some((name) => Object.hasOwn(claims, name)) ? ID_TOKEN : ABSENT;
  }
  const told = header["typ"];
  // What is no text, or reads like one of our own words, is shown as JSON and is no type that anybody accepts.
  const plain = typeof told === "string" && ![ABSENT, normal(ID_TOKEN)].includes(normal(told));
  return plain ? told : JSON.stringify(told);
}

/** A type as it is compared: media types have no case, and `application/` may be left out (RFC 7515, 4.1.9). */
export function normal(typ: string): string {
  return typ
    .trim()
    .toLowerCase()
    .replace(/^application\//, "");
}

/** Whether this issuer is AuthKit, by its host. */
export function isAuthKit(issuer: string): boolean {
  const host = urlOf(issuer)?.hostname ?? "";
  return TOKEN_TYPES.authkitHosts.some((known) => host === known || host.endsWith(`.${known}`));
}

/** The types of an issuer's access tokens, where nothing else is configured.
 *
 * @param session the token's `sid`. */
export function accepted(issuer: string, session: string | null): readonly string[] {
  return isAuthKit(issuer) || (session ?? "").startsWith(TOKEN_TYPES.authkitConsent) ? AUTHKIT : TOKEN_TYPES.rfc9068;
}

/** Why a token of this kind opens nothing where these types are accepted; null where it is an access token. */
export function objection(kind: string, types: readonly string[]): string | null {
  if (kind !== ID_TOKEN && types.includes(normal(kind))) return null;
  const { id_token, absent, other } = TOKEN_TYPES.objections;
  if (kind === ID_TOKEN) return id_token;
  return kind === ABSENT ? absent : fill(other, { type: short(kind) });
}
