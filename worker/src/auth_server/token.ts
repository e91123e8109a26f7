/** Reading a presented token: signature first (RFC 7515, against the authorization server's keys), then what it
 * claims. */

import { compactVerify, decodeProtectedHeader, errors } from "jose";
import { LIMITS, say, SCOPES } from "../catalog";
import { NO_FACTS, type SpendingLimit, type TokenFacts } from "../policy/facts";
import { readApproval } from "../policy/approval";
import { typeOf } from "../policy/token_type";
import type { Settings } from "../settings";
import { money } from "../evidence";
import { spellings } from "../wire/origin";
import { isObject, text } from "../wire/values";
import { address, AuthServerUnavailable } from "./asking";
import { keysOf } from "./metadata";

/** Never `none`, never a symmetric one (RFC 8725 section 3.1). */
const ALGORITHMS = ["ES256", "RS256"];
/** Agents in a row that a token may name; the local authorization server's go three deep. */
const MOST_ACTORS = 8;
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
  const [issuer, user, chain] = [text(claims["iss"]), text(claims["sub"]), chainOf(act)];
  if (chain === null) return fault("malformed", "claim");
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
    chain,
    client: text(claims["client_id"]),
    session: text(claims["sid"]),
    consent: text(claims["consent_id"]),
    organization: text(claims["org_id"]),
    tokenId: text(claims["jti"]),
    scopes: [...new Set(settings.scopeClaims.flatMap((name) => strings(claims[name])))],
    spendingLimits: spendingLimits(claims["authorization_details"], chain, settings),
    approval: readApproval(claims["authorization_details"]),
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

/** Who acts, then each above it (RFC 8693 section 4.1). Null of what cannot be read: who is above must not be lost. */
function chainOf(act: unknown): string[] | null {
  const found: string[] = [];
  let actor = act;
  while (actor !== undefined && actor !== null && found.length < MOST_ACTORS) {
    const name = isObject(actor) ? text(actor["sub"]) : null;
    if (name === null) return found.length === 0 ? [] : null;
    found.push(name);
    actor = (actor as Record<string, unknown>)["act"];
  }
  const whole = actor === undefined || actor === null;
  return whole && new Set(found).size === found.length ? found : null;
}

/** The spending limits that `authorization_details` grant here (RFC 9396); empty: nothing may be spent.
 *
 * All of them hold, of several that count the same the smallest; one that cannot be understood grants nothing at all, rather than
 * leaving the others to stand for more than the human may have meant. An authorization server that knows no such
 * details (the claim is not there) leaves the shop's own default, if it has one. */
export function spendingLimits(details: unknown, chain: string[], settings: Settings): SpendingLimit[] {
  if (details === undefined || details === null) {
    return settings.defaultSpendingLimit === null ? [] : [{ by: null, limit: settings.defaultSpendingLimit }];
  }
  const limits = new Map<string | null, number>();
  for (const detail of Array.isArray(details) ? details : []) {
    if (!isObject(detail) || detail["type"] !== SCOPES.spendingType) continue;
    const { limit, actions } = detail;
    const locations = detail["locations"] ?? [settings.resource];
    if (!isObject(limit) || !Array.isArray(locations) || !Array.isArray(actions)) return [];
    if (
      !spellings(settings.resource).some((one) => locations.includes(one)) ||
      !actions.includes(SCOPES.spendingAction)
    )
      continue;
    const { amount, currency } = limit;
    if (typeof amount !== "number" || !Number.isSafeInteger(amount) || amount < 0) return [];
    if (currency !== settings.price.currency) return [];
    // By the one that was consented to, all that the consent is good for is spent.
    const by = detail["spent_by"] ?? null;
    if (by !== null && !(typeof by === "string" && chain.slice(0, -1).includes(by))) return [];
    limits.set(by, Math.min(amount, limits.get(by) ?? amount));
  }
  if (limits.size > 0 && !limits.has(null)) limits.set(null, Math.max(...limits.values()));
  return [...limits].map(([by, amount]) => ({ by, limit: money(amount) }));
}
