/** Proof of possession (RFC 9449): the same check as the local shop's and the authorization server's (`demo/proofs.py`),
 * held to the same cases (`test/proofs.json`). Whether a proof came before is for the ledger to say. */

import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader, importJWK, type JWK } from "jose";
import { PROOFS, type RuleId } from "../catalog";
import { isObject } from "../wire/values";

/** Why a proof proves nothing, as `demo.proofs.Fault` explains it. */
export type Fault = "missing" | "several" | "malformed" | "signature" | "method" | "url" | "time" | "nonce" | "token";

/** A proof that holds for its request: of which key, by which it is known again, and until when it would be accepted. */
export interface Proof {
  key: string;
  id: string;
  until: number;
}

/** The part of a request that a proof is about. Two headers arrive as one with a comma in it, which no proof has. */
export interface Received {
  proof: string | null;
  method: string;
  urls: string[];
}

/** By which rule, in which variant of its words, a token is not for who presented it. */
export type Unproved = readonly [RuleId, string];

/** How a token came, and what is known of who presented it. */
export interface Possession {
  scheme: "Bearer" | "DPoP";
  /** It holds, but whether it came before is not known yet. */
  proof: Proof | null;
  unproved: Unproved | null;
  /** What a proof is to have in it, where one is refused for that; else null. */
  nonce: string | null;
}

/** Of a request that presents nothing. */
export const NO_POSSESSION: Possession = { scheme: "Bearer", proof: null, unproved: null, nonce: null };

const COMPACT_JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** A proof that proves nothing. */
class Refused extends Error {
  constructor(readonly fault: Fault) {
    super(fault);
  }
}

/** Whether who presents a token holds the key that it is bound to (RFC 9449 sections 7.1 and 7.2).
 *
 * @param key the token's `cnf.jkt`: null of a bearer token, empty where it cannot be read. */
export async function possessionOf(
  key: string | null,
  scheme: "Bearer" | "DPoP",
  token: string,
  received: Received,
  nonces: Nonces,
  now: number,
): Promise<Possession> {
  const none = { ...NO_POSSESSION, scheme };
  const refused = (...unproved: Unproved): Possession => ({ ...none, unproved });
  if (key === null) return scheme === "Bearer" ? none : refused("token.bound", "unbound");
  if (key === "") return refused("token.bound", "unknown");
  if (scheme === "Bearer") return refused("token.bound", "main");
  const proof = await check(received, token, nonces, now);
  if (typeof proof === "string") {
    const again = proof === "time" || proof === "nonce";
    if (!again) return refused("token.proof", proof);
    return { ...refused("token.nonce", proof), nonce: await nonces.issue(now) };
  }
  return proof.key === key ? { ...none, proof } : refused("token.proof", "key");
}

/** Section 4.3, all but what only the keeper of tokens knows: the proof, or why there is none. */
export async function check(received: Received, token: string, nonces: Nonces, now: number): Promise<Proof | Fault> {
  try {
    const { proof, method, urls } = received;
    if (proof === null) throw new Refused("missing");
    if (proof.includes(",")) throw new Refused("several");
    const { key, claims } = await verified(proof.trim());
    const { jti, htm, htu, iat } = claims;
    if (typeof jti !== "string" || jti === "" || [...jti].length > PROOFS.longestId) throw new Refused("malformed");
    if (typeof htm !== "string" || typeof htu !== "string") throw new Refused("malformed");
    if (typeof iat !== "number" || !(iat >= 0 && iat < 1e12)) throw new Refused("malformed");
    if (htm !== method) throw new Refused("method");
    const url = normal(htu);
    if (url === null || !urls.some((one) => normal(one) === url)) throw new Refused("url");
    const until = await goodUntil(claims["nonce"], iat, now, nonces);
    if (claims["ath"] !== (await digest(token))) throw new Refused("token");
    return { key, id: await digest(`${key} ${jti}`), until };
  } catch (error) {
    if (error instanceof Refused) return error.fault;
    throw error;
  }
}

