/** One human at this shop, in one place: standing, limits, orders, keys and audit log.
 *
 * Every request made for a human comes to that human's one object, wherever in the world it was sent from. So a
 * revocation holds everywhere from the moment that it is answered, and a limit cannot be outrun by calling in two
 * places at once. Anonymous callers share an object, too. */

import { DurableObject } from "cloudflare:workers";
import { AUDIT_HEADER, refuse } from "./wire/refusal";
import { postOnly, rpcError, unacceptable, unwritable, type Answer } from "./wire/answer";
import { digest, INTERNAL_ERROR, NO_CALL, Unreadable, type Known } from "./wire/message";
import { BUY, LIMITS, say, SCOPES, TOOL_SCOPES } from "./catalog";
import { now, short, type Decision, type Door, type LimitUse } from "./evidence";
import { Dispatch } from "./dispatch";
import { askTheHuman, Asking } from "./mcp/asking";
import { answerByAsking, answerMcp } from "./mcp/server";
import { Shop } from "./mcp/shop";
import { prepare, LedgerFailed } from "./ledger/schema";
import {
  isClosed,
  openDescription,
  openStock,
  setClosed,
  setOpenDescription,
  setOpenStock,
  SHOP,
  type Shelf,
  type StockBinding,
} from "./ledger/stock";
import { decodeJwt } from "jose";
import type { SecurityEvent } from "./auth_server/events";
import * as log from "./ledger/audit_log";
import { dispatched, type Dispatched } from "./ledger/outbox";
import { reinstate, revoke } from "./ledger/standing";
import { Reliance, StandingChanged, TRIES } from "./ledger/reliance";
import { NO_FACTS, type Kind } from "./policy/facts";
import { readSettings, type Variables } from "./settings";
import { about, sendSpans, spanned, type Told } from "./tracing";
import { Gatehouse, limitsOf, type Admitted } from "./gatehouse/gatehouse";
import type { OwnRequest, DoorRequest } from "./gatehouse/requests";

/** An entry that is about no request. */
const NOTHING_ASKED = {
  audit_id: "",
  verdict: "deny",
  gate: "event",
  remedy: null,
  door: "protected",
  tool: null,
  arguments: null,
  username: null,
  handed_on_by: null,
  client: null,
  consent: null,
  token_id: null,
  order_id: null,
  trace_id: null,
} as const;

/** Who may go on at one of the human's own routes. */
export interface Caller {
  user: string;
  username: string | null;
  admin: boolean;
}

/** What an admin changes at a door; `open` at the open door only. */
export interface DoorChange extends Partial<Shelf> {
  open?: boolean;
}

/** A door as it is then. */
export interface DoorState extends Shelf {
  door: Door;
  open: boolean;
}

/** What a request to one of them comes to: the refusal to send, or who may go on. */
export type Answered = { refused: Answer } | Caller;

export class UserLedger extends DurableObject<Variables & StockBinding> {
  private readonly turns = new Turns();
  private readonly asking = new Asking();
  private readonly reliance = new Reliance();
  private readonly shop: Shop;
  private readonly dispatch: Dispatch;

  constructor(state: DurableObjectState, env: Variables & StockBinding) {
    super(state, env);
    prepare(state.storage.sql);
    log.openLog(state.storage.sql);
    this.shop = new Shop(state.storage, env, this.reliance);
    this.dispatch = new Dispatch(state.storage.sql);
  }

  /** Answer one request to a door. Purchases come one at a time, from their gates to their answer, so that the gate
   * which counts and the tool which buys see the same numbers. */
  async enter(visit: DoorRequest): Promise<Answer> {
    const buying = visit.call.tool === BUY && visit.facts.fault === null;
    try {
      if (buying && visit.door === "protected") await this.asking.wait(this.house(visit.origin), visit);
      return await (buying ? this.turns.take(() => this.serve(visit)) : this.serve(visit));
    } catch (error) {
      if (error instanceof LedgerFailed) return unwritable(visit.call.id);
      if (error instanceof Unreadable) return unacceptable(error.why);
      console.error("a request failed", error);
      return rpcError(500, visit.call.id, { code: INTERNAL_ERROR, message: say("failed") });
    }
  }

