/** What the warehouse is to be told of, and what became of it. An order is put here in the transaction that places it, so
 * that none is lost. No token is kept: where the object ended before, the session's next call brings one. */

import { short } from "../evidence";
import { agentOf, type TokenFacts } from "../policy/facts";
import { first } from "./schema";

/** An order that the warehouse is to be told of. */
export interface Waiting {
  order: string;
  amount: number;
  currency: string;
  size: string;
  company: string;
  address: string;
  tries: number;
}

/** What became of an order, as `GET /audit/dispatch` tells it. */
export interface Dispatched {
  order: string;
  state: "waiting" | "sent" | "refused";
  tries: number;
  /** The transaction, where it was sent. */
  txn: string | null;
  why: string | null;
  at: number;
}

/** By whose tokens an order is told: those of the agent that placed it, in its session. A sub-agent has the session of
 * the agent above it, and its token would say that it had bought. Null of a token that names no session. */
export function whose(token: TokenFacts): string | null {
  if (token.session === null) return null;
  const agent = agentOf(token);
  return agent === null ? token.session : `${token.session} ${agent}`;
}

/** Put an order in that is placed in the same transaction; `session` is `whose` it is. */
export function add(sql: SqlStorage, order: string, session: string, at: number): void {
  sql.exec(
    "INSERT INTO outbox (order_id, session, state, tries, at) VALUES (?, ?, 'waiting', 0, ?)",
    order,
    session,
    at,
  );
}

/** The order of a session that was tried least, or null where none waits. */
export function next(sql: SqlStorage, session: string): Waiting | null {
  const row = first(
    sql,
    `SELECT o.id, o.amount, o.currency, o.size, o.company, o.address, b.tries FROM outbox b
       JOIN orders o ON o.id = b.order_id WHERE b.session = ? AND b.state = 'waiting' ORDER BY b.tries LIMIT 1`,
    session,
  );
  if (row === null) return null;
  const text = (name: string) => String(row[name]);
  const [amount, tries] = [Number(row["amount"]), Number(row["tries"])];
  const to = { size: text("size"), company: text("company"), address: text("address") };
  return { order: text("id"), amount, currency: text("currency"), ...to, tries };
}

/** It could not be told now, and waits. */
export function tried(sql: SqlStorage, order: string, why: string, at: number): void {
  sql.exec("UPDATE outbox SET tries = tries + 1, why = ?, at = ? WHERE order_id = ?", short(why, 200), at, order);
}

/** It was told, by this transaction. */
export function sent(sql: SqlStorage, order: string, txn: string, at: number): void {
  sql.exec(
    "UPDATE outbox SET state = 'sent', tries = tries + 1, txn = ?, why = NULL, at = ? WHERE order_id = ?",
    txn,
    at,
    order,
  );
}

/** It never will be. */
export function refused(sql: SqlStorage, order: string, why: string, at: number): void {
  sql.exec(
    "UPDATE outbox SET state = 'refused', tries = tries + 1, why = ?, at = ? WHERE order_id = ?",
    short(why, 200),
    at,
    order,
  );
}

/** What became of an order; null where the warehouse is not to be told of it. */
export function dispatched(sql: SqlStorage, order: string): Dispatched | null {
  const row = first(sql, "SELECT * FROM outbox WHERE order_id = ?", order);
  if (row === null) return null;
  const maybe = (name: string) => (row[name] === null ? null : String(row[name]));
  const state = String(row["state"]) as Dispatched["state"];
  return { order, state, tries: Number(row["tries"]), txn: maybe("txn"), why: maybe("why"), at: Number(row["at"]) };
}
