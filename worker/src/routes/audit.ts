/** `GET /audit`: the audit log for those it is about. */

import { LIMITS, say, SCOPES } from "../catalog";
import { merged, type Query } from "../ledger/audit_log";
import { SHOP } from "../ledger/stock";
import { ledgerName, NOBODY } from "../gatehouse/requests";
import type { Env } from "../env";
import type { Settings } from "../settings";
import { json, plainError, type Answer } from "../wire/answer";
import { spellings } from "../wire/origin";
import { ledgerOf, presented } from "./edge";

/** Ledgers that one reading by an admin goes to, the newest first: each is a request of its own, and a Worker may make
 * only so many for one request of a client's. */
const MOST_LEDGERS = 40;

/** Answer a reading of the audit log: an ordinary user's own and the unattributed, an admin's all. */
export async function readAudit(request: Request, env: Env, settings: Settings, origin: string): Promise<Answer> {
  const known = await presented(request, settings);
  const own = ledgerOf(known.facts.user, env, settings);
  // A console that has a token for the human's own routes need not ask for another one to read what was done.
  const console = spellings(settings.adminResource).some((one) => known.facts.audience.includes(one));
  const resource = console ? settings.adminResource : settings.resource;
  const wanted = { origin, resource, scope: SCOPES.audit, own: false, ...known };
  const heard = await own.admit(wanted);
  if ("refused" in heard) return heard.refused;
  const asked = new URL(request.url).searchParams;
  const limit = Number(asked.get("limit") ?? LIMITS.audit_entries);
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.most_audit_entries) {
    return plainError(400, "invalid_request", say("audit_limit", { most: LIMITS.most_audit_entries }));
  }
  const query: Query = { reader: heard.user, everybody: heard.admin, after: asked.get("after") || null, limit };
  const nobody = env.USERS.getByName(NOBODY);
  const { ledgers, left } = heard.admin
    ? await everyLedger(env, ledgerName(settings.issuer, heard.user))
    : { ledgers: [own], left: 0 };
  const logs = await Promise.all([nobody, ...ledgers].map((ledger) => ledger.read(query)));
  if (query.after !== null && !logs.some((log) => log.found)) {
    return plainError(400, "invalid_request", say("audit_after"));
  }
  const entries = merged(
    logs.map((log) => log.entries),
    query,
  );
  return json(200, left > 0 ? { entries, ledgers_not_read: left } : { entries });
}

/** The newest ledgers, and the admin's own, which may be too young for the shop to know of it. */
async function everyLedger(env: Env, own: string) {
  const { names, total } = await env.STOCK.getByName(SHOP).ledgers(MOST_LEDGERS);
  const read = [...new Set([own, ...names])];
  return { ledgers: read.map((name) => env.USERS.getByName(name)), left: total - names.length };
}