  /** Let a request to one of the human's own routes pass the gates token, standing, allowlist and scope. A refusal is
   * on record; that it passed is not, since following the log would then feed it. */
  async admit(request: OwnRequest): Promise<Answered> {
    try {
      const house = this.house(request.origin);
      return await this.atTheGates(house, request.known, async (tell) => {
        const { ruling, one } = await this.settled(() => house.admitOwn(request));
        if (ruling.verdict === "allow") {
          const { username = null, roles = [] } = one.standing ?? {};
          return { user: one.token.user ?? "", username, admin: roles.includes(SCOPES.adminRole) };
        }
        const decision = this.shop.write(() => house.record(one, ruling, { ...NO_CALL, known: request.known }));
        tell(about(decision));
        house.makeKnown(one.token.user);
        const told = house.told(request.resource, request.scope, request.possession);
        return { refused: refuse(decision, { ...told, id: null, limits: [] }) };
      });
    } catch (error) {
      if (error instanceof LedgerFailed) return { refused: unwritable(null) };
      if (error instanceof Unreadable) return { refused: unacceptable(error.why) };
      throw error;
    }
  }

  /** Note what the authorization server says that it has revoked: nothing is relied on that it said of it before. */
  hear(event: SecurityEvent): void {
    const { kind, id, user, jti } = event;
    this.reliance.note(kind, id);
    if (!event.revoked) return;
    this.shop.write(() => {
      if (log.knows(this.ctx.storage.sql, jti)) return; // told twice it is on record once
      log.record(this.ctx.storage.sql, {
        ...NOTHING_ASKED,
        at: now(),
        rule: `revoked.${kind}`,
        reason: say("event_revoked", { kind, id: short(id, 80), why: event.why ?? "no reason is given" }),
        user,
        agent: kind === "agent" ? id : null,
        session: kind === "session" ? id : null,
        correlation: jti,
      });
    });
  }

  /** Entries of this object's audit log; see `ledger/audit_log`. */
  read(query: log.Query): log.Page {
    return log.entries(this.ctx.storage.sql, query);
  }

  /** This object's audit log as it is now, with a checkpoint that the shop signs: made now where there is none of this
   * size, else the last there is, where the log does not follow from that. What was altered is not signed. */
  async checkpoint(origin: string): Promise<log.Head & { checkpoint: string | null }> {
    const { sql } = this.ctx.storage;
    const head = log.headOf(sql);
    const last = log.lastCheckpoint(sql);
    const known = last === null ? null : String(decodeJwt(last.jws)["link"]);
    const sound = log.follows(sql, head, last?.size ?? head.pruned, known ?? head.pruned_link);
    if (!sound) console.error("the audit log was altered; it gets no checkpoint", head.log);
    if (!sound || last?.size === head.size) return { ...head, checkpoint: last?.jws ?? null };
    const { log: id, size, link, pruned, written_before } = head;
    const iss = this.house(origin).settings.base;
    const told = { iss, iat: Math.floor(now()), log: id, size, link, pruned, written_before };
    const signed = await this.env.STOCK.getByName(SHOP).sign(told);
    this.shop.write(() => log.keepCheckpoint(sql, size, signed));
    return { ...head, checkpoint: signed };
  }

  /** What the warehouse was told of an order; null where it is not of this ledger, or nobody is to be told. */
  dispatched(order: string): Dispatched | null {
    return dispatched(this.ctx.storage.sql, order);
  }

  /** Entries of this object's audit log as they are chained; null where it is not the log of this id. */
  chained(id: string, after: number, limit: number): log.Chained | null {
    const { sql } = this.ctx.storage;
    return log.headOf(sql).log === id ? log.chained(sql, after, limit) : null;
  }

  /** Revoke; since when it is, in POSIX seconds. From the answer on no call with it is admitted. */
  revoke(kind: Kind, id: string, by: Caller, origin: string): number {
    return this.shop.write(() => {
      const at = revoke(this.ctx.storage.sql, kind, id, now());
      this.note(by, origin, `${by.username ?? by.user} revoked ${kind} ${id}.`);
      return at;
    });
  }

