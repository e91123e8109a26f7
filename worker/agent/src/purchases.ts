/** What the agent bought and is about to buy: a table in the object's own storage. Nothing is sent that is not in it. */

import type { Agent } from "agents";
import type { Outcome } from "./outcome";

export interface Purchase {
  n: number;
  key: string;
  /** What the shop is sent, as JSON; decided once, and sent again as it is. */
  args: string;
  says: string;
  status: "planned" | "bought" | "refused";
  attempts: number;
  order_id: string | null;
  replayed: number;
  rule: string;
  reason: string;
}

export class Purchases {
  constructor(private readonly storage: Pick<Agent, "sql">) {}

  prepare(): void {
    this.storage.sql`CREATE TABLE IF NOT EXISTS purchases (
      round TEXT, n INTEGER, key TEXT UNIQUE, args TEXT, says TEXT, status TEXT, attempts INTEGER, order_id TEXT,
      replayed INTEGER, rule TEXT, reason TEXT, PRIMARY KEY (round, n))`;
  }

  /** Those of one start, in order. */
  of(round: string): Purchase[] {
    return this.storage.sql<Purchase>`SELECT n, key, args, says, status, attempts, order_id, replayed, rule, reason
      FROM purchases WHERE round = ${round} ORDER BY n`;
  }

  forget(round: string): void {
    this.storage.sql`DELETE FROM purchases WHERE round = ${round}`;
  }

  /** The next one of this start, with nothing decided but its idempotency key. */
  plan(round: string): Purchase {
    const n = this.of(round).length + 1;
    const key = `${round}-${n}`;
    this.storage.sql`INSERT INTO purchases VALUES (${round}, ${n}, ${key}, '', '', 'planned', 0, NULL, 0, '', '')`;
    return this.of(round).at(-1)!;
  }

  /** Another attempt of it begins. */
  attempt(key: string): void {
    this.storage.sql`UPDATE purchases SET attempts = attempts + 1 WHERE key = ${key}`;
  }

  decided(key: string, args: string, says: string): void {
    this.storage.sql`UPDATE purchases SET args = ${args}, says = ${says} WHERE key = ${key}`;
  }

  /** What came of an attempt. */
  note(key: string, outcome: Outcome): void {
    switch (outcome.kind) {
      case "trouble":
        this.storage.sql`UPDATE purchases SET reason = ${outcome.reason} WHERE key = ${key}`;
        break;
      case "over":
        this.storage.sql`UPDATE purchases SET status = 'refused', reason = ${outcome.reason} WHERE key = ${key}`;
        break;
      case "refused":
        this.storage.sql`UPDATE purchases SET status = 'refused', rule = ${outcome.rule}, reason = ${outcome.reason}
          WHERE key = ${key}`;
        break;
      case "done":
        this.storage
          .sql`UPDATE purchases SET status = 'bought', order_id = ${outcome.order}, replayed = ${outcome.replayed ? 1 : 0},
          reason = '' WHERE key = ${key}`;
    }
  }
}
