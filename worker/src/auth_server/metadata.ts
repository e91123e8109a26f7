/** The authorization server's metadata (RFC 8414) and keys (RFC 7517), found by its issuer's URL alone and kept for a
 * while.
 *
 * Kept in the isolate: values only, never a promise, since one request may not wait for another's I/O. */

import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from "jose";
import { LIMITS, say } from "../catalog";
import { short } from "../evidence";
import { text, urlOf } from "../wire/values";
import { askBounded, AuthServerUnavailable, jsonObject } from "./asking";

/** RFC 8693 section 2.1. */
export const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
/** Milliseconds between two looks at whether another request has found the keys. */
const POLL_MS = 20;

/** What the shop needs of the authorization server's metadata. */
export interface Metadata {
  jwksUri: string;
  /** Null where the authorization server offers none. */
  introspectionEndpoint: string | null;
  /** How a shop may say there who it is (RFC 8414 section 2); null where the authorization server does not tell. */
  introspectionMethods: string[] | null;
  /** Its token endpoint; null where that exchanges no tokens (RFC 8693). */
  tokenExchangeEndpoint: string | null;
  /** Where a human is asked to approve one purchase, for a client that cannot ask; null where nowhere. */
  purchasesEndpoint: string | null;
}

const known = new Map<string, { metadata: Metadata; at: number }>();
const keys = new Map<string, JWTVerifyGetKey>();

/**
 * An issuer's metadata.
 *
 * @param timeout milliseconds for each question.
 * @throws AuthServerUnavailable it cannot be read, or is another issuer's (RFC 8414 section 3.3).
 */
export async function metadataOf(issuer: string, timeout: number): Promise<Metadata> {
  const kept = known.get(issuer);
  if (kept !== undefined && Date.now() - kept.at < LIMITS.keys_seconds * 1000) return kept.metadata;
  const metadata = await readMetadata(issuer, timeout);
  known.set(issuer, { metadata, at: Date.now() });
  return metadata;
}

/**
 * What finds the key that a token was signed with. An unknown `kid` has the keys read once more: the authorization
 * server may have rotated them.
 *
 * @throws AuthServerUnavailable the keys' address cannot be learnt.
 */
export async function keysOf(issuer: string, timeout: number): Promise<JWTVerifyGetKey> {
  const { jwksUri } = await metadataOf(issuer, timeout);
  const found = keys.get(jwksUri) ?? lookingAgain(issuer, jwksUri, timeout);
  keys.set(jwksUri, found);
  return found;
}

function lookingAgain(issuer: string, jwksUri: string, timeout: number): JWTVerifyGetKey {
  const set = createRemoteJWKSet(new URL(jwksUri), {
    // Not jose's own second look, which may not come within a time of the first: a key may be new right then.
    cooldownDuration: Infinity,
    cacheMaxAge: LIMITS.keys_seconds * 1000,
    timeoutDuration: timeout,
    [customFetch]: (url, init) => askBounded(issuer, url, { headers: init.headers }, timeout),
  });
  let lookedAt = -Infinity;
  let lookingUntil = -Infinity;
  let failed: unknown = null;
  const look = async () => {
    lookingUntil = Date.now() + timeout;
    failed = null;
    await set.reload().catch((error: unknown) => void (failed = error));
    lookedAt = Date.now();
    lookingUntil = -Infinity;
  };
  return async (header, token) => {
    try {
      return await set(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || header.kid === undefined) throw error;
      // Who comes while another request looks finds what that one has found; its promise is not ours to wait for.
      if (Date.now() < lookingUntil) {
        while (Date.now() < lookingUntil) await scheduler.wait(POLL_MS);
      } else if (Date.now() - lookedAt >= LIMITS.keys_again_seconds * 1000) await look();
      return set(header, token).catch((again: unknown) => {
        // Keys that could not be read are not known, which is not to say that there is no such key.
        throw failed ?? again;
      });
    }
  };
}

/** Read everything again next time: what was kept led nowhere. */
export function forget(issuer: string): void {
  known.delete(issuer);
}

async function readMetadata(issuer: string, timeout: number): Promise<Metadata> {
  if (issuer === "") {
    const fix = "set ISSUER to the issuer: demo deploy --issuer https://NAME.authkit.app";
    throw new AuthServerUnavailable("ISSUER is not set", fix);
  }
  let broken = false;
  for (const url of metadataUrls(issuer)) {
    const response = await askBounded(issuer, url, { headers: { accept: "application/json" } }, timeout);
    const found = response.status === 200 ? await jsonObject(response) : null;
    broken ||= response.status === 200 || response.status >= 500;
    if (found === null) continue;
    if (found["issuer"] !== issuer) {
      const named = short(text(found["issuer"]) ?? "none", 200);
      throw new AuthServerUnavailable(say("other_issuer"), `set ISSUER to the very issuer: ${named}`);
    }
    const grants = found["grant_types_supported"];
    const exchanges = Array.isArray(grants) && grants.includes(TOKEN_EXCHANGE);
    const jwksUri = endpoint(issuer, found, "jwks_uri");
    if (jwksUri === null) throw new AuthServerUnavailable(say("no_endpoint", { name: "jwks_uri" }), OTHER_ISSUER);
    return {
      jwksUri,
      introspectionEndpoint: endpoint(issuer, found, "introspection_endpoint"),
      introspectionMethods: methods(found),
      tokenExchangeEndpoint: exchanges ? endpoint(issuer, found, "token_endpoint") : null,
      purchasesEndpoint: endpoint(issuer, found, "purchase_approval_endpoint"),
    };
  }
  if (broken) throw new AuthServerUnavailable(say("metadata_unreadable"));
  throw new AuthServerUnavailable(say("no_metadata"), OTHER_ISSUER);
}

const OTHER_ISSUER = "set ISSUER to an issuer that publishes its metadata and keys (RFC 8414, RFC 7517)";

function methods(metadata: Record<string, unknown>): string[] | null {
  const listed = metadata["introspection_endpoint_auth_methods_supported"];
  return Array.isArray(listed) ? listed.filter((one) => typeof one === "string") : null;
}

function endpoint(issuer: string, metadata: Record<string, unknown>, name: string): string | null {
  const given = metadata[name];
  if (given === undefined) return null;
  const url = typeof given === "string" ? urlOf(given) : null;
  if (url === null || !(url.protocol === "https:" || (url.protocol === "http:" && issuer.startsWith("http:")))) {
    throw new AuthServerUnavailable(say("unsafe_endpoint", { name }), OTHER_ISSUER);
  }
  return url.href;
}

/** Where an issuer's metadata may stand: RFC 8414 section 3.1 (before the issuer's path), then OpenID Connect
 * Discovery section 4 (after it). */
export function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/+$/, "");
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
}
