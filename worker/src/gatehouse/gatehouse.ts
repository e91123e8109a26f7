/** The gatehouse: gathers the facts of a request, has the policy decide, and puts the decision on record. */

import { AuthServerUnavailable, skewOf } from "../auth_server/asking";
import { personOf } from "../auth_server/directory";
import { askStanding } from "../auth_server/introspection";
import { streamIsOpen } from "../auth_server/stream";
import { now, short, type Decision, type LimitUse, type Money } from "../evidence";
import { findReplay, isUsed, spent } from "../ledger/orders";
import { spend } from "../ledger/proofs";
import { hit, use } from "../ledger/rates";
import type { Relied, Reliance } from "../ledger/reliance";
import { revokedKind, isBanned } from "../ledger/standing";
import { record } from "../ledger/audit_log";
import { BUY } from "../catalog";
import { BadArguments, readArguments } from "../wire/arguments";
import { askedFor, type Approval, type Wanted } from "../policy/approval";
import {
  accountOf,
  agentOf,
  callerOf,
  callersOf,
  handedOnBy,
  NO_FACTS,
  ratedOf,
  unknown,
  type Standing,
  type TokenFacts,
} from "../policy/facts";
import {
  admit,
  allowAnonymous,
  approvalOf,
  checkRate,
  checkStanding,
  checkToken,
  deny,
  needsApproval,
  withinLimits,
  type Case,
  type Ruling,
  type Usage,
} from "../policy/gates";
import { NO_POSSESSION, type Possession } from "../policy/proof";
import { AUTHKIT } from "../policy/token_type";
import type { Settings } from "../settings";
import { spellings } from "../wire/origin";
import { idempotencyKey, type Call, type Unacceptable } from "../wire/message";
import { ledgerName, type OwnRequest, type DoorRequest } from "./requests";
import { isClosed, SHOP, type StockBinding } from "../ledger/stock";

/** What came of the gates; `decision` grows with what the tool does. */
export interface Admitted {
  decision: Decision;
  limits: LimitUse[];
  standing: Standing | null;
  relied: Relied | null;
  /** Whether the decision is still to be put on record: that of a purchase goes there with what came of it. */
  due: boolean;
  /** The approval that the purchase is placed on; null where it takes none. */
  approval: string | null;
}

export class Gatehouse {
  private readonly sql: SqlStorage;

  constructor(
    private readonly storage: DurableObjectStorage,
    private readonly env: StockBinding,
    readonly settings: Settings,
    private readonly context: DurableObjectState,
    private readonly reliance: Reliance,
  ) {
    this.sql = this.storage.sql;
  }

  /** What the authorization server says of a token that passed the first gate, or said and vouches for; null for one
   * that did not. */
  async standing(visit: DoorRequest | OwnRequest, scope: string | null, resource?: string): Promise<Relied | null> {
    if (visit.unavailable !== null) return { standing: visit.unavailable, since: null };
    const one = this.caseOf(visit.facts, { method: null, tool: null, scope }, resource, visit.skew);
    one.unproved = visit.possession.unproved;
    if (checkToken(one) !== null || visit.token === null) return null;
    // What a human approved a moment ago is no event that would come here; and one purchase that they approved may have
    // been stopped since, without the grant.
    const afresh = visit.facts.approval !== null || ("call" in visit && this.takesApproval(visit));
    const kept = afresh ? null : this.reliance.kept(visit.facts);
    if (kept !== null && !this.isOverThere(one)) return kept;
    // Before the question: an event must reach this shop when what was answered is revoked, and one that comes
    // meanwhile makes the answer void.
    const isTold = await streamIsOpen(this.settings);
    const since = this.reliance.since();
    const { traceparent = null } = ("call" in visit ? visit.call.known : visit.known) ?? {};
    const asked = await askStanding(visit.token, visit.facts, this.settings, traceparent);
    // What WorkOS says of a human changes without an event.
    if (isTold && this.settings.directory === null) this.reliance.keep(visit.facts, asked, since);
    // Told of what is revoked or not, it relies on an answer for no longer than a lease.
    return { standing: await this.withRole(asked, visit.facts), since: asked.known ? since : null };
  }

  /** Whether a call buys something that a human must have approved, and its token does not say so itself. */
  private takesApproval({ call, facts }: DoorRequest): boolean {
    const { approveAbove, price } = this.settings;
    return call.tool === BUY && facts.approval === null && approveAbove !== null && price.amount > approveAbove;
  }

