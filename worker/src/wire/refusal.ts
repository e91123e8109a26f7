/** A refusal on the wire: HTTP status, challenge (RFC 6750 section 3, RFC 9728 section 5.1) and JSON-RPC error. */

import { scopeToLogInFor } from "../catalog";
import type { Decision, LimitUse } from "../evidence";
import { RETRY_SECONDS, rpcError, type Answer } from "./answer";
import { REFUSED, TOO_MANY } from "./message";

export const AUDIT_HEADER = "demo-audit-id";
const REALM = "shop";

/** Refusals of the standing gate that no other token would change. */
const NO_CHALLENGE = new Set(["standing.banned", "standing.unknown"]);

/** The HTTP status that a refusal has. */
export function statusOf({ gate, rule }: Decision): number {
  if (rule === "standing.unknown") return 503;
  if (rule === "limits.rate") return 429;
  return (gate === "token" || gate === "standing") && rule !== "standing.banned" ? 401 : 403;
}

/** The `WWW-Authenticate` value of a refusal; null where another token would not help. */
export function challengeOf({ gate, rule, reason }: Decision, metadataUrl: string, asks: string | null): string | null {
  const scope = asks === null ? {} : { scope: asks };
  // A token that does not hold is to be replaced by one for all that its agent is likely to need.
  const login = asks === null ? {} : { scope: scopeToLogInFor(asks) };
  const found = { resource_metadata: metadataUrl, ...login };
  // RFC 6750 section 3.1: no error code for a request that brought no token.
  if (rule === "token.missing") return challenge(found);
  if ((gate === "token" || gate === "standing") && !NO_CHALLENGE.has(rule)) {
    return challenge({ error: "invalid_token", error_description: reason, ...found });
  }
  if (gate !== "scope") return null;
  return challenge({
    error: "insufficient_scope",
    error_description: reason,
    ...scope,
    resource_metadata: metadataUrl,
  });
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
    /** What the challenge has an agent ask its authority for; null: what the metadata names. */
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
    headers.push(["retry-after", String(RETRY_SECONDS)]);
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
