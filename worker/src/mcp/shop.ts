/** Buying, from the order that is written down to the stock that is there for it. */

import { amend } from "../ledger/audit_log";
import {
  begin,
  pending,
  place,
  placed,
  PurchaseRefused,
  withdraw,
  type Purchase,
  type Through,
} from "../ledger/orders";
import { ban, isBanned, liftBan, revokedKind } from "../ledger/standing";
import { StandingChanged, TRIES, type Relied, type Reliance } from "../ledger/reliance";
import { LedgerFailed } from "../ledger/schema";
import { now, type Decision, type Door, type Order } from "../evidence";
import { openStock, setOpenStock, SHOP, type StockBinding } from "../ledger/stock";
import type { Kind, TokenFacts } from "../policy/facts";

/** What came of a purchase. */
export type Bought = { order: Order; decision: Decision | null } | { soldOut: true } | { revoked: Kind | "token" };

/** One object's orders and bans, and the stock that it shares with all others. */
export class Shop {
  /** Orders that are being served now. */
  private readonly underWay = new Set<string>();

  constructor(
    private readonly storage: DurableObjectStorage,
    private readonly env: StockBinding,
    private readonly reliance: Reliance,
  ) {}

  /**
   * Run `work` in one transaction.
   *
   * @throws LedgerFailed what the storage says; what `work` itself refuses (`PurchaseRefused`) is thrown as it is.
   */
  write<T>(work: () => T): T {
    try {
      return this.storage.transactionSync(work);
    } catch (error) {
      if (error instanceof PurchaseRefused || error instanceof StandingChanged) throw error;
      console.error("the ledger cannot be written", error);
      throw new LedgerFailed("the ledger cannot be written", { cause: error });
    }
  }

  /** How many shirts are left at a door: each has its own, or anonymous callers could sell the shop out to everybody.
   *
   * @param openAtFirst what the open door begins with. */
  async stockLeft(door: Door, openAtFirst: number): Promise<number> {
    return door === "open" ? openStock(this.storage.sql, openAtFirst) : this.stock.left();
  }

  /**
   * Buy at the open door, from its own stock, or find the order that the key stands for.
   *
   * @throws PurchaseRefused a guard says no; nothing was taken.
   */
  buyOpen(wanted: Purchase, openAtFirst: number): { order: Order; decision: Decision | null } {
    const { sql } = this.storage;
    return this.write(() => {
      const order = begin(sql, wanted);
      if (!order.replayed) {
        const left = openStock(sql, openAtFirst);
        if (left < 1) throw new PurchaseRefused("sold_out");
        setOpenStock(sql, left - 1);
      }
      place(sql, order.id);
      return { order, decision: amend(sql, wanted.auditId, { order_id: order.id }) };
    });
  }

  /**
   * Buy, or find the order that the key stands for. While the stock is asked, what the token was granted may be revoked,
   * here or at the authorization server: that is seen in the transaction that places the order, and nothing is placed
   * after it.
   *
   * @param relied what the authorization server said of the grant.
   * @param again asks it once more, where what it said is good no longer.
   * @throws PurchaseRefused a guard says no; nothing was taken.
   */
  async buy(
    wanted: Purchase,
    token: TokenFacts,
    relied: Relied | null,
    again: () => Promise<Relied | null>,
  ): Promise<Bought> {
    await this.settle();
    const order = this.write(() => begin(this.storage.sql, wanted));
    this.underWay.add(order.id);
    try {
      if (!order.replayed && !(await this.stock.take(order.id))) {
        this.write(() => withdraw(this.storage.sql, order.id));
        return { soldOut: true };
      }
      let now = relied;
      for (let tries = 0; ; tries++) {
        const bought = this.write(() => this.placed(wanted, order, token, now, tries < TRIES));
        if (bought === "again") {
          now = await again();
          continue;
        }
        if ("revoked" in bought) await this.stock.giveBack(order.id);
        return bought;
      }
    } finally {
      this.underWay.delete(order.id);
    }
  }

  /** Placed and on record at once: what is cut off in between would be an order that nobody authorized. */
  private placed(
    wanted: Purchase,
    order: Order,
    token: TokenFacts,
    relied: Relied | null,
    mayAsk: boolean,
  ): Bought | "again" {
    const { sql } = this.storage;
    if (!order.replayed) {
      const since = relied?.since ?? null;
      let revoked: Kind | "token" | null = revokedKind(sql, token);
      if (relied !== null && !relied.standing.active) revoked ??= relied.standing.revoked ?? "token";
      else if (since !== null) revoked ??= this.reliance.changed(token, since);
      if (revoked === null && since !== null && this.reliance.over(since)) {
        if (mayAsk) return "again";
        revoked = "token";
      }
      if (revoked !== null) {
        withdraw(sql, order.id);
        return { revoked };
      }
    }
    place(sql, order.id);
    return { order, decision: amend(sql, wanted.auditId, { order_id: order.id }) };
  }

  /** Write down that a guard stopped, after all, what the gates had let through. */
  amend(decision: Decision, changes: Partial<Decision>): Decision {
    return this.write(() => amend(this.storage.sql, decision.audit_id, changes)) ?? decision;
  }

  /** Placed orders with their addresses: the human's own, or those of the open door, for the shop's eyes alone.
   *
   * @param through only what was placed through this agent, or this client where no agent is named; null: all. */
  async orders(door: Door, through: Through | null): Promise<ReturnType<typeof placed>> {
    await this.settle().catch((error: unknown) => console.error("an order is not settled yet", error));
    return placed(this.storage.sql, door, through);
  }

  ban(caller: string): void {
    this.write(() => ban(this.storage.sql, caller, now()));
  }

  liftBan(caller: string): boolean {
    return this.write(() => liftBan(this.storage.sql, caller));
  }

  isBanned(caller: string): boolean {
    return isBanned(this.storage.sql, caller);
  }

  /** Take orders back that were begun and cut off, by the end of this object or of a request: nobody was told of them,
   * and what they were authorized by may have been revoked since. */
  private async settle(): Promise<void> {
    for (const id of pending(this.storage.sql)) {
      if (this.underWay.has(id)) continue;
      await this.stock.giveBack(id);
      this.write(() => withdraw(this.storage.sql, id));
    }
  }

  private get stock() {
    return this.env.STOCK.getByName(SHOP);
  }
}
