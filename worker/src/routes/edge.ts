/** What the edge itself reads of a request before it goes to a ledger: the token's signature, by kept keys. */

import { AuthServerUnavailable, skewOf } from "../auth_server/asking";
import { credentialsOf, readToken } from "../auth_server/token";
import { ledgerName } from "../gatehouse/requests";
import { hex } from "../ledger/orders";
import type { UserLedger } from "../user_ledger";
import { now } from "../evidence";
import { NO_FACTS, unknown, type Standing, type TokenFacts } from "../policy/facts";
import { NO_POSSESSION, Nonces, possessionOf, type Possession, type Received } from "../policy/proof";
import type { Env } from "../env";
import type { Settings } from "../settings";
import { LIMITS } from "../catalog";
import { carried } from "../tracing";
import { rpcError, type Answer } from "../wire/answer";
import { INTERNAL_ERROR, type Known } from "../wire/message";

/** A presented token, and what is known of it. */
export interface Presented {
  token: string | null;
  facts: TokenFacts;
  possession: Possession;
  unavailable: Standing | null;
  skew: number | null;
  /** What the request is called in the records of others. */
  known: Known;
}

/** Read the request's token. Where the authorization server's keys cannot be had, that is said and the request cannot
 * pass. */
export async function presented(request: Request, settings: Settings): Promise<Presented> {
  const { token, scheme } = credentialsOf(request.headers);
  const known = knownBy(request.headers);
  try {
    const facts = await readToken(token, settings);
    const possession =
      token === null || facts.fault !== null
        ? { ...NO_POSSESSION, scheme }
        : await possessionOf(facts.key, scheme, token, received(request, settings), noncesOf(settings), now());
    return { known, token, facts, possession, unavailable: null, skew: skewOf(settings.issuer) };
  } catch (error) {
    if (!(error instanceof AuthServerUnavailable)) throw error;
    const facts: TokenFacts = { ...NO_FACTS, fault: "signature", detail: "unchecked" };
    const possession = { ...NO_POSSESSION, scheme };
    return {
      known,
      token,
      facts,
      possession,
      unavailable: unknown(error.message, error.fix !== null),
      skew: null,
    };
  }
}

/** What a proof is about: this request, by the name that it came by or the one that the shop is published under. */
function received(request: Request, settings: Settings): Received {
  const { origin, pathname } = new URL(request.url);
  const urls = [...new Set([origin, settings.base])].map((one) => one + pathname);
  return { proof: request.headers.get("dpop"), method: request.method, urls };
}

let nonces: { secret: string; of: Nonces } | null = null;

/** Nonces that every isolate of this shop knows, by a secret that all of them have. A shop without one has its isolates
 * make their own, and a client whose clock is wrong may be asked more than once. */
function noncesOf({ introspection, directory }: Settings): Nonces {
  const secret = introspection?.secret ?? directory?.key ?? nonces?.secret ?? crypto.randomUUID();
  if (nonces?.secret !== secret) nonces = { secret, of: new Nonces(secret) };
  return nonces.of;
}

const TRACEPARENT = /^[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;
const REQUEST_ID = /^[A-Za-z0-9._:+/=@-]{1,64}$/;

/** What the client calls this request: the trace id of its `traceparent` (W3C Trace Context section 3.2), else its
 * `x-request-id`; an id of our own where it sends neither, or none that is fit to be kept. `_meta` of the message may
 * carry a `traceparent`, too (SEP-414); the header goes before it. */
export function knownBy(headers: Headers, meta: Record<string, unknown> = {}): Known {
  const inside = meta["traceparent"];
  const own = carried(null); // what is done for this request is below the shop's own span of it, where there is one
  for (const given of [headers.get("traceparent"), typeof inside === "string" ? inside : null]) {
    const traceparent = (given ?? "").trim();
    const trace = TRACEPARENT.exec(traceparent)?.[1];
    if (trace === undefined) continue;
    return { correlation: trace, trace_id: trace, traceparent: own?.includes(trace) ? own : traceparent };
  }
  const given = REQUEST_ID.exec((headers.get("x-request-id") ?? "").trim())?.[0];
  return { correlation: given ?? hex(16), trace_id: null, traceparent: own };
}

/** Where a request came from, as the platform has seen it. */
export function addressOf(request: Request): string {
  return request.headers.get("cf-connecting-ip") ?? "nowhere";
}

/** The object that holds this user's ledger; with null nobody's. */
export function ledgerOf(user: string | null, env: Env, settings: Settings): DurableObjectStub<UserLedger> {
  return env.USERS.getByName(ledgerName(settings.issuer, user));
}

/** What to say when an object cannot be reached: it moves, or this Worker was just deployed again. */
export function unreachable(): Answer {
  const message = "The shop's ledger cannot be reached. Nothing is known to have been done; try again in a moment.";
  return rpcError(503, null, { code: INTERNAL_ERROR, message }, [["retry-after", String(LIMITS.retry_seconds)]]);
}
