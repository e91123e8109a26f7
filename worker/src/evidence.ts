/** What goes over the wire as evidence. Field names are the local shop's (`docs/wire.md`), money is in minor units,
 * times are POSIX seconds. */

import { ITEM } from "./generated/shop";

export interface Money {
  amount: number;
  currency: string;
}

/** An amount of minor units in the shop's one currency. */
export function money(amount: number): Money {
  return { amount, currency: ITEM.price.currency };
}

/** "25.00 USD". */
export function inWords(value: Money): string {
  return `${(value.amount / 100).toFixed(2)} ${value.currency}`;
}

export type Verdict = "allow" | "deny";
export type Door = "open" | "protected";

/** What was decided about one request; the same fields stand in the audit log. */
export interface Decision {
  audit_id: string;
  at: number;
  verdict: Verdict;
  gate: string;
  rule: string;
  reason: string;
  remedy: string | null;
  door: Door;
  tool: string | null;
  /** A digest, never the arguments themselves: they hold a postal address. */
  arguments: string | null;
  user: string | null;
  username: string | null;
  agent: string | null;
  /** The agents above a sub-agent, the nearest first, with spaces between; null of one that was consented to. */
  handed_on_by: string | null;
  client: string | null;
  session: string | null;
  consent: string | null;
  token_id: string | null;
  order_id: string | null;
  /** What the client calls the request, or the shop where the client does not; of an event its own id. */
  correlation: string | null;
  /** The trace that the request is part of (W3C Trace Context), where the client says so. */
  trace_id: string | null;
}

/** How much of one limit is used. */
export interface LimitUse {
  name: "rate" | "purchases" | "spending";
  used: number;
  limit: number;
  /** "calls", "purchases" or a currency. */
  unit: string;
  /** Seconds of a window; null where the limit has none. */
  window: number | null;
  resets_at: number | null;
}

/** An order as its buyer is told it. */
export interface Order {
  id: string;
  item: string;
  size: string;
  company: string;
  price: Money;
  at: number;
  user: string | null;
  agent: string | null;
  consent: string | null;
  replayed: boolean;
  cancelled: boolean;
  balance: Money | null;
  spendingLimit: Money | null;
}

/** A value that others chose, made fit for one line: cut in the middle, nothing unprintable. */
export function short(value: string, length = 40): string {
  const clean = [...value.replace(/(?! )[\p{C}\p{Z}]/gu, "?")];
  if (clean.length <= length) return clean.join("");
  const half = Math.floor(length / 2);
  return `${clean.slice(0, half - 1).join("")}...${clean.slice(-(half - 2)).join("")}`;
}

/** Now, in POSIX seconds. */
export function now(): number {
  return Date.now() / 1000;
}
