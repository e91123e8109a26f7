/** A refusal on the wire: HTTP status, challenge (RFC 6750 section 3, RFC 9728 section 5.1) and JSON-RPC error. */

import { LIMITS, RULES, scopeToLogInFor } from "../catalog";
import type { Decision, LimitUse } from "../evidence";
import { rpcError, type Answer } from "./answer";
import { REFUSED, TOO_MANY } from "./message";

export const AUDIT_HEADER = "demo-audit-id";
const REALM = "shop";

type Rules = Readonly<Record<string, { status: number | null; challenge: string | null }>>;

/** The HTTP status that a refusal has. */
export function statusOf({ rule }: Decision): number {
  return (RULES as Rules)[rule]?.status ?? 403;
}

/** The `WWW-Authenticate` value of a refusal; null where another token would not help. */
export function challengeOf({ rule, reason }: Decision, metadataUrl: string, asks: string | null): string | null {
  const error = (RULES as Rules)[rule]?.challenge ?? null;
  if (error === null) return null;
  // A token that was not enough has to grow by what the request needs; one that does not hold is to be replaced by one
  // for all that its agent is likely to need.
  const wanted = asks === null || error === "insufficient_scope" ? asks : scopeToLogInFor(asks);
  const scope: Record<string, string> = wanted === null ? {} : { scope: wanted };
  const found = { resource_metadata: metadataUrl };
  // RFC 6750 section 3.1: no error code for a request that brought no token.
  if (error === "token") return challenge({ ...found, ...scope });
  const told = { error, error_description: reason };
  return challenge(error === "insufficient_scope" ? { ...told, ...scope, ...found } : { ...told, ...found, ...scope });
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
  },
): Answer {
  const { id, limits, metadataUrl, scope, asks, now } = context;
  const status = statusOf(decision);
  const headers = [[AUDIT_HEADER, decision.audit_id]];
  const challenged = challengeOf(decision, metadataUrl, asks);
  if (challenged !== null) headers.push(["www-authenticate", challenged]);
  if (status === 429) {
    const resetsAt = limits.find((limit) => limit.name === "rate")?.resets_at ?? now;
    headers.push(["retry-after", String(Math.max(1, Math.ceil(resetsAt - now)))]);
  } else if (status === 503) {
    headers.push(["retry-after", String(LIMITS.retry_seconds)]);
  }
  const message = `Refused by the ${decision.gate} gate: ${decision.reason} ${decision.remedy ?? ""}`.trimEnd();
  const code = status === 429 ? TOO_MANY : REFUSED;
  return rpcError(status, id, { code, message, data: { decision, limits, scope } }, headers);
}

/** A Bearer challenge; values are quoted-strings of the characters that RFC 6750 section 3 allows. */
function challenge(parameters: Record<string, string>): string {
  const listed = Object.entries({ realm: REALM, ...parameters });
  return `Bearer ${listed.map(([name, value]) => `${name}="${quotable(value)}"`).join(", ")}`;
}

function quotable(value: string): string {
  return value.replaceAll('"', "'").replace(/[^ -~]|\\/gu, "?");
}
