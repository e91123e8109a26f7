/** The audit log: every decision, in the order in which it was made, committed before its answer is sent.
 *
 * There is one log for each user and one for what nobody can be named for. Their ids begin with the time, so that
 * several logs read as one by sorting them. */

import type { Decision } from "../evidence";
import { canonical, firstLink, link } from "./audit_chain";
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

/** Entries that a log keeps: the newest, and those that led to an order. Anybody can fill the anonymous callers', and an
 * agent its human's. */
const MOST_OF_A_USER = 100_000;
const MOST_OF_NOBODY = 10_000;
/** Seconds: a year's entries, and those that are read a month later. */
const KEPT_SECONDS = 400 * 24 * 3600;
/** Entries: so often, and so many at most: more than came, and so few that no call waits for it. */
const PRUNED_EVERY = 100;
const PRUNED_AT_ONCE = 1000;

/** Begin the log's chain, once. Entries of an earlier version are chained as they are, and the log says how many. */
export function openLog(sql: SqlStorage): void {
  if (first(sql, "SELECT 1 FROM audit_log") !== null) return;
  const id = `log_${hex(8)}`;
  const rows = sql.exec("SELECT seq, decision FROM audit ORDER BY seq").toArray();
  const pruned = Number(rows[0]?.["seq"] ?? 1) - 1;
  let last = firstLink(id);
  sql.exec("INSERT INTO audit_log VALUES (1, ?, ?, ?, ?)", id, pruned, last, pruned + rows.length);
  for (const row of rows) {
    const entry = canonical({ ...JSON.parse(String(row["decision"])), seq: Number(row["seq"]) });
    last = link(last, entry);
    sql.exec("UPDATE audit SET decision = ?, link = ? WHERE seq = ?", entry, last, row["seq"]!);
  }
}

/** Write a new entry at the end of the log, with an id of this moment, and forget the oldest ones beyond `most`, but for
 * those that led to an order. Nothing that was written is ever changed. Gives the decision as it is on record. */
export function record(
  sql: SqlStorage,
  given: Decision,
  most = given.user === null ? MOST_OF_NOBODY : MOST_OF_A_USER,
  every = PRUNED_EVERY,
): Decision {
  const decision = { ...given, audit_id: newAuditId(sql, Date.now()) };
  const log = headOf(sql);
  const size = log.size + 1;
  const entry = canonical({ ...decision, seq: size });
  sql.exec(
    "INSERT INTO audit (seq, audit_id, user, decision, link) VALUES (?, ?, ?, ?, ?)",
    size,
    decision.audit_id,
    decision.user,
    entry,
    link(log.link, entry),
  );
  if (size % every === 0) {
    const over = Math.max(size - most, aged(sql, log.pruned, decision.at - KEPT_SECONDS, every));
    prune(sql, Math.min(over, log.pruned + PRUNED_AT_ONCE));
  }
  return decision;
}

/** Up to which place entries are older than this, of the first that are left. */
function aged(sql: SqlStorage, pruned: number, before: number, every: number): number {
  const rows = sql.exec(
    "SELECT seq, json_extract(decision, '$.at') AS at FROM audit WHERE seq > ? ORDER BY seq LIMIT ?",
    pruned,
    2 * every,
  );
  return Math.max(0, ...[...rows].filter(({ at }) => Number(at) < before).map(({ seq }) => Number(seq)));
}

/** Forget the entries up to and with the place `through`, but for those that led to an order, and count them by what they
 * said. The link of the last one is kept, so that what follows still proves itself. */
