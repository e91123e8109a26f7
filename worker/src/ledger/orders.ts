/** Orders and their idempotency keys. Every function is one step inside a transaction of the caller's.
 *
 * Stock is the whole shop's and lives in another object. An order is therefore written down as pending first, then
 * asked for there by its id, and then placed or withdrawn: whatever is cut off in between is settled later, and
 * nothing is taken twice. A pending order counts against quota and balance. */

import { ITEM } from "../catalog";
import { money, type Decision, type Door, type Money, type Order } from "../evidence";
import type { SpendingLimit } from "../policy/facts";
import { first } from "./schema";

/** A rule of the limits gate, or a sentence of the catalog. */
export type Fault =
  "limits.quota" | "limits.spending" | "limits.consent" | "limits.approval" | "key_reused" | "sold_out";

/** The order was not placed, and nothing was taken from quota, balance or stock. */
export class PurchaseRefused extends Error {
  constructor(readonly fault: Fault) {
    super(fault);
  }
}

/** What is to be bought, by whom, on which account, within which terms. */
export interface Purchase {
  door: Door;
  /** What quota and money are counted by: the consent. */
  account: string;
  /** Whose idempotency keys are looked through: the agent's, over all its consents. */
  caller: string;
  size: string;
  company: string;
  address: string;
  /** A digest of what was asked for, to tell a repeated request from a key used twice. */
  arguments: string;
  price: Money;
  at: number;
  key: string | null;
  user: string | null;
  agent: string | null;
  client: string | null;
  consent: string | null;
  /** Purchases that the account is good for; null at the open door, where nobody set one. */
  quota: number | null;
  /** Who buys, and each above it, but for the agent that the human consented to: by these, too, it is spent. */
  subAgents: string[];
  /** What may be spent by a sub-agent, and for null by the account. With a quota set, none of them means that no money
   * may be spent at all. */
  spendingLimits: SpendingLimit[];
  /** Whether a human must have approved this very purchase, and the id of that yes, which this uses up. */
  toBeApproved: boolean;
  approval: string | null;
  /** By whose tokens the warehouse is told of it (`whose` of the outbox); null where it is not. */
  told: string | null;
}

/** What an account has used so far, counted from its orders, so that it cannot disagree with them.
 *
 * @param by a sub-agent: only what it, and who is below it, used. */
export function spent(sql: SqlStorage, account: string, by: string | null = null): { orders: number; amount: number } {
  const counted = "SELECT count(*) AS n, coalesce(sum(amount), 0) AS amount FROM orders";
  const theirs = "EXISTS (SELECT 1 FROM json_each(sub_agents) WHERE value = ?)";
  const row =
    by === null
      ? first(sql, `${counted} WHERE account = ?`, account)
      : first(sql, `${counted} WHERE account = ? AND ${theirs}`, account, by);
  return { orders: Number(row?.["n"]), amount: Number(row?.["amount"]) };
}

/** The order that this caller's idempotency key stands for, or null. */
export function findReplay(
  sql: SqlStorage,
  caller: string,
  key: string | null,
): { id: string; arguments: string } | null {
  if (key === null) return null;
  const row = first(sql, "SELECT order_id, arguments FROM keys WHERE caller = ? AND key = ?", caller, key);
  return row === null ? null : { id: String(row["order_id"]), arguments: String(row["arguments"]) };
}

/** Whether an order was begun on this approval of one purchase. */
export function isUsed(sql: SqlStorage, approval: string): boolean {
  return first(sql, "SELECT 1 FROM approvals WHERE id = ?", approval) !== null;
}

/**
 * Write an order down as pending, or find the one that its key stands for.
 *
 * @throws PurchaseRefused with the reason; the transaction must be rolled back. The guards repeat what the gates
 * decided a moment before, in the same transaction as the order.
 */
export function begin(sql: SqlStorage, wanted: Purchase, decision: Decision): Order {
  const replay = findReplay(sql, wanted.caller, wanted.key);
  if (replay !== null) {
    if (replay.arguments !== wanted.arguments) throw new PurchaseRefused("key_reused");
    return receipt(sql, wanted, replay.id, true);
  }
  if (wanted.quota !== null) {
    const used = spent(sql, wanted.account);
    if (used.orders >= wanted.quota) throw new PurchaseRefused("limits.quota");
    if (wanted.spendingLimits.length === 0) throw new PurchaseRefused("limits.consent");
    if (balances(sql, wanted, used.amount).some(({ left }) => left < wanted.price.amount)) {
      throw new PurchaseRefused("limits.spending");
    }
  }
  if (wanted.toBeApproved && (wanted.approval === null || isUsed(sql, wanted.approval))) {
    throw new PurchaseRefused("limits.approval");
  }
  const id = `order_${hex(6)}`;
  sql.exec(
    `INSERT INTO orders (id, at, state, door, account, user, agent, client, consent, item, size, company, address,
       amount, currency, audit_id, decision, sub_agents)
       VALUES (?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?)`,
    id,
    wanted.at,
    wanted.door,
    wanted.account,
    wanted.user,
    wanted.agent,
    wanted.client,
    wanted.consent,
    ITEM.name,
    wanted.size,
    wanted.company,
    wanted.address,
    wanted.price.amount,
    wanted.price.currency,
    JSON.stringify(decision),
    wanted.subAgents.length === 0 ? null : JSON.stringify(wanted.subAgents),
  );
  if (wanted.toBeApproved) sql.exec("INSERT INTO approvals (id, order_id) VALUES (?, ?)", wanted.approval, id);
  if (wanted.key !== null) {
    sql.exec(
      "INSERT INTO keys (caller, key, arguments, order_id) VALUES (?, ?, ?, ?)",
      wanted.caller,
      wanted.key,
      wanted.arguments,
      id,
    );
  }
  return receipt(sql, wanted, id, false);
}

