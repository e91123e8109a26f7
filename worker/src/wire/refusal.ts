/** A refusal on the wire: HTTP status, challenges (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9728
 * section 5.1) and JSON-RPC error. */

import { LIMITS, PROOFS, RULES, scopeToLogInFor } from "../catalog";
import type { Decision, LimitUse } from "../evidence";
import { rpcError, type Answer } from "./answer";
import { REFUSED, TOO_MANY } from "./message";

export const AUDIT_HEADER = "demo-audit-id";
const REALM = "shop";

type Scheme = "Bearer" | "DPoP";

type Rules = Readonly<Record<string, { status: number | null; challenge: string | null }>>;

/** The HTTP status that a refusal has. */
export function statusOf({ rule }: Decision): number {
  return (RULES as Rules)[rule]?.status ?? 403;
}

/** The `WWW-Authenticate` values of a refusal, that of the scheme by which the token came first; none where another token
 * would not help. One that was not enough has to grow by what the request needs; one that does not hold is to be replaced
 * by one for all that its agent is likely to need, by either scheme (RFC 9449 section 7.2). */
export function challengesOf(
  { rule, reason }: Decision,
  metadataUrl: string,
  asks: string | null,
  scheme: Scheme,
  details: Record<string, unknown>[] = [],
): string[] {
  const error = (RULES as Rules)[rule]?.challenge ?? null;
  if (error === null) return [];
  const found = { resource_metadata: metadataUrl };
  const told = { error, error_description: reason };
  if (error === "insufficient_scope") {
    return [challenge(scheme, { ...told, ...(asks === null ? {} : { scope: asks }), ...found })];
  }
  if (error === "insufficient_authorization") {
    if (details.length === 0) return [];
    const more = { ...found, authorization_remediation: remediationOf(details) };
    return [challenge(scheme, { ...told, ...(asks === null ? {} : { scope: asks }), ...more })];
  }
  const wanted = asks === null ? found : { ...found, scope: scopeToLogInFor(asks) };
  // RFC 6750 section 3.1: no error code for a request that brought no token.
  const own = error === "token" ? wanted : { ...told, ...wanted };
  return [challenge(scheme, own), challenge(scheme === "Bearer" ? "DPoP" : "Bearer", wanted)];
}

/** The answer to a refused request. */
export function refuse(
  decision: Decision,
  context: {
    id: string | number | null;
    limits: LimitUse[];
    metadataUrl: string;
    /** What the request needs. */
    scope: string;
    /** What the challenge has an agent ask its authorization server for; null: what the metadata names. */
    asks: string | null;
    now: number;
    scheme: Scheme;
    /** What a proof is to have in it, where one is refused for that (RFC 9449 section 9); else null. */
    nonce: string | null;
    /** The authorization details that would have it pass (RFC 9396). */
    details?: Record<string, unknown>[];
  },
): Answer {
  const { id, limits, metadataUrl, scope, asks, now, scheme, nonce, details = [] } = context;
  const status = statusOf(decision);
  const headers = [[AUDIT_HEADER, decision.audit_id]];
  for (const one of challengesOf(decision, metadataUrl, asks, scheme, details)) {
    headers.push(["www-authenticate", one]);
  }
  if (nonce !== null) headers.push(["dpop-nonce", nonce]);
  if (status === 429) {
    const resetsAt = limits.find((limit) => limit.name === "rate")?.resets_at ?? now;
    headers.push(["retry-after", String(Math.max(1, Math.ceil(resetsAt - now)))]);
  } else if (status === 503) {
    headers.push(["retry-after", String(LIMITS.retry_seconds)]);
  }
  const message = `Refused by the ${decision.gate} gate: ${decision.reason} ${decision.remedy ?? ""}`.trimEnd();
  const data = { decision, limits, scope, ...(details.length === 0 ? {} : { authorization_details: details }) };
  const code = status === 429 ? TOO_MANY : REFUSED;
  return rpcError(status, id, { code, message, data }, headers);
}

/** `authorization_remediation`: which authorization details to ask for, as base64url of JSON without padding
 * (draft-ietf-oauth-rar-metadata-remediation section 4). */
function remediationOf(details: Record<string, unknown>[]): string {
  const bytes = new TextEncoder().encode(JSON.stringify({ authorization_details: details }));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
}

/** A challenge; values are quoted-strings of the characters that RFC 6750 section 3 allows. */
function challenge(scheme: Scheme, parameters: Record<string, string>): string {
  const algorithms = scheme === "DPoP" ? { algs: PROOFS.algorithms.join(" ") } : {}; // RFC 9449 section 7.1
  const listed = Object.entries({ realm: REALM, ...parameters, ...algorithms });
  return `${scheme} ${listed.map(([name, value]) => `${name}="${quotable(value)}"`).join(", ")}`;
}

function quotable(value: string): string {
  return value.replaceAll('"', "'").replace(/[^ -~]|\\/gu, "?");
}