export function prune(sql: SqlStorage, through: number): void {
  const { pruned } = headOf(sql);
  const row = first(sql, "SELECT link FROM audit WHERE seq = ?", through);
  if (row === null || through <= pruned) return;
  const going = "FROM audit WHERE seq > ? AND seq <= ? AND json_extract(decision, '$.order_id') IS NULL";
  sql.exec("UPDATE audit_log SET pruned = ?, pruned_link = ?", through, row["link"]!);
  sql.exec(
    `INSERT INTO audit_forgotten SELECT json_extract(decision, '$.verdict') AS verdict,
       json_extract(decision, '$.rule') AS rule, count(*), min(json_extract(decision, '$.at')),
       max(json_extract(decision, '$.at')) ${going} GROUP BY verdict, rule
     ON CONFLICT (verdict, rule) DO UPDATE SET entries = entries + excluded.entries,
       first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)`,
    pruned,
    through,
  );
  sql.exec(`DELETE ${going}`, pruned, through);
  sql.exec("DELETE FROM audit_checkpoints WHERE size < ?", through);
}

/** Entries that are counted and kept no more, by what they said; times in POSIX seconds. */
export interface Forgotten {
  verdict: string;
  rule: string;
  entries: number;
  first_at: number;
  last_at: number;
}

/** What of this log is counted only. */
function forgotten(sql: SqlStorage): Forgotten[] {
  return sql.exec("SELECT * FROM audit_forgotten ORDER BY verdict, rule").toArray() as unknown as Forgotten[];
}

/** Whether one of the last entries has this correlation id. */
export function knows(sql: SqlStorage, correlation: string): boolean {
  const statement = `SELECT 1 FROM audit WHERE seq > (SELECT max(seq) FROM audit) - 200
    AND json_extract(decision, '$.correlation') = ?`;
  return first(sql, statement, correlation) !== null;
}

/** A log as it is: its id, what is kept of it, and where it ends. */
export interface Head {
  log: string;
  size: number;
  link: string;
  pruned: number;
  pruned_link: string;
  written_before: number;
}

/** This log as it is now. */
export function headOf(sql: SqlStorage): Head {
  const about = first(sql, "SELECT * FROM audit_log")!;
  const [pruned, prunedLink] = [Number(about["pruned"]), String(about["pruned_link"])];
  const last = first(sql, "SELECT seq, link FROM audit WHERE seq > ? ORDER BY seq DESC LIMIT 1", pruned);
  return {
    log: String(about["id"]),
    size: last === null ? pruned : Number(last["seq"]),
    link: last === null ? prunedLink : String(last["link"]),
    pruned,
    pruned_link: prunedLink,
    written_before: Number(about["written_before"]),
  };
}

/** The size and link of the last checkpoint; null where there is none. */
export function lastCheckpoint(sql: SqlStorage): { size: number; jws: string } | null {
  const row = first(sql, "SELECT size, jws FROM audit_checkpoints ORDER BY size DESC LIMIT 1");
  return row === null ? null : { size: Number(row["size"]), jws: String(row["jws"]) };
}

/** Keep a checkpoint. */
export function keepCheckpoint(sql: SqlStorage, size: number, jws: string): void {
  sql.exec("INSERT OR IGNORE INTO audit_checkpoints (size, jws) VALUES (?, ?)", size, jws);
}

/** Whether what the log has follows from a checkpoint of the size and link that are given. */
export function follows(sql: SqlStorage, head: Head, size: number, known: string): boolean {
  if (size > head.size) return false;
  let [place, last] = size >= head.pruned ? [size, known] : [head.pruned, head.pruned_link];
  const there = place === 0 ? null : first(sql, "SELECT link FROM audit WHERE seq = ?", place);
  if (place > head.pruned && there?.["link"] !== last) return false;
  const rows = sql.exec(
    "SELECT seq, link, decision FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq",
    place,
    head.size,
  );
  for (const row of rows) {
    last = link(last, String(row["decision"]));
    place += 1;
    if (row["seq"] !== place || row["link"] !== last) return false;
  }
  return place === head.size && last === head.link;
}

/** Entries as they are chained, and the checkpoints that were made of them. */
export interface Chained {
  log: string;
  entries: { link: string; entry: Decision & { seq: number } }[];
  checkpoints: string[];
}