  /** Reinstate; whether there was anything to lift. */
  reinstate(kind: "agent" | "user", id: string, by: Caller, origin: string): boolean {
    return this.shop.write(() => {
      const lifted = reinstate(this.ctx.storage.sql, kind, id);
      this.note(by, origin, `${by.username ?? by.user} reinstated ${kind} ${id}.`);
      return lifted;
    });
  }

  /** Restock the open door, close it or open it again, set the text of its listing; for the object of the anonymous
   * callers. What is undefined stays. */
  setOpenDoor(change: DoorChange, origin: string): DoorState {
    const { open } = this.house(origin).settings;
    const { sql } = this.ctx.storage;
    return this.shop.write(() => {
      if (change.stock !== undefined) setOpenStock(sql, change.stock);
      if (change.open !== undefined) setClosed(sql, !change.open);
      if (change.description !== undefined) setOpenDescription(sql, change.description);
      const shelf = { stock: openStock(sql, open.stockAtFirst), description: openDescription(sql) };
      return { door: "open", open: open.on && !isClosed(sql), ...shelf };
    });
  }

  /** Put on record, in the admin's own log, what they did to a door; of a text its digest, since what somebody else
   * wrote is not for the log's readers to obey. */
  async noteDoor(change: DoorChange, state: DoorState, by: Caller, origin: string): Promise<void> {
    const { door, open, stock } = state;
    const user = by.username ?? by.user;
    const reasons: string[] = [];
    if (change.description !== undefined) {
      reasons.push(say("door_described", { user, door, digest: await digest([state.description]) }));
    }
    if (change.stock !== undefined || change.open !== undefined) {
      reasons.push(say(open ? "door_set" : "door_closed", { user, door, stock }));
    }
    this.shop.write(() => reasons.forEach((reason) => this.note(by, origin, reason)));
    this.house(origin).makeKnown(by.user);
  }

  private note(by: Caller, origin: string, reason: string): void {
    const house = this.house(origin);
    const token = { ...NO_FACTS, user: by.user };
    const one = house.caseOf(token, { method: null, tool: null, scope: null });
    const ruling = { verdict: "allow" as const, gate: "scope", rule: "allowed", reason, remedy: null };
    house.record({ ...one, standing: house.named(by.username) }, ruling, NO_CALL);
  }

  private house(origin: string): Gatehouse {
    return new Gatehouse(this.ctx.storage, this.env, readSettings(this.env, origin), this.ctx, this.reliance);
  }

  private serve(visit: DoorRequest): Promise<Answer> {
    const house = this.house(visit.origin);
    return this.atTheGates(house, visit.call.known, async (told) => {
      const { answer, decision } =
        visit.door === "open" ? await this.passOpen(house, visit) : await this.pass(house, visit);
      if (decision !== null) told(about(decision));
      return answer;
    });
  }

  /** What the gates decide and what comes of it, as a span below the request's. */
  private async atTheGates<T>(house: Gatehouse, known: Known | null, work: (told: Told) => Promise<T>): Promise<T> {
    const { collector } = house.settings;
    try {
      return await spanned(collector, { ...GATES, within: known?.traceparent ?? null }, work);
    } finally {
      sendSpans(collector);
    }
  }

  private async pass(house: Gatehouse, visit: DoorRequest): Promise<Passed> {
    const needed = visit.call.tool === null ? null : (TOOL_SCOPES.get(visit.call.tool) ?? null);
    const admitted = await this.settled(async () => {
      const relied = await house.standing(visit, needed);
      // From here to the record nothing is waited for: what was found out still holds when it is written down.
      return () => this.shop.write(() => house.decide(visit, needed, relied));
    });
    if ("unreadable" in admitted) return { answer: unacceptable(admitted.unreadable), decision: null };
    house.makeKnown(visit.facts.user);
    const { decision, limits } = admitted;
    if (decision.verdict === "deny") {
      const question = await askTheHuman(house, visit, decision);
      const meta = { "demo/decision": decision, "demo/limits": limits };
      const { base } = house.settings;
      const asked = question && (await answerByAsking(visit, base, { ...question, _meta: meta }));
      if (asked) {
        return { answer: { ...asked, headers: [...asked.headers, [AUDIT_HEADER, decision.audit_id]] }, decision };
      }
      const told = house.told(house.settings.resource, needed ?? SCOPES.default, visit.possession);
      const details = house.remediation(decision, visit);
      return { answer: refuse(decision, { ...told, id: visit.call.id, limits, details }), decision };
    }
    return this.passOn(house, visit, admitted);
  }