  /** Whether a request would pass the first gate now. */
  holds({ facts, possession, unavailable, skew, call }: DoorRequest): boolean {
    const one = this.caseOf(facts, { method: call.method, tool: call.tool, scope: null }, this.settings.resource, skew);
    one.unproved = possession.unproved;
    return unavailable === null && checkToken(one) === null;
  }

  /** Whether a token has expired by the authorization server's own clock, which is that server's to judge. */
  private isOverThere({ token, now, skew }: Case): boolean {
    return now + (skew ?? 0) >= token.expiresAt;
  }

  /** The same with what WorkOS says of the human, where this shop asks it. */
  private async withRole(standing: Standing, { user, organization }: TokenFacts): Promise<Standing> {
    const { directory, scopesFrom } = this.settings;
    const organizationNamed = this.settings.organization !== null;
    if (directory === null || !standing.active || user === null) return standing;
    try {
      const person = await personOf(user, organization, this.settings);
      if (person === null) return { ...standing, active: false, revoked: "user" };
      return {
        ...standing,
        username: standing.username ?? person.email,
        name: standing.name ?? person.name,
        // Where an organization is named, a role counts in that one alone: a token may speak of another.
        roles: organizationNamed ? person.roles : [...new Set([...standing.roles, ...person.roles])],
        member: person.member,
        permissions: scopesFrom === "role" ? person.permissions : null,
      };
    } catch (error) {
      if (error instanceof AuthServerUnavailable) return unknown(error.message, error.fix !== null);
      throw error;
    }
  }

  /** All five gates of the protected door, in one transaction with the record of what they said. `unreadable` where
   * all passed and there is no message to pass on. */
  decide(visit: DoorRequest, scope: string | null, relied: Relied | null): Admitted | { unreadable: Unacceptable } {
    const { call, facts } = visit;
    this.reliance.check(facts, relied?.since ?? null);
    const asked = relied?.standing ?? null;
    const { resource } = this.settings;
    const one = this.caseOf(facts, { method: call.method, tool: call.tool, scope }, resource, visit.skew);
    one.unproved = spend(this.sql, visit.possession, one.now);
    one.standing = this.withOurs(asked, facts, false);
    let ruling = asked?.known === false ? (checkStanding(one) ?? admit(one)) : admit(one);
    if (ruling.verdict === "allow" && call.method === "tools/call" && this.isConsole(facts)) {
      // It looks and revokes. What shops is an agent, which the human can revoke.
      ruling = deny("allowlist.client", "console", { client: short(facts.client ?? "This client") });
    }
    let limits: LimitUse[] = [];
    let approval: string | null = null;
    if (ruling.verdict === "allow" && visit.fault !== null) return { unreadable: visit.fault };
    if (ruling.verdict === "allow" && call.method === "tools/call") {
      const rateOk = hit(this.sql, ratedOf(facts), this.rate, one.now);
      const wanted = wantedBy(call, this.settings.price);
      const told = facts.approval !== null ? [facts.approval] : (one.standing?.approvals ?? []);
      const usage = this.usage(facts, rateOk, idempotencyKey(call), wanted, told);
      ruling = withinLimits(one, usage);
      if (needsApproval(one, usage)) approval = approvalOf(one, usage)?.id ?? null;
      limits = limitsOf(usage);
    } else if (ruling.gate === "scope") {
      limits = limitsOf(this.usage(facts, true, null));
    }
    const due = ruling.verdict === "allow" && call.tool === BUY;
    const decision = due ? this.decision(one, ruling, call) : this.record(one, ruling, call);
    return { decision, limits, standing: one.standing, relied, due, approval };
  }

  /** The first four gates, for a route of the human's own. */
  async admitOwn(request: OwnRequest): Promise<() => { one: Case; ruling: Ruling }> {
    const { scope, resource } = request;
    const relied = await this.standing(request, scope, resource);
    return () => this.decideOwn(request, relied);
  }

  private decideOwn(request: OwnRequest, relied: Relied | null): { one: Case; ruling: Ruling } {
    const { facts, scope, resource, own, skew } = request;
    this.reliance.check(facts, relied?.since ?? null);
    const asked = relied?.standing ?? null;
    const one = this.caseOf(facts, { method: null, tool: null, scope }, resource, skew);
    one.unproved = spend(this.sql, request.possession, one.now);
    const console = this.isConsole(facts);
    one.standing = this.withOurs(asked, facts, own || console);
    const ruling = asked?.known === false ? (checkStanding(one) ?? admit(one)) : admit(one);
    // Where roles decide, an agent's token permits what its human may do: then only the client tells them apart.
    const human = own || this.settings.scopesFrom === "role";
    if (ruling.verdict === "deny" || !human || console) return { one, ruling };
    // An agent that could lift its own revocation was never revoked.
    return { one, ruling: deny("allowlist.client", "main", { client: short(facts.client ?? "This client") }) };
  }