/** The first `limit` entries after a place. */
export function chained(sql: SqlStorage, after: number, limit: number): Chained {
  const rows = sql.exec("SELECT link, decision FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", after, limit).toArray();
  const entries = rows.map((row) => ({ link: String(row["link"]), entry: JSON.parse(String(row["decision"])) }));
  const through = entries.at(-1)?.entry.seq ?? after;
  const signed = sql.exec(
    "SELECT jws FROM audit_checkpoints WHERE size > ? AND size <= ? ORDER BY size",
    after,
    through,
  );
  return { log: headOf(sql).log, entries, checkpoints: [...signed].map((row) => String(row["jws"])) };
}

/** What to read: see `entries`. */
export interface Query {
  /** A user's `sub`: sees what is attributed to them and what is attributed to nobody. */
  reader: string | null;
  /** An admin: sees all. */
  everybody: boolean;
  after: string | null;
  limit: number;
  /** Of these only the ones that fit: a human's `sub` or readable name, an agent's id or its software's, a verdict, the
   * first moment in POSIX seconds. */
  wanted: Wanted;
}

/** See `Query`; what is null fits all. */
export interface Wanted {
  user: string | null;
  agent: string | null;
  verdict: string | null;
  since: number | null;
}

/** Entries of one log, and what of it is counted only. */
export interface Page {
  found: boolean;
  entries: Decision[];
  forgotten: Forgotten[];
}

/** Entries, oldest first: the first `limit` after the id `after`, or without one the last `limit` there are. `found`
 * says whether `after` is an entry of this log. */
export function entries(sql: SqlStorage, query: Query): Page {
  const { reader, everybody, after, limit, wanted } = query;
  const { user, agent, verdict, since } = wanted;
  // Ids begin with the time.
  const moment =
    since === null
      ? ""
      : `audit_${Math.floor(since * 1000)
          .toString(16)
          .padStart(12, "0")}`;
  const start = [after ?? "", moment].sort().at(-1)!;
  const found = after !== null && first(sql, "SELECT 1 FROM audit WHERE audit_id = ?", after) !== null;
  const rows = sql
    .exec(
      `SELECT decision FROM audit WHERE audit_id > ? AND (? OR user IS NULL OR user = ?)
       AND (? IS NULL OR ? IN (user, json_extract(decision, '$.username')))
       AND (? IS NULL OR ? IN (json_extract(decision, '$.agent'), json_extract(decision, '$.client')))
       AND (? IS NULL OR json_extract(decision, '$.verdict') = ?) AND (? IS NULL OR json_extract(decision, '$.at') >= ?)
       ORDER BY audit_id ${after === null ? "DESC" : "ASC"} LIMIT ?`,
      start,
      everybody ? 1 : 0,
      reader,
      ...[user, user, agent, agent, verdict, verdict, since, since],
      limit,
    )
    .toArray()
    .map((row) => {
      const { seq: _, ...decision } = JSON.parse(String(row["decision"])) as Decision & { seq: number };
      return decision;
    });
  return { found, entries: after === null ? rows.reverse() : rows, forgotten: forgotten(sql) };
}

/** Several logs as one: what `entries` would have given, had all been written to a single one. Of the last there are at
 * most half are attributed to nobody where there are others: anybody can make thousands of those, and a person's own
 * must not be gone from the page for that. */
export function merged(logs: Decision[][], { after, limit }: Pick<Query, "after" | "limit">): Decision[] {
  const all = logs.flat().sort((one, other) => (one.audit_id < other.audit_id ? -1 : 1));
  if (after !== null) return all.slice(0, limit);
  const theirs = all.filter(({ user }) => user !== null && user !== undefined).length;
  let nobodys = limit - Math.min(theirs, Math.floor(limit / 2));
  const fair = all.reverse().filter(({ user }) => (user !== null && user !== undefined) || nobodys-- > 0);
  return fair.slice(0, limit).reverse();
}