  /** Find out, and act on it in one block; again where what was found out does not hold any more by then.
   *
   * @throws Unreadable it kept changing. */
  private async settled<T>(findOut: () => Promise<() => T>): Promise<T> {
    for (let tries = 0; tries < TRIES; tries++) {
      const act = await findOut();
      try {
        return act();
      } catch (error) {
        if (!(error instanceof StandingChanged)) throw error;
      }
    }
    throw new Unreadable({ status: 503, code: INTERNAL_ERROR, message: say("unsettled") });
  }

  private async passOpen(house: Gatehouse, visit: DoorRequest): Promise<Passed> {
    if (visit.fault !== null) return { answer: unacceptable(visit.fault), decision: null };
    const admitted = this.shop.write(() => house.letIn(visit));
    const { decision, limits } = admitted;
    if (decision.verdict === "deny") {
      return { answer: refuse(decision, { ...house.unchallenged(), id: visit.call.id, limits }), decision };
    }
    return this.passOn(house, visit, admitted);
  }

  private async passOn(house: Gatehouse, visit: DoorRequest, admitted: Admitted): Promise<Passed> {
    const onRecord = visit.door === "protected" || visit.call.method === "tools/call";
    const limits = (): LimitUse[] => (visit.door === "open" ? [] : limitsOf(house.usage(visit.facts, true, null)));
    const answer =
      visit.method === "POST"
        ? await answerMcp(visit, {
            shop: this.shop,
            settings: house.settings,
            visit,
            admitted,
            limits,
            again: () => house.standing(visit, null),
          })
        : postOnly();
    if (admitted.due) Object.assign(admitted, { decision: this.shop.record(admitted.decision), due: false });
    if (onRecord) answer.headers.push([AUDIT_HEADER, admitted.decision.audit_id]);
    if (visit.door === "protected" && admitted.decision.verdict === "allow") this.tell(house, visit, admitted.decision);
    return { answer, decision: admitted.decision };
  }

  /** Have the warehouse told of what is ordered, and of what was before and waits; nobody waits for that. */
  private tell({ settings }: Gatehouse, { facts, token }: DoorRequest, { order_id }: Decision): void {
    // A token that was narrowed to other scopes is exchanged for none: the order waits for one that may buy.
    const buys = order_id !== null || facts.scopes.includes(TOOL_SCOPES.get(BUY) ?? SCOPES.default);
    const telling = token !== null && buys ? this.dispatch.go(facts, token, settings) : null;
    if (telling !== null) this.ctx.waitUntil(telling);
  }
}

/** An answer, and the decision that it came of; null where there was none. */
interface Passed {
  answer: Answer;
  decision: Decision | null;
}

/** Without a kind of its own a viewer would take it for one more call of the tool that it names (OpenInference, span
 * kinds). */
const GATES = { name: "gates", kind: "internal", attributes: { "openinference.span.kind": "GUARDRAIL" } } as const;

/** A line to stand in; it lives as long as the object that holds it. */
class Turns {
  private last: Promise<unknown> = Promise.resolve();

  /**
   * Run `work` once everybody before it has finished, however they did.
   *
   * @throws Unreadable they took too long; then `work` is never run.
   */
  async take<T>(work: () => Promise<T>): Promise<T> {
    const before = this.last;
    let late: ReturnType<typeof setTimeout> | null = null;
    const mine = (async () => {
      const tooLate = new Promise<"late">((resolve) => {
        late = setTimeout(() => resolve("late"), 1000 * LIMITS.turn_seconds);
      });
      const outcome = await Promise.race([before.then(() => "turn" as const), tooLate]);
      clearTimeout(late);
      if (outcome === "turn") return work();
      throw new Unreadable({ status: 503, code: INTERNAL_ERROR, message: say("busy") });
    })();
    // A call that gave up waiting does not let those behind it pass the one that still works.
    this.last = Promise.allSettled([before, mine]);
    return mine;
  }
}