  /** The open door asks nobody, and only counts: whether it is open, and how often one address calls. What a tool does,
   * and what was refused it, is on record. */
  letIn({ call, address }: DoorRequest): Admitted {
    const one = this.caseOf(NO_FACTS, { method: call.method, tool: call.tool, scope: null });
    const calling = call.method === "tools/call";
    const { open, resource } = this.settings;
    const rate = { calls: open.calls, seconds: this.settings.rateSeconds };
    let limits: LimitUse[] = [];
    let ruling: Ruling | null = open.on && !isClosed(this.sql) ? null : deny("open.closed", "main", { resource });
    if (ruling === null && calling && !hit(this.sql, `open:${address}`, rate, one.now)) {
      limits = [use(this.sql, `open:${address}`, rate, one.now)];
      ruling = checkRate(one, { rateOk: false, rate: limits[0]! });
    }
    ruling ??= allowAnonymous();
    const due = ruling.verdict === "allow" && calling && call.tool === BUY;
    let decision: Decision = { ...this.decision(one, ruling, call), door: "open" };
    if (calling && !due) decision = record(this.sql, decision);
    return { decision, limits, standing: null, relied: null, due, approval: null };
  }

  /** Put a ruling on record, with who, through whom, what, when and by which token. */
  record(one: Case, ruling: Ruling, call: Call): Decision {
    return record(this.sql, this.decision(one, ruling, call));
  }

  /** How much of its limits a caller has used. */
  usage(
    token: TokenFacts,
    rateOk: boolean,
    key: string | null,
    wanted: Wanted | null = null,
    told: Approval[] = [],
  ): Usage {
    const { purchasesPerConsent, price } = this.settings;
    const used = spent(this.sql, accountOf(token));
    const forGood = { window: null, resets_at: null };
    const limits = token.spendingLimits.map(({ by, limit }) => {
      const { amount } = by === null ? used : spent(this.sql, accountOf(token), by);
      const use: LimitUse = { name: "spending", used: amount, limit: limit.amount, unit: limit.currency, ...forGood };
      return { use, left: limit.amount - amount, own: by !== null && by === agentOf(token) };
    });
    const [tightest] = limits.sort((one, other) => one.left - other.left);
    return {
      rateOk,
      rate: use(this.sql, ratedOf(token), this.rate, now()),
      purchases: { name: "purchases", used: used.orders, limit: purchasesPerConsent, unit: "purchases", ...forGood },
      spending: tightest?.use ?? null,
      ownLimit: tightest?.own ?? false,
      price,
      replay: findReplay(this.sql, callerOf(token), key) !== null,
      wanted,
      approveAbove: this.settings.approveAbove,
      approves: this.settings.approves,
      usedApprovals: new Set(told.map(({ id }) => id).filter((id) => isUsed(this.sql, id))),
    };
  }

  /** What a refusal tells beside the decision; `resource` is the one whose metadata it names. */
  told(resource: string, scope: string, { scheme, nonce }: Possession) {
    const path = new URL(resource).pathname;
    const metadataUrl = `${this.settings.base}/.well-known/oauth-protected-resource${path}`;
    // Where roles decide the authorization server knows no scope of ours, and an agent that asks for one is turned away
    // there.
    return { metadataUrl, scope, asks: this.settings.scopesFrom === "token" ? scope : null, now: now(), scheme, nonce };
  }

  /** The authorization details with which a call that was refused would pass (draft-ietf-oauth-rar-metadata-
   * remediation section 4); none where it takes no approval, or nobody can be asked for one. */
  remediation({ rule }: Decision, visit: DoorRequest): Record<string, unknown>[] {
    return rule === "limits.approval" ? this.approvable(visit) : [];
  }

  /** What a call would buy, as an authorization detail; none where its arguments do not fit, which its tool will say, or
   * nobody can be asked. */
  approvable({ call, facts }: DoorRequest): Record<string, unknown>[] {
    const wanted = this.settings.approves ? wantedBy(call, this.settings.price) : null;
    return wanted === null
      ? []
      : [askedFor(wanted, this.settings.resource, { session: facts.session, agent: agentOf(facts) })];
  }

