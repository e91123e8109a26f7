/** Buying, from the order that is written down to the stock that is there for it. */

import { record } from "../ledger/audit_log";
import * as outbox from "../ledger/outbox";
import {
  begin,
  leave,
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
import { openDescription, openStock, setOpenStock, SHOP, type Shelf, type StockBinding } from "../ledger/stock";
import { NO_STANDING, type Kind, type TokenFacts } from "../policy/facts";
import { refuseRevoked, type Ruling } from "../policy/gates";

/** What came of a purchase, with the decision about it as it is on record. */
export type Bought = { decision: Decision } & ({ order: Order } | { soldOut: true } | { revoked: Ruling });

/** The standing of a token that nobody asks about any more. */
const EXPIRED: Relied = { standing: { ...NO_STANDING, known: true }, since: null };

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

  /** What a door's listing tells: each has its own stock, or anonymous callers could sell the shop out to everybody.
   *
   * @param openAtFirst what the open door begins with. */
  async shelf(door: Door, openAtFirst: number): Promise<Shelf> {
    const { sql } = this.storage;
    if (door === "protected") return this.stock.shelf();
    return { stock: openStock(sql, openAtFirst), description: openDescription(sql) };
  }

  /** Put a decision on record; as it is there. */
  record(decision: Decision): Decision {
    return this.write(() => this.note(decision));
  }

  /**
   * Buy at the open door, from its own stock, or find the order that the key stands for.
   *
   * @throws PurchaseRefused a guard says no; nothing was taken, and nothing is on record.
   */
  buyOpen(wanted: Purchase, given: Decision, openAtFirst: number): { order: Order; decision: Decision } {
    const { sql } = this.storage;
    return this.write(() => {
      const order = begin(sql, wanted, given);
      if (!order.replayed) {
        const left = openStock(sql, openAtFirst);
        if (left < 1) throw new PurchaseRefused("sold_out");
        setOpenStock(sql, left - 1);
      }
      return { order, decision: this.placed(order.id, given) };
    });
  }

  /**
   * Buy, or find the order that the key stands for. While the stock is asked, what the token was granted may be revoked,
   * here or at the authorization server: that is seen in the transaction that places the order, and nothing is placed
   * after it.
   *
   * @param given what was decided about it, which goes on record with what comes of it.
   * @param relied what the authorization server said of the grant.
   * @param again asks it once more, where what it said is good no longer.
   * @throws PurchaseRefused a guard says no; nothing was taken, and nothing is on record.
   */
  async buy(
    wanted: Purchase,
    token: TokenFacts,
    given: Decision,
    relied: Relied | null,
    again: () => Promise<Relied | null>,
  ): Promise<Bought> {
    await this.settle();
    const order = this.write(() => begin(this.storage.sql, wanted, given));
    this.underWay.add(order.id);
    try {
      if (!order.replayed && !(await this.stock.take(order.id))) {
        return this.write(() => {
          withdraw(this.storage.sql, order.id);
          return { soldOut: true, decision: this.note(given) };
        });
      }
      let now = relied;
      for (let tries = 0; ; tries++) {
        const bought = this.write(() => this.placing(order, wanted, token, given, now, tries < TRIES));
        if (bought === "again") {
          now = (await again()) ?? EXPIRED; // it passes the first gate no more
          continue;
        }
        if ("revoked" in bought) await this.stock.giveBack(order.id);
        return bought;
      }
    } catch (error) {
      // The caller puts the decision on record, and not whoever takes the order back.
      this.write(() => leave(this.storage.sql, order.id));
      throw error;
    } finally {
      this.underWay.delete(order.id);
    }
  }

  /** Placed and on record at once: what is cut off in between would be an order that nobody authorized. */
  private placing(
    order: Order,
    wanted: Purchase,
    token: TokenFacts,
    given: Decision,
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
        const ruling = refuseRevoked(token, revoked);
        return { revoked: ruling, decision: this.note({ ...given, ...ruling }) };
      }
      if (wanted.told !== null) outbox.add(sql, order.id, wanted.told, given.at);
    }
    return { order, decision: this.placed(order.id, given) };
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
    for (const { id, decision } of pending(this.storage.sql)) {
      if (this.underWay.has(id)) continue;
      await this.stock.giveBack(id);
      this.write(() => {
        withdraw(this.storage.sql, id);
        if (decision !== null) this.note(decision);
      });
    }
  }

  /** Place an order, and put on record by which decision; inside a transaction. */
  private placed(id: string, given: Decision): Decision {
    const decision = this.note({ ...given, order_id: id });
    place(this.storage.sql, id, decision.audit_id);
    return decision;
  }

  private note(decision: Decision): Decision {
    return record(this.storage.sql, decision);
  }

  private get stock() {
    return this.env.STOCK.getByName(SHOP);
  }
}
