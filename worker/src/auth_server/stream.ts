/** The stream by which the authorization server tells this shop what was revoked (OpenID Shared Signals Framework 1.0,
 * sections 7 and 8.1): found by its metadata, and opened before it is asked about a token. One that has no such streams,
 * or promises no lease with them, is asked about each token, as ever. */

import { LIMITS } from "../catalog";
import { LEASE_SECONDS } from "../ledger/reliance";
import type { Settings } from "../settings";
import { isObject, urlOf } from "../wire/values";
import { askBounded, jsonObject } from "./asking";
import { EVENTS_PATH, SESSION_REVOKED, TOKEN_CLAIMS_CHANGE } from "./events";
import { basic } from "./introspection";

const PUSH = "urn:ietf:rfc:8935";

/** How soon is tried again what failed, in milliseconds. */
const AGAIN_MS = 5_000;

/** Whether there is a stream, by issuer and by where its events go. */
const known = new Map<string, { open: boolean; until: number }>();

/** Whether the authorization server tells this shop what it revokes; asked before it is asked about a token. Never
 * throws: without a stream each token is asked about. */
export async function streamIsOpen(settings: Settings): Promise<boolean> {
  const { introspection, issuer, base } = settings;
  if (introspection === null) return false;
  const name = `${issuer} ${base}`;
  const kept = known.get(name);
  if (kept !== undefined && Date.now() < kept.until) return kept.open;
  let open = false;
  let seconds = LIMITS.keys_seconds;
  try {
    open = await opened(settings, basic(introspection.id, introspection.secret));
  } catch {
    seconds = AGAIN_MS / 1000;
  }
  known.set(name, { open, until: Date.now() + 1000 * seconds });
  return open;
}

/** @throws Error it cannot be asked, or its answer is none. */
async function opened({ issuer, base, answerTimeout }: Settings, authorization: string): Promise<boolean> {
  const { origin, pathname } = new URL(issuer);
  const where = `${origin}/.well-known/ssf-configuration${pathname.replace(/\/+$/, "")}`;
  const accept = { accept: "application/json" };
  const told = await askBounded(issuer, where, { headers: accept }, answerTimeout);
  if (told.status >= 500) throw new Error(`HTTP ${told.status}`);
  const metadata = told.status === 200 ? await jsonObject(told) : null;
  const streams = typeof metadata?.["configuration_endpoint"] === "string" ? metadata["configuration_endpoint"] : "";
  if (metadata?.["issuer"] !== issuer || urlOf(streams)?.protocol !== new URL(issuer).protocol) return false;
  const headers = { ...accept, authorization, "content-type": "application/json" };
  const listed = await askBounded(issuer, streams, { headers }, answerTimeout);
  if (listed.status !== 200) throw new Error(`HTTP ${listed.status}`);
  const all: unknown = JSON.parse(await listed.text());
  const mine = (Array.isArray(all) ? all : []).find((one) => isObject(one) && isFor(one, base + EVENTS_PATH));
  return isPromise(mine ?? (await open(issuer, streams, base + EVENTS_PATH, headers, answerTimeout)));
}

async function open(
  issuer: string,
  streams: string,
  endpoint: string,
  headers: Record<string, string>,
  timeout: number,
): Promise<unknown> {
  const delivery = { method: PUSH, endpoint_url: endpoint };
  const body = JSON.stringify({ delivery, events_requested: [SESSION_REVOKED, TOKEN_CLAIMS_CHANGE] });
  const made = await askBounded(issuer, streams, { method: "POST", headers, body }, timeout);
  if (made.status !== 201) throw new Error(`HTTP ${made.status}`);
  return jsonObject(made);
}

function isFor({ delivery }: Record<string, unknown>, endpoint: string): boolean {
  return isObject(delivery) && delivery["endpoint_url"] === endpoint;
}

/** Whether it promises to wait for this shop for as long as this shop relies on anything. */
function isPromise(stream: unknown): boolean {
  const lease = isObject(stream) ? stream["lease_seconds"] : null;
  return typeof lease === "number" && lease >= LEASE_SECONDS;
}