/** The thumbprint of a proof's key, and its claims, which that key has signed. */
async function verified(proof: string): Promise<{ key: string; claims: Record<string, unknown> }> {
  if (proof.length > PROOFS.longest || !COMPACT_JWS.test(proof)) throw new Refused("malformed");
  const { jwk, key, thumbprint } = await keyOf(proof);
  let payload: Uint8Array;
  try {
    payload = (await compactVerify(proof, key, { algorithms: [...PROOFS.algorithms] })).payload;
  } catch {
    throw new Refused(jwk === null ? "malformed" : "signature");
  }
  try {
    const claims: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload));
    if (isObject(claims)) return { key: thumbprint, claims };
  } catch {
    // As one that is no object.
  }
  throw new Refused("malformed");
}

async function keyOf(proof: string) {
  try {
    const header = decodeProtectedHeader(proof);
    const { typ, alg } = header;
    const jwk: JWK | undefined = header.jwk;
    const right = typ === PROOFS.type && (PROOFS.algorithms as readonly unknown[]).includes(alg);
    if (right && isObject(jwk) && !("d" in jwk) && jwk["kty"] === "EC" && jwk["crv"] === "P-256") {
      const { x, y } = jwk as { x: string; y: string };
      const named = { kty: "EC", crv: "P-256", x, y };
      const thumbprint = await calculateJwkThumbprint(named);
      return { jwk: named, key: await importJWK(named, PROOFS.algorithms[0]), thumbprint };
    }
  } catch {
    // As one that names no key.
  }
  throw new Refused("malformed");
}

/** Until when a proof is accepted. A nonce says when it was made by our own clock, so that the client's does not matter
 * (section 4.3 item 11). */
async function goodUntil(nonce: unknown, made: number, now: number, nonces: Nonces): Promise<number> {
  if (nonce === undefined || nonce === null) {
    if (!(now - PROOFS.seconds <= made && made <= now + PROOFS.aheadSeconds)) throw new Refused("time");
    return made + PROOFS.seconds;
  }
  const at = typeof nonce === "string" ? await nonces.madeAt(nonce) : null;
  if (at === null || !(now - PROOFS.nonceSeconds <= at && at <= now + PROOFS.aheadSeconds)) throw new Refused("nonce");
  return at + PROOFS.nonceSeconds;
}

/** Nonces that nobody need keep: each says when it was made, and is sealed (section 8). */
export class Nonces {
  private readonly key: Promise<CryptoKey>;

  /** @param secret what every isolate of this shop knows and nobody else. */
  constructor(secret: string) {
    const { subtle } = crypto;
    this.key = subtle.importKey("raw", bytes(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
  }

  /** A nonce, for the header `DPoP-Nonce`. */
  async issue(now: number): Promise<string> {
    const at = Math.floor(now).toString();
    return `${at}.${base64url(await crypto.subtle.sign("HMAC", await this.key, sealed(at)))}`;
  }

  /** When a nonce was made; null for one that is not ours. */
  async madeAt(nonce: string): Promise<number | null> {
    const [at, seal, ...more] = nonce.split(".");
    if (at === undefined || seal === undefined || more.length > 0 || !/^[0-9]{1,12}$/.test(at)) return null;
    const raw = unbase64url(seal);
    return raw !== null && (await crypto.subtle.verify("HMAC", await this.key, raw, sealed(at))) ? Number(at) : null;
  }
}

function sealed(at: string): Uint8Array<ArrayBuffer> {
  return bytes(`DPoP nonce ${at}`);
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text));
}

async function digest(text: string): Promise<string> {
  return base64url(await crypto.subtle.digest("SHA-256", bytes(text)));
}

function base64url(value: ArrayBuffer): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(value)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function unbase64url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]{43}$/.test(text)) return null;
  const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(raw, (character) => character.charCodeAt(0));
}

/** A URL as `htu` is compared: without query and fragment, by the normalization of syntax and scheme (RFC 3986 sections
 * 6.2.2 and 6.2.3); null of what is no URL of HTTP. */
export function normal(url: string): string | null {
  if (!/^https?:\/\/[^/]/i.test(url)) return null;
  let parts: URL;
  try {
    parts = new URL(url);
  } catch {
    return null;
  }
  if (parts.username !== "" || parts.password !== "") return null;
  const path = parts.pathname.replace(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const character = String.fromCharCode(parseInt(escape.slice(1), 16));
    return /^[A-Za-z0-9._~-]$/.test(character) ? character : escape.toUpperCase();
  });
  return parts.origin + path;
}
