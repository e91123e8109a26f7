/** The authority's metadata (RFC 8414) and keys (RFC 7517), found by its issuer's URL alone and kept for a while.
 *
 * Kept in the isolate: values only, never a promise, since one request may not wait for another's I/O. */

import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from "jose";
import { urlOf } from "../wire/url";
import { askBounded, AuthorityUnknown, jsonObject } from "./asking";

/** Seconds that metadata and keys are believed before they are read again: a withdrawn key is not trusted longer. */
const FRESH_SECONDS = 300;

/** At most one look for an unknown `kid` in so many seconds, so that made-up ones do not flood the authority. */
const REFETCH_SECONDS = 1;

/** What the shop needs of the authority's metadata. */
export interface Metadata {
  jwksUri: string;
  /** Null where the authority offers none. */
  introspectionEndpoint: string | null;
}

const known = new Map<string, { metadata: Metadata; at: number }>();
const keys = new Map<string, JWTVerifyGetKey>();

/**
 * An issuer's metadata.
 *
 * @param timeout milliseconds for each question.
 * @throws AuthorityUnknown it cannot be read, or is another issuer's (RFC 8414 section 3.3).
 */
export async function metadataOf(issuer: string, timeout: number): Promise<Metadata> {
  const kept = known.get(issuer);
  if (kept !== undefined && Date.now() - kept.at < FRESH_SECONDS * 1000) return kept.metadata;
  const metadata = await readMetadata(issuer, timeout);
  known.set(issuer, { metadata, at: Date.now() });
  return metadata;
}

/**
 * What finds the key that a token was signed with. An unknown `kid` has the keys read once more: the authority may
 * have rotated them.
 *
 * @throws AuthorityUnknown the keys' address cannot be learnt.
 */
export async function keysOf(issuer: string, timeout: number): Promise<JWTVerifyGetKey> {
  const { jwksUri } = await metadataOf(issuer, timeout);
  const found = keys.get(jwksUri) ?? lookingAgain(jwksUri, timeout);
  keys.set(jwksUri, found);
  return found;
}

function lookingAgain(jwksUri: string, timeout: number): JWTVerifyGetKey {
  const set = createRemoteJWKSet(new URL(jwksUri), {
    // Not jose's own second look, which may not come within a time of the first: a key may be new right then.
    cooldownDuration: Infinity,
    cacheMaxAge: FRESH_SECONDS * 1000,
    timeoutDuration: timeout,
    [customFetch]: (url, init) => askBounded(url, { headers: init.headers }, timeout),
  });
  let lookedAt = -Infinity;
  return async (header, token) => {
    try {
      return await set(header, token);
    } catch (error) {
      const soon = Date.now() - lookedAt < REFETCH_SECONDS * 1000;
      if (!(error instanceof errors.JWKSNoMatchingKey) || header.kid === undefined || soon) throw error;
      lookedAt = Date.now();
      await set.reload();
      return set(header, token);
    }
  };
}

/** Read everything anew next time: what was kept led nowhere. */
export function forget(issuer: string): void {
  known.delete(issuer);
}

async function readMetadata(issuer: string, timeout: number): Promise<Metadata> {
  if (issuer === "") throw new AuthorityUnknown("this shop was told of none: AUTHORITY is not set");
  for (const url of metadataUrls(issuer)) {
    const response = await askBounded(url, { headers: { accept: "application/json" } }, timeout);
    const found = response.status === 200 ? await jsonObject(response) : null;
    if (found === null) continue;
    if (found["issuer"] !== issuer) throw new AuthorityUnknown("its metadata names another issuer");
    const jwksUri = endpoint(issuer, found, "jwks_uri");
    if (jwksUri === null) throw new AuthorityUnknown("its metadata has no jwks_uri");
    return { jwksUri, introspectionEndpoint: endpoint(issuer, found, "introspection_endpoint") };
  }
  throw new AuthorityUnknown("it has no metadata");
}

function endpoint(issuer: string, metadata: Record<string, unknown>, name: string): string | null {
  const given = metadata[name];
  if (given === undefined) return null;
  const url = typeof given === "string" ? urlOf(given) : null;
  if (url === null || !(url.protocol === "https:" || (url.protocol === "http:" && issuer.startsWith("http:")))) {
    throw new AuthorityUnknown(`its ${name} is unsafe`);
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
