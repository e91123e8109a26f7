/** Reading a presented token: signature first (RFC 7515, against the authorization server's keys), then what it
 * claims. */

import { compactVerify, decodeProtectedHeader, errors } from "jose";
import { LIMITS, say, SCOPES } from "../catalog";
import { NO_FACTS, type TokenFacts } from "../policy/facts";
import { typeOf } from "../policy/token_type";
import type { Settings } from "../settings";
import { money, type Money } from "../evidence";
import { spellings } from "../wire/origin";
import { isObject, text } from "../wire/values";
import { address, AuthServerUnavailable } from "./asking";
import { keysOf } from "./metadata";

/** Never `none`, never a symmetric one (RFC 8725 section 3.1). */
const ALGORITHMS = ["ES256", "RS256"];
const CREDENTIALS = /^(bearer|dpop)(?:[ ]+(.*))?$/is;
const COMPACT_JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;

/** The token of a request, and the scheme by which it came (RFC 6750, RFC 9449): null where there is none, empty where
 * nothing comes after the scheme. Two headers arrive as one with a comma in it, which no token has. */
export function credentialsOf(headers: Headers): { token: string | null; scheme: "Bearer" | "DPoP" } {
  const match = CREDENTIALS.exec(headers.get("authorization")?.trim() ?? "");
  if (match === null) return { token: null, scheme: "Bearer" };
  return { token: match[2] ?? "", scheme: match[1]!.toLowerCase() === "dpop" ? "DPoP" : "Bearer" };
}

/**
 * Verify a token's signature and give what it says.
 *
 * @param token as `credentialsOf` gave it.
 * @throws AuthServerUnavailable the authorization server's keys cannot be read.
 */
export async function readToken(token: string | null, settings: Settings): Promise<TokenFacts> {
  if (token === null) return fault("missing");
  const header = token.length <= LIMITS.token_characters && COMPACT_JWS.test(token) ? headerOf(token) : null;
  if (header === null) return fault("malformed");
  if (typeof header.alg !== "string" || !ALGORITHMS.includes(header.alg)) {
    return fault("signature", "algorithm");
  }
  const keys = await keysOf(settings.issuer, settings.answerTimeout);
  let payload: Uint8Array;
  try {
    payload = (await compactVerify(token, keys, { algorithms: ALGORITHMS })).payload;
  } catch (error) {
    return unverified(error);
  }
  const claims = claimsOf(payload);
  if (claims === null) return fault("malformed", "claims");
  return facts(header, claims, settings);
}

function headerOf(token: string): Record<string, unknown> | null {
  try {
    return decodeProtectedHeader(token);
  } catch {
    return null;
  }
}

function claimsOf(payload: Uint8Array): Record<string, unknown> | null {
  try {
    const claims: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload));
    return isObject(claims) ? claims : null;
  } catch {
    return null;
  }
}

function unverified(error: unknown): TokenFacts {
  if (error instanceof AuthServerUnavailable) throw error;
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return fault("signature", "key");
  }
  const keysUnread = error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid;
  // What jose says, as a bare error of its own, of an answer that is not 200 or not JSON.
  if (keysUnread || (error instanceof errors.JOSEError && error.code === "ERR_JOSE_GENERIC")) {
    throw new AuthServerUnavailable(say("keys_unreadable"));
  }
  return fault("signature");
}

/** Claims that a good signature stands behind, as facts; a required one that is missing or of a wrong kind (RFC 9068
 * section 2.2) makes the token malformed. */
export function facts(
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
  settings: Settings,
): TokenFacts {
  const { aud, exp, nbf, act, cnf } = claims;
  const audience: unknown = typeof aud === "string" ? [aud] : (aud ?? []);
  const [issuer, user] = [text(claims["iss"]), text(claims["sub"])];
  if (issuer === null || user === null || !isTime(exp) || !(nbf === undefined || isTime(nbf)) || !isStrings(audience)) {
    return fault("malformed", "claim");
  }
  return {
    ...NO_FACTS,
    type: typeOf(header, claims),
    issuer,
    audience,
    expiresAt: exp,
    notBefore: nbf ?? null,
    user,
    username: text(claims["username"]) ?? address(claims),
    name: text(claims["name"]),
    roles: [...strings(claims["roles"]), ...strings(claims["role"])],
    agent: isObject(act) ? text(act["sub"]) : null,
    client: text(claims["client_id"]),
    session: text(claims["sid"]),
    consent: text(claims["consent_id"]),
    organization: text(claims["org_id"]),
    tokenId: text(claims["jti"]),
    scopes: [...new Set(settings.scopeClaims.flatMap((name) => strings(claims[name])))],
    spendingLimit: spendingLimit(claims["authorization_details"], settings),
    key: cnf === undefined || cnf === null ? null : ((isObject(cnf) ? text(cnf["jkt"]) : null) ?? ""),
  };
}

/** What a claim lists: the words of a string, or the strings of an array. */
function strings(value: unknown): string[] {
  if (typeof value === "string") return value.split(/\s+/).filter((word) => word !== "");
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < 1e12;
}

function fault(kind: "missing" | "malformed" | "signature", detail = "main"): TokenFacts {
  return { ...NO_FACTS, fault: kind, detail };
}

/** The spending limit that `authorization_details` grant here (RFC 9396), or null.
 *
 * Where several are granted the smallest holds; one that cannot be understood grants nothing at all, rather than
 * leaving the others to stand for more than the human may have meant. An authorization server that knows no such
 * details (the claim is not there) leaves the shop's own default, if it has one. */
export function spendingLimit(details: unknown, settings: Settings): Money | null {
  if (details === undefined || details === null) return settings.defaultSpendingLimit;
  const limits: number[] = [];
  for (const detail of Array.isArray(details) ? details : []) {
    if (!isObject(detail) || detail["type"] !== SCOPES.spendingType) continue;
    const { limit, actions } = detail;
    const locations = detail["locations"] ?? [settings.resource];
    if (!isObject(limit) || !Array.isArray(locations) || !Array.isArray(actions)) return null;
    if (
      !spellings(settings.resource).some((one) => locations.includes(one)) ||
      !actions.includes(SCOPES.spendingAction)
    )
      continue;
    const { amount, currency } = limit;
    if (typeof amount !== "number" || !Number.isSafeInteger(amount) || amount < 0) return null;
    if (currency !== settings.price.currency) return null;
    limits.push(amount);
  }
  return limits.length === 0 ? null : money(Math.min(...limits));
}
