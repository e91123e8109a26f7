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
import { LedgerFailed } from "../ledger/schema";
import { now, type Decision, type Door, type Order } from "../evidence";
import { openStock, setOpenStock, SHOP, type StockBinding } from "../ledger/stock";
import type { Kind, TokenFacts } from "../policy/facts";

/** What came of a purchase. */
export type Bought = { order: Order; decision: Decision | null } | { soldOut: true } | { revoked: Kind };

/** One object's orders and bans, and the stock that it shares with all others. */
export class Shop {
  constructor(
    private readonly storage: DurableObjectStorage,
    private readonly env: StockBinding,
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
      if (error instanceof PurchaseRefused) throw error;
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
   * Buy, or find the order that the key stands for. While the stock is asked, the human may revoke here what the
   * token was granted: that is seen in the transaction that places the order, and nothing is placed after it.
   *
   * @throws PurchaseRefused a guard says no; nothing was taken.
   */
  async buy(wanted: Purchase, token: TokenFacts): Promise<Bought> {
    await this.settle();
    const order = this.write(() => begin(this.storage.sql, wanted));
    if (!order.replayed && !(await this.stock.take(order.id))) {
      this.write(() => withdraw(this.storage.sql, order.id));
      return { soldOut: true };
    }
    // Placed and on record at once: what is cut off in between would be an order that nobody authorized.
    const bought = this.write((): Bought => {
      const revoked = order.replayed ? null : revokedKind(this.storage.sql, token);
      if (revoked !== null) {
        withdraw(this.storage.sql, order.id);
        return { revoked };
      }
      place(this.storage.sql, order.id);
      return { order, decision: amend(this.storage.sql, wanted.auditId, { order_id: order.id }) };
    });
    if ("revoked" in bought) await this.stock.giveBack(order.id);
    return bought;
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

  /** Bring orders to an end that were begun and cut off: the stock room knows which it has served, and one that is
   * being served at this moment may be asked for twice. */
  private async settle(): Promise<void> {
    for (const { id, auditId } of pending(this.storage.sql)) {
      const there = await this.stock.take(id);
      this.write(() => {
        if (!there) return withdraw(this.storage.sql, id);
        place(this.storage.sql, id);
        amend(this.storage.sql, auditId, { order_id: id });
      });
    }
  }

  private get stock() {
    return this.env.STOCK.getByName(SHOP);
  }
}
