/** `GET /audit`: the audit log for those it is about. */

import { LIMITS, say, SCOPES } from "../catalog";
import { merged, type Query, type Wanted } from "../ledger/audit_log";
import { SHOP } from "../ledger/stock";
import { ledgerName, NOBODY, userOf } from "../gatehouse/requests";
import type { Env } from "../env";
import type { Settings } from "../settings";
import { json, plainError, type Answer } from "../wire/answer";
import { spellings } from "../wire/origin";
import { ledgerOf, presented } from "./edge";

/** Ledgers that one reading by an admin goes to, the newest first: each is a request of its own, and a Worker may make
 * only so many for one request of a client's. */
const MOST_LEDGERS = 40;

/** Where the key is published that signs checkpoints (`jwks_uri` of RFC 9728 section 2). */
export const AUDIT_KEYS = "/audit/keys";

/** Whose logs a request may read: the refusal to send, or the reader with the objects that hold them, nobody's first. */
async function readerOf(request: Request, env: Env, settings: Settings, origin: string) {
  const known = await presented(request, settings);
  const own = ledgerOf(known.facts.user, env, settings);
  // A console that has a token for the human's own routes need not ask for another one to read what was done.
  const console = spellings(settings.adminResource).some((one) => known.facts.audience.includes(one));
  const resource = console ? settings.adminResource : settings.resource;
  const wanted = { origin, resource, scope: SCOPES.audit, own: false, ...known };
  const heard = await own.admit(wanted);
  if ("refused" in heard) return heard;
  const name = ledgerName(settings.issuer, heard.user);
  const { names, left } = heard.admin ? await everyLedger(env, name) : { names: [name], left: 0 };
  return { ...heard, names: [NOBODY, ...names], left };
}

/** A number of the query within bounds, null where it is none. */
function numberOf(request: Request, name: string, absent: number, least: number, most: number): number | null {
  const number = Number(new URL(request.url).searchParams.get(name) ?? absent);
  return Number.isInteger(number) && number >= least && number <= most ? number : null;
}

function limitOf(request: Request): number | null {
  return numberOf(request, "limit", LIMITS.audit_entries, 1, LIMITS.most_audit_entries);
}

/** The filters of a reading; null where one makes no sense. */
function wantedOf(asked: URLSearchParams): Wanted | null {
  const of = (name: string) => asked.get(name) || null;
  const [verdict, since] = [of("verdict"), of("since")];
  if (verdict !== null && verdict !== "allow" && verdict !== "deny") return null;
  if (since !== null && !/^[0-9]{1,12}(\.[0-9]{1,9})?$/.test(since)) return null;
  return { user: of("user"), agent: of("agent"), verdict, since: since === null ? null : Number(since) };
}

const wrongLimit = () => plainError(400, "invalid_request", say("audit_limit", { most: LIMITS.most_audit_entries }));

/** Answer a reading of the audit log: an ordinary user's own and the unattributed, an admin's all. */
export async function readAudit(request: Request, env: Env, settings: Settings, origin: string): Promise<Answer> {
  const heard = await readerOf(request, env, settings, origin);
  if ("refused" in heard) return heard.refused;
  const limit = limitOf(request);
  if (limit === null) return wrongLimit();
  const asked = new URL(request.url).searchParams;
  const wanted = wantedOf(asked);
  if (wanted === null) return plainError(400, "invalid_request", say("audit_filter"));
  const after = asked.get("after") || null;
  const query: Query = { reader: heard.user, everybody: heard.admin, after, limit, wanted };
  const logs = await Promise.all(heard.names.map((name) => env.USERS.getByName(name).read(query)));
  if (query.after !== null && !logs.some((log) => log.found)) {
    return plainError(400, "invalid_request", say("audit_after"));
  }
  const entries = merged(
    logs.map((log) => log.entries),
    query,
  );
  // Nobody's log is the first, and the reader's own the second.
  const forgotten = logs
    .slice(0, 2)
    .flatMap((log, at) => log.forgotten.map((one) => ({ user: at === 0 ? null : heard.user, ...one })));
  return json(200, {
    entries,
    ...(forgotten.length > 0 ? { forgotten } : {}),
    ...(heard.left > 0 ? { ledgers_not_read: heard.left } : {}),
  });
}

/** `GET /audit/checkpoint`: the logs that the reader may see, each with a checkpoint that is made now. */
export async function readCheckpoints(request: Request, env: Env, settings: Settings, origin: string) {
  const heard = await readerOf(request, env, settings, origin);
  if ("refused" in heard) return heard.refused;
  const of = async (name: string) => {
    const { written_before: _, link: __, ...told } = await env.USERS.getByName(name).checkpoint(origin);
    return { ...told, user: userOf(settings.issuer, name) };
  };
  const logs = (await Promise.all(heard.names.map(of))).filter(({ size }) => size > 0);
  return json(200, heard.left > 0 ? { logs, next: null, ledgers_not_read: heard.left } : { logs, next: null });
}

/** `GET /audit/log`: the entries of one log as they are chained, and the checkpoints that were made of them. */
export async function readLog(request: Request, env: Env, settings: Settings, origin: string): Promise<Answer> {
  const heard = await readerOf(request, env, settings, origin);
  if ("refused" in heard) return heard.refused;
  const limit = limitOf(request);
  if (limit === null) return wrongLimit();
  const after = numberOf(request, "after", 0, 0, Number.MAX_SAFE_INTEGER);
  if (after === null) return plainError(400, "invalid_request", say("audit_place"));
  const id = new URL(request.url).searchParams.get("id") ?? "";
  const found = await Promise.all(heard.names.map((name) => env.USERS.getByName(name).chained(id, after, limit)));
  const log = found.find((one) => one !== null) ?? null;
  // Somebody else's is as unknown as one that does not exist.
  return log === null ? plainError(404, "not_found", say("audit_log_unknown")) : json(200, log);
}

/** `GET /audit/dispatch`: what the warehouse was told of an order, and by which transaction. */
export async function readDispatch(request: Request, env: Env, settings: Settings, origin: string): Promise<Answer> {
  const heard = await readerOf(request, env, settings, origin);
  if ("refused" in heard) return heard.refused;
  const order = new URL(request.url).searchParams.get("order") ?? "";
  const found = await Promise.all(heard.names.map((name) => env.USERS.getByName(name).dispatched(order)));
  const told = found.find((one) => one !== null) ?? null;
  return told === null ? plainError(404, "not_found", say("no_dispatch")) : json(200, told);
}

/** `GET /audit/keys`: the key that signs checkpoints, for anybody. */
export async function auditKeys(env: Env): Promise<Answer> {
  return json(200, await env.STOCK.getByName(SHOP).jwks());
}

/** The newest ledgers, and the admin's own, which may be too young for the shop to know of it. */
async function everyLedger(env: Env, own: string) {
  const { names, total } = await env.STOCK.getByName(SHOP).ledgers(MOST_LEDGERS);
  return { names: [...new Set([own, ...names])], left: total - names.length };
}
