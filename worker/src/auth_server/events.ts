/** Security events: what the authorization server says of what it has revoked (RFC 8417, CAEP 1.0). */

import { compactVerify, decodeProtectedHeader, errors } from "jose";
import { LIMITS } from "../catalog";
import { short } from "../evidence";
import type { Kind } from "../policy/facts";
import type { Settings } from "../settings";
import { spellings } from "../wire/origin";
import { isObject, text } from "../wire/values";
import { AuthServerUnavailable } from "./asking";
import { keysOf } from "./metadata";

/** Where they are taken. */
export const EVENTS_PATH = "/events";
/** RFC 8417 section 2.3. */
export const EVENT_TYPE = "secevent+jwt";
const CAEP = "https://schemas.openid.net/secevent/caep/event-type";
/** OpenID Continuous Access Evaluation Profile 1.0, sections 3.1 and 3.2. */
export const SESSION_REVOKED = `${CAEP}/session-revoked`;
export const TOKEN_CLAIMS_CHANGE = `${CAEP}/token-claims-change`;
const ALGORITHMS = ["ES256", "RS256"];

/** Something about a session, an agent or a user of this human changed. */
export interface SecurityEvent {
  kind: Kind;
  id: string;
  user: string;
  jti: string;
  /** Whether it was revoked, and did not only change. */
  revoked: boolean;
  /** By whom and why, in the authorization server's words (CAEP 1.0 section 2). */
  why: string | null;
}

/** An event that is none, or none for here; `err` is RFC 8935's code (section 2.4). */
export class Unfit extends Error {
  constructor(
    readonly err: string,
    message: string,
  ) {
    super(message);
  }
}

/**
 * What an event says.
 *
 * @throws Unfit its signature, issuer, audience or content is not as it must be.
 * @throws AuthServerUnavailable the keys cannot be read.
 */
export async function readEvent(token: string, settings: Settings): Promise<SecurityEvent> {
  if (token.length > LIMITS.token_characters) throw new Unfit("invalid_request", "the event is too long");
  let type: unknown;
  try {
    type = decodeProtectedHeader(token).typ;
  } catch {
    throw new Unfit("invalid_request", "the body is not a signed JWT");
  }
  if (String(type).toLowerCase().replace("application/", "") !== EVENT_TYPE) {
    throw new Unfit("invalid_request", `the body is not a JWT of type ${EVENT_TYPE}`);
  }
  const claims = await verified(token, settings);
  if (claims["iss"] !== settings.issuer) throw new Unfit("invalid_issuer", `its issuer is not ${settings.issuer}`);
  const named = Array.isArray(claims["aud"]) ? claims["aud"] : [claims["aud"]];
  if (!spellings(settings.resource).some((one) => named.includes(one))) {
    throw new Unfit("invalid_audience", `it is not for ${settings.resource}`);
  }
  const { events, jti, sub_id: subject } = claims;
  const id = text(jti);
  if (id === null || !isObject(events) || !(SESSION_REVOKED in events || TOKEN_CLAIMS_CHANGE in events)) {
    throw new Unfit("invalid_request", "it has no jti, or no event that this shop understands");
  }
  const revoked = SESSION_REVOKED in events;
  return { ...subjectOf(subject), jti: id, revoked, why: causeOf(events[SESSION_REVOKED]) };
}

/** Who did it, and why, as far as the event says so. */
function causeOf(event: unknown): string | null {
  if (!isObject(event)) return null;
  const { initiating_entity: entity, reason_admin: reason } = event;
  const told = isObject(reason) ? (reason["en"] ?? Object.values(reason)[0]) : reason;
  const parts = [text(entity), text(told)].filter((one) => one !== null);
  return parts.length === 0 ? null : short(parts.join(": "), 200);
}

async function verified(token: string, settings: Settings): Promise<Record<string, unknown>> {
  try {
    const keys = await keysOf(settings.issuer, settings.answerTimeout);
    const { payload } = await compactVerify(token, keys, { algorithms: ALGORITHMS });
    const claims: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload));
    if (isObject(claims)) return claims;
  } catch (error) {
    if (error instanceof AuthServerUnavailable) throw error;
    if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) {
      throw new AuthServerUnavailable("the keys cannot be read");
    }
    throw new Unfit("invalid_key", "it is not signed with a key of the authorization server");
  }
  throw new Unfit("invalid_request", "its claims are no JSON object");
}

/** What a complex subject names (OpenID Shared Signals Framework 1.0, section 3.3): the narrowest that is there. By the
 * user it is known whose ledger it is for. */
function subjectOf(subject: unknown): Pick<SecurityEvent, "kind" | "id" | "user"> {
  const members = isObject(subject) ? subject : {};
  const member = (name: string, id: string) => {
    const found = members[name];
    return isObject(found) ? text(found[id]) : null;
  };
  const user = member("user", "sub");
  if (user === null) throw new Unfit("invalid_request", "its sub_id names no user");
  const session = member("session", "id");
  if (session !== null) return { kind: "session", id: session, user };
  const agent = member("application", "id");
  return agent !== null ? { kind: "agent", id: agent, user } : { kind: "user", id: user, user };
}