  /** What a refusal at the open door tells beside the decision: no token would change it. */
  unchallenged() {
    const { scheme, nonce } = NO_POSSESSION;
    return { metadataUrl: "", scope: "", asks: null, now: now(), scheme, nonce };
  }

  /** A request with nothing known of its standing yet. */
  caseOf(
    token: TokenFacts,
    asked: Pick<Case, "method" | "tool" | "scope">,
    resource = this.settings.resource,
    heardAtTheEdge: number | null = null,
  ): Case {
    const { issuer, allowlist, organization, tokenTypes, leeway } = this.settings;
    // A weakening of the shop's own door and of no other: what revokes is opened by its own audience alone.
    const extra = resource === this.settings.resource ? this.settings.extraAudiences : [];
    const audiences = [...spellings(resource), ...extra];
    const types = tokenTypes ?? (this.settings.scopesFrom === "role" ? AUTHKIT : null);
    const rules = { audiences, issuer, allowlist, organization, tokenTypes: types, leeway };
    return {
      token,
      now: now(),
      rules,
      ...asked,
      standing: null,
      skew: skewOf(issuer) ?? heardAtTheEdge,
      unproved: null,
    };
  }

  /** Whether a token is the human's own console's. */
  private isConsole({ chain, client }: TokenFacts): boolean {
    return chain.length === 0 && this.settings.consoleClients.includes(client ?? "");
  }

  /** Standing of which nothing counts but the name. */
  named(username: string | null): Standing {
    return { ...unknown(""), username };
  }

  private get rate() {
    return { calls: this.settings.rateCalls, seconds: this.settings.rateSeconds };
  }

  /** What was revoked here counts beside what the authorization server says. */
  private withOurs(asked: Standing | null, token: TokenFacts, own: boolean): Standing | null {
    if (asked === null || !asked.known) return asked;
    const kind = revokedKind(this.sql, token);
    // A user's revocation stops what acts for that user, not the user's own console.
    const stopped = kind !== null && !(own && kind !== "session");
    const banned = callersOf(token).some((caller) => isBanned(this.sql, caller));
    return asked.active && stopped ? { ...asked, banned, active: false, revoked: kind } : { ...asked, banned };
  }

  private decision(one: Case, ruling: Ruling, call: Call): Decision {
    const { token, standing, tool } = one;
    return {
      audit_id: "",
      at: now(),
      ...ruling,
      door: "protected",
      tool: tool === null ? null : short(tool, 60),
      arguments: call.digest,
      user: token.user,
      username: standing?.username ?? null,
      agent: agentOf(token),
      handed_on_by: handedOnBy(token),
      client: token.client,
      session: token.session,
      consent: token.consent,
      token_id: token.tokenId,
      order_id: null,
      correlation: call.known?.correlation ?? null,
      trace_id: call.known?.trace_id ?? null,
    };
  }

  /** Tell the shop that this ledger exists, once: an admin's reading of the audit log goes to all there are. */
  makeKnown(user: string | null): void {
    if (user === null || this.sql.exec("SELECT 1 FROM facts WHERE name = 'known'").toArray().length > 0) return;
    const stock = this.env.STOCK.getByName(SHOP);
    const told = stock.register(ledgerName(this.settings.issuer, user)).then(
      () => void this.sql.exec("INSERT OR IGNORE INTO facts (name, value) VALUES ('known', '1')"),
      (error: unknown) => console.error("a ledger is not registered yet", error),
    );
    this.context.waitUntil(told);
  }
}

/** What a call would buy; null where it buys nothing, or its arguments do not fit, which its tool will say. */
export function wantedBy(call: Call, price: Money): Wanted | null {
  if (call.method !== "tools/call" || call.tool !== BUY) return null;
  try {
    const given = readArguments(BUY, call.arguments);
    const [size, company, address] = [given["tshirtSize"]!, given["company"]!, given["mailingAddress"]!];
    return { size, company, address, price };
  } catch (error) {
    if (error instanceof BadArguments) return null;
    throw error;
  }
}

/** A caller's limits as evidence; no spending limit where the human consented to none. */
export function limitsOf({ rate, purchases, spending }: Usage): LimitUse[] {
  return spending === null ? [rate, purchases] : [rate, purchases, spending];
}
