/** Telling the warehouse of an order, behind the answer to who ordered it: by a transaction token, which the
 * authorization server makes of the agent's.
 *
 * The agent's token goes to the authorization server that issued it and nowhere else. It is held in this object's memory
 * while its session's orders wait, and is not written down. So no alarm sends what waits once the object has ended: the
 * next call of that session does, whose grant then has to stand. */

import { askBounded, AuthServerUnavailable, jsonObject } from "./auth_server/asking";
import { detailsOf, NoTransactionToken, transactionToken } from "./auth_server/transaction_token";
import { now } from "./evidence";
import * as outbox from "./ledger/outbox";
import { revokedKind } from "./ledger/standing";
import type { TokenFacts } from "./policy/facts";
import type { Settings } from "./settings";
import { text } from "./wire/values";

/** Milliseconds before an order is tried again. After them it waits for the next call of its session. */
const PAUSES_MS = [200, 1000, 4000];
/** After so many an order is given up that the authorization server makes no token for. */
const MOST_TRIES = 12;
/** Sessions of one human whose orders are sent at the same time. */
const MOST_AT_ONCE = 8;

/** One object's way from its outbox to the warehouse. */
export class Dispatch {
  private readonly sending = new Set<string>();

  constructor(private readonly sql: SqlStorage) {}

  /**
   * Send what waits of this token's agent and session; null where nothing does, or it is being sent already.
   *
   * @param bearer the token of a call that was admitted, and that may buy.
   */
  go(facts: TokenFacts, bearer: string, settings: Settings): Promise<void> | null {
    const session = outbox.whose(facts);
    if (settings.warehouse === null || session === null) return null;
    if (this.sending.has(session) || this.sending.size >= MOST_AT_ONCE) return null;
    if (outbox.next(this.sql, session) === null) return null;
    return this.sendAll(session, facts, bearer, settings);
  }

  private async sendAll(session: string, facts: TokenFacts, bearer: string, settings: Settings): Promise<void> {
    this.sending.add(session);
    try {
      await this.sendEach(session, facts, bearer, settings);
    } catch (error) {
      console.error("orders wait", error);
    } finally {
      // In the very step in which none was left: what is ordered after that begins again.
      this.sending.delete(session);
    }
  }

  private async sendEach(session: string, facts: TokenFacts, bearer: string, settings: Settings): Promise<void> {
    const pauses = PAUSES_MS.values();
    for (let order; (order = outbox.next(this.sql, session)) !== null;) {
      try {
        // What was revoked here the authorization server may not know.
        const revoked = revokedKind(this.sql, facts);
        if (revoked !== null) throw new NoTransactionToken(`the ${revoked} was revoked`, false);
        outbox.sent(this.sql, order.order, await this.send(order, bearer, settings), now());
      } catch (error) {
        const no = error instanceof NoTransactionToken;
        if (!no && !(error instanceof AuthServerUnavailable)) throw error;
        if (no && (error.final || order.tries >= MOST_TRIES)) {
          outbox.refused(this.sql, order.order, error.message, now());
          continue;
        }
        outbox.tried(this.sql, order.order, error.message, now());
        const pause = pauses.next();
        if (no || pause.done) return;
        await scheduler.wait(pause.value);
      }
    }
  }

  /**
   * Tell the warehouse of one order; gives the transaction that it took it by.
   *
   * @throws AuthServerUnavailable one of the two cannot be asked now, or answers what it should not.
   * @throws NoTransactionToken not by this access token.
   */
  private async send(order: outbox.Waiting, bearer: string, settings: Settings): Promise<string> {
    const warehouse = settings.warehouse!;
    const token = await transactionToken(bearer, order, settings);
    const { parcel: _, ...about } = detailsOf(order);
    const { size, company, address } = order;
    const headers = { accept: "application/json", "content-type": "application/json", "txn-token": token };
    const body = JSON.stringify({ ...about, size, company, address });
    const response = await askBounded(warehouse, warehouse, { method: "POST", headers, body }, settings.answerTimeout);
    const answer = [200, 201].includes(response.status) ? await jsonObject(response) : null;
    const txn = text(answer?.["txn"]);
    if (txn === null) throw new AuthServerUnavailable(`the warehouse did not take it (HTTP ${response.status})`);
    return txn;
  }
}
