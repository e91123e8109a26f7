/** The audit log: every decision, in the order in which it was made, committed before its answer is sent.
 *
 * There is one log for each user and one for what nobody can be named for. Their ids begin with the time, so that
 * several logs read as one by sorting them. */

import type { Decision } from "../evidence";
import { hex } from "./orders";
import { first } from "./schema";

/** A new entry's id: later than every id of this log, even where the clock went back. */
export function newAuditId(sql: SqlStorage, nowMs: number): string {
  const last = first(sql, "SELECT audit_id FROM audit ORDER BY seq DESC LIMIT 1")?.["audit_id"];
  const fresh = `${Math.floor(nowMs).toString(16).padStart(12, "0")}${hex(6)}`;
  const before = typeof last === "string" ? last.slice("audit_".length) : "";
  if (fresh > before) return `audit_${fresh}`;
  return `audit_${(BigInt(`0x${before}`) + 1n).toString(16).padStart(24, "0")}`;
}

/** Write a new entry, and forget the oldest ones beyond `most`. */
export function record(sql: SqlStorage, decision: Decision, most: number): void {
  sql.exec(
    "INSERT INTO audit (audit_id, user, decision) VALUES (?, ?, ?)",
    decision.audit_id,
    decision.user,
    JSON.stringify(decision),
  );
  sql.exec("DELETE FROM audit WHERE seq <= (SELECT max(seq) FROM audit) - ?", most);
}

/** Write down what came of an entry that was allowed: its order, or the guard that stopped it after all. */
export function amend(sql: SqlStorage, auditId: string, changes: Partial<Decision>): Decision | null {
  const row = first(sql, "SELECT decision FROM audit WHERE audit_id = ?", auditId);
  if (row === null) return null;
  const amended: Decision = { ...JSON.parse(String(row["decision"])), ...changes };
  sql.exec("UPDATE audit SET decision = ? WHERE audit_id = ?", JSON.stringify(amended), auditId);
  return amended;
}

/** What to read: see `entries`. */
export interface Query {
  /** A user's `sub`: sees what is attributed to them and what is attributed to nobody. */
  reader: string | null;
  /** An admin: sees all. */
  everybody: boolean;
  after: string | null;
  limit: number;
}

/** Entries, oldest first: the first `limit` after the id `after`, or without one the last `limit` there are. `found`
 * says whether `after` is an entry of this log. */
export function entries(sql: SqlStorage, query: Query): { found: boolean; entries: Decision[] } {
  const { reader, everybody, after, limit } = query;
  const found = after !== null && first(sql, "SELECT 1 FROM audit WHERE audit_id = ?", after) !== null;
  const rows = sql
    .exec(
      `SELECT decision FROM audit WHERE audit_id > ? AND (? OR user IS NULL OR user = ?)
       ORDER BY audit_id ${after === null ? "DESC" : "ASC"} LIMIT ?`,
      after ?? "",
      everybody ? 1 : 0,
      reader,
      limit,
    )
    .toArray()
    .map((row) => JSON.parse(String(row["decision"])) as Decision);
  return { found, entries: after === null ? rows.reverse() : rows };
}

/** Several logs as one: what `entries` would have given, had all been written to a single one. */
export function merged(logs: Decision[][], query: Query): Decision[] {
  const all = logs.flat().sort((one, other) => (one.audit_id < other.audit_id ? -1 : 1));
  return query.after === null ? all.slice(-query.limit) : all.slice(0, query.limit);
}
