/** Is this JWT an access token? The same policy as the agent's and the local shop's (`demo/access_tokens.py`), held to
 * the same cases (`test/token_types.json`). */

import { short } from "../evidence";
import { urlOf } from "../wire/values";

/** A header without `typ`, which RFC 7515 section 4.1.9 leaves to the application. */
export const ABSENT = "absent";

/** No type that a header could name (a media type has no space): what its own claims tell for an ID token. */
export const ID_TOKEN = "ID token";

/** RFC 9068 section 2.1, where an access token says that it is one. */
const RFC_9068 = ["at+jwt"];

/** AuthKit's access tokens have a header of `alg` and `kid` alone: the one printed at
 * workos.com/docs/reference/workos-connect/token, "Access token". */
export const AUTHKIT = [...RFC_9068, ABSENT];

/** What `sid` begins with in AuthKit's access tokens (the same page, "Decoded access token"), at a custom domain too. */
const AUTHKIT_CONSENT = "app_consent_";

/** Claims of ID tokens alone (OpenID Connect Core 1.0 sections 2, 3.1.3.6 and 3.3.2.11). AuthKit requires a `nonce` of
 * each login (workos.com/docs/reference/workos-connect/authorize), so its ID tokens have one. */
const LOGIN_CLAIMS = ["nonce", "at_hash", "c_hash"];

/** What a JWT is, by its header and where that says nothing by its claims: the `typ` as it is written, `ABSENT`, or
 * `ID_TOKEN`. */
export function typeOf(header: Record<string, unknown>, claims: Record<string, unknown>): string {
  if (!Object.hasOwn(header, "typ")) {
    return LOGIN_CLAIMS.some((name) => Object.hasOwn(claims, name)) ? ID_TOKEN : ABSENT;
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
  return ["authkit.app", "workos.com"].some((known) => host === known || host.endsWith(`.${known}`));
}

/** The types of an issuer's access tokens, where nothing else is configured.
 *
 * @param session the token's `sid`. */
export function accepted(issuer: string, session: string | null): string[] {
  return isAuthKit(issuer) || (session ?? "").startsWith(AUTHKIT_CONSENT) ? AUTHKIT : RFC_9068;
}

/** Why a token of this kind opens nothing where these types are accepted; null where it is an access token. */
export function objection(kind: string, types: string[]): string | null {
  if (kind !== ID_TOKEN && types.includes(normal(kind))) return null;
  if (kind === ID_TOKEN) return "This is an ID token: it says who logged in, and opens nothing.";
  if (kind === ABSENT) {
    return "The token does not say that it is an access token: it has no `typ` (RFC 9068 section 2.1).";
  }
  return `A token of type '${short(kind)}' is no access token.`;
}