/** There was stock for it; `auditId` is the entry of the audit log that it was placed by. */
export function place(sql: SqlStorage, id: string, auditId: string): void {
  sql.exec(
    "UPDATE orders SET state = 'placed', audit_id = ?, decision = NULL WHERE id = ? AND state = 'pending'",
    auditId,
    id,
  );
}

/** There was none: as if it had never been asked for. */
export function withdraw(sql: SqlStorage, id: string): void {
  sql.exec("DELETE FROM keys WHERE order_id = ?", id);
  sql.exec("DELETE FROM approvals WHERE order_id = ?", id);
  sql.exec("DELETE FROM orders WHERE id = ?", id);
}

/** It is not known what becomes of it, and that is on record: it is only to be undone. */
export function leave(sql: SqlStorage, id: string): void {
  sql.exec("UPDATE orders SET decision = NULL WHERE id = ?", id);
}

/** Orders that were begun and neither placed nor withdrawn, with what was decided about each and is not on record yet;
 * null for one of an earlier version, which had that on record. */
export function pending(sql: SqlStorage): { id: string; decision: Decision | null }[] {
  const rows = sql.exec("SELECT id, decision FROM orders WHERE state = 'pending' ORDER BY seq").toArray();
  return rows.map((row) => ({
    id: String(row["id"]),
    decision: row["decision"] === null ? null : (JSON.parse(String(row["decision"])) as Decision),
  }));
}

/** Through whom an order was placed; the client counts where no agent is named, as in `callerOf`. */
export type Through = Pick<Purchase, "agent" | "client">;

/** Placed orders of one door with the addresses they go to, oldest first: all, or those placed through one agent. */
export function placed(sql: SqlStorage, door: Door, through: Through | null): (Order & { mailingAddress: string })[] {
  const rows = sql
    .exec(
      `SELECT * FROM orders WHERE door = ? AND state = 'placed'
         AND (? OR (agent IS ? AND (agent IS NOT NULL OR client IS ?))) ORDER BY seq`,
      door,
      through === null ? 1 : 0,
      through?.agent ?? null,
      through?.client ?? null,
    )
    .toArray();
  return rows.map((row) => ({ ...orderOf(row), mailingAddress: String(row["address"]) }));
}

function receipt(sql: SqlStorage, wanted: Purchase, id: string, replayed: boolean): Order {
  const row = first(sql, "SELECT * FROM orders WHERE id = ?", id);
  if (row === null) throw new Error(`no order ${id}`);
  const used = spent(sql, wanted.account);
  const [tightest] = balances(sql, wanted, used.amount).sort((one, other) => one.left - other.left);
  const [balance, limit] = tightest === undefined ? [null, null] : [money(tightest.left), tightest.limit];
  return { ...orderOf(row), replayed, balance, spendingLimit: limit };
}

/** What is left of each limit, and the limit; `used` is what the account has spent. */
function balances(
  sql: SqlStorage,
  { account, spendingLimits }: Purchase,
  used: number,
): { left: number; limit: Money }[] {
  return spendingLimits.map(({ by, limit }) => {
    return { left: limit.amount - (by === null ? used : spent(sql, account, by).amount), limit };
  });
}

function orderOf(row: Record<string, SqlStorageValue>): Order {
  const text = (name: string) => String(row[name]);
  const maybe = (name: string) => (row[name] === null ? null : String(row[name]));
  return {
    id: text("id"),
    item: text("item"),
    size: text("size"),
    company: text("company"),
    price: { amount: Number(row["amount"]), currency: text("currency") },
    at: Number(row["at"]),
    user: maybe("user"),
    agent: maybe("agent"),
    consent: maybe("consent"),
    replayed: false,
    cancelled: false,
    balance: null,
    spendingLimit: null,
  };
}

/** So many random bytes in hexadecimal. */
export function hex(bytes: number): string {
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
