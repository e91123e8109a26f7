/** Deciding: every gate of the protected door as a pure function of plain facts, in the local shop's words.
 *
 * A gate gives the ruling that it speaks, or null when it has no objection. Nothing here does I/O. */

import {
  BUY,
  fill,
  LIMITS,
  PRETTY_PLEASE,
  RULES,
  say,
  wordsOf,
  type Holes,
  type RuleId,
  type Values,
} from "../catalog";
import { inWords, short, type LimitUse, type Money, type Verdict } from "../evidence";
import { fits, type Approval, type Wanted } from "./approval";
import { agentOf, type Kind, type Standing, type TokenFacts } from "./facts";
import type { Unproved } from "./proof";
import { accepted, objection } from "./token_type";
import { spelled } from "../wire/values";

/** The shop's own settings, as far as deciding needs them. */
export interface Rules {
  /** Of which the token's audience must name one (RFC 8707): the resource, and what the settings add to it. */
  audiences: string[];
  issuer: string;
  /** In lower case: email addresses, user ids, `@DOMAIN`, `role:SLUG`, `members`. */
  allowlist: string[];
  /** Whose members `members` lets in; null where none is named. */
  organization: string | null;
  /** The types of an access token; null: those of the issuer's profile. */
  tokenTypes: readonly string[] | null;
  /** Seconds. */
  leeway: number;
}

/** One request, with everything that is known about it. `standing` is null until it was asked. */
export interface Case {
  token: TokenFacts;
  now: number;
  rules: Rules;
  method: string | null;
  tool: string | null;
  /** The scope that this request needs; null where it needs none of its own. */
  scope: string | null;
  standing: Standing | null;
  /** The authorization server's clock minus ours in seconds, as last heard; null where it was never. It changes words
   * only. */
  skew: number | null;
  /** By which rule, in which variant of its words, the token is not for who presented it; null where nothing speaks
   * against that. */
  unproved: Unproved | null;
}

/** How much of each limit was used before this call; `rate` counts this call already. */
export interface Usage {
  rateOk: boolean;
  rate: LimitUse;
  purchases: LimitUse;
  /** Null where the human consented to no spending limit; of several the one with the least left. */
  spending: LimitUse | null;
  /** Whether that is what was handed on to the sub-agent that calls, and not that of who is above it. */
  ownLimit: boolean;
  price: Money;
  /** Whether the call's idempotency key has an order already: then it takes nothing from quota or balance. */
  replay: boolean;
  /** What would be bought; null where nothing would, since the arguments do not fit. */
  wanted: Wanted | null;
  /** The price above which a human approves each purchase; null where none has to be approved. */
  approveAbove: number | null;
  /** Whether the authorization server can be asked for an approval. */
  approves: boolean;
  /** Those of the approvals that came with the call on which an order was placed. */
  usedApprovals: ReadonlySet<string>;
}

/** What a gate says, and in which words. */
export interface Ruling {
  verdict: Verdict;
  gate: string;
  rule: string;
  reason: string;
  remedy: string | null;
}

type WordsOf<
  Rule extends RuleId,
  Variant extends keyof (typeof RULES)[Rule]["words"],
> = (typeof RULES)[Rule]["words"][Variant] extends { reason: infer Reason; remedy: infer Remedy }
  ? Values<Holes<Reason> | Holes<Remedy>>
  : never;

/** A refusal by a rule, in the words of one of its variants; `main` is the rule's own. */
export function deny<Rule extends RuleId, Variant extends keyof (typeof RULES)[Rule]["words"] & string>(
  rule: Rule,
  variant: Variant,
  ...values: WordsOf<Rule, Variant>
): Ruling {
  return ruling("deny", rule, variant, Object.assign({}, ...values));
}

/** The same in the words for who calls: a sub-agent cannot log in, and asks for no consent. What helps it is that the
 * agent above it hands on again (RFC 8693). */
function denyCaller({ chain }: TokenFacts, rule: RuleId, values: Record<string, string | number> = {}): Ruling {
  return ruling("deny", rule, chain.length > 1 && "handed_on" in RULES[rule].words ? "handed_on" : "main", values);
}

function ruling(verdict: Verdict, rule: RuleId, variant: string, values: Record<string, string | number>): Ruling {
  const { reason, remedy } = wordsOf(rule, variant);
  const filled = remedy === null ? null : fill(remedy, values);
  return { verdict, gate: RULES[rule].gate, rule, reason: fill(reason, values), remedy: filled };
}

/** Gate 1: a token, of ours, for us, in time, an access token, and of who presents it (RFC 6750, RFC 8707, RFC 9068
 * section 4, RFC 9449 section 7). */
export function checkToken({ token, rules, now, skew, unproved }: Case): Ruling | null {
  if (token.fault !== null) return ruling("deny", `token.${token.fault}`, token.detail, {});
  if (token.issuer !== rules.issuer) return deny("token.issuer", "main");
  if (!token.audience.some((one) => rules.audiences.includes(one))) {
    const meant = token.audience[0];
    if (meant === undefined) return deny("token.audience", "nobody");
    return deny("token.audience", "main", { audience: short(meant) });
  }
  if (now >= token.expiresAt + rules.leeway) {
    const seconds = Math.round(now - token.expiresAt);
    const behind = -(skew ?? 0);
    if (behind > LIMITS.skew_seconds && now - behind < token.expiresAt) {
      return deny("token.expired", "behind", { seconds, skew: Math.round(behind) });
    }
    return denyCaller(token, "token.expired", { seconds });
  }
  if (token.notBefore !== null && now + rules.leeway < token.notBefore) return deny("token.expired", "not_yet");
  const why = objection(token.type, rules.tokenTypes ?? accepted(token.issuer, token.session));
  if (why !== null) return deny("token.type", "main", { objection: why });
  return unproved === null ? null : ruling("deny", ...unproved, {});
}

/** What a refusal says of what was revoked; null where the authorization server does not tell. */
export function refuseRevoked(token: TokenFacts, revoked: Kind | "token" | null): Ruling {
  return denyCaller(token, `standing.${revoked ?? "token"}`);
}

/** Gate 2: is what the human granted still granted? Not to know is to refuse.
 *
 * The shop's own ban stops tools from being run. Listing them stays open: an agent must be able to find the one tool
 * that lifts the ban. */
export function checkStanding({ token, standing, now, method, tool, skew }: Case): Ruling | null {
  if (standing === null || !standing.known) {
    const trouble = standing === null ? say("not_asked") : standing.detail;
    return deny("standing.unknown", standing?.lasting ? "lasting" : "main", { trouble });
  }
  if (!standing.active) {
    if (standing.revoked === null && now >= token.expiresAt) return deny("token.expired", "just_now");
    const ahead = skew ?? 0;
    if (standing.revoked === null && ahead > LIMITS.skew_seconds && now + ahead >= token.expiresAt) {
      return deny("token.expired", "ahead", { skew: Math.round(ahead) });
    }
    return refuseRevoked(token, standing.revoked);
  }
  if (standing.banned && method === "tools/call" && tool !== PRETTY_PLEASE) return denyCaller(token, "standing.banned");
  return null;
}

/** Gate 3: is this human welcome here at all? By email address or the address's domain, by the authorization server's
 * own id of the user, by a role, or as a member of the shop's organization. */
export function checkAllowlist({ token, standing, rules }: Case): Ruling | null {
  const { allowlist, organization } = rules;
  const username = standing?.username ?? null;
  // A name that somebody chose must not read as one of the entries that stand for many.
  const names = [username, token.user].filter((name) => name !== null && !GROUP.test(name));
  names.push(domainOf(username));
  // What a token says of another organization opens nothing here: anybody may be the admin of one of their own.
  const here = organization === null || token.organization === null || token.organization === organization;
  if (here) names.push(...(standing?.roles ?? []).map((role) => `role:${role}`));
  const member = standing?.member ?? (organization !== null && token.organization === organization);
  if (member && here) names.push("members");
  if (names.some((name) => name !== null && allowlist.includes(spelled(name)))) return null;
  if (username === null) return deny("allowlist.user", "nameless");
  return deny("allowlist.user", "main", { user: short(username) });
}

const GROUP = /^(@|role:|members$)/i;

/** `@` and the domain of an email address; null where it is none, or has more than one `@` to read it by. */
function domainOf(address: string | null): string | null {
  const parts = (address ?? "").split("@");
  return parts.length === 2 && parts[0] !== "" && parts[1] !== "" ? `@${parts[1]}` : null;
}

/** Gate 4: was this granted? RFC 6750 section 3.1, `insufficient_scope`. */
export function checkScope({ token, standing, tool, scope }: Case): Ruling | null {
  const permitted = standing?.permissions ?? null;
  if (scope === null || (permitted ?? token.scopes).includes(scope)) return null;
  const what = { tool: tool ?? "this", scope };
  if (permitted !== null) {
    const roles = (standing?.roles ?? []).map((role) => short(role)).join(", ");
    // No consent gives what the human does not have: stepping up would ask in vain.
    if (roles === "") return deny("scope.insufficient", "no_role", what);
    return deny("scope.insufficient", "role", { ...what, roles });
  }
  const held = token.scopes.filter((one) => one.includes(":")).sort();
  const holds = held.length === 0 ? "no scope of this shop" : held.length <= 2 ? held.join(", ") : "other scopes";
  return denyCaller(token, "scope.insufficient", { ...what, held: holds });
}

/** Gate 5, first limit: how often an agent may call. */
export function checkRate({ now }: Case, { rateOk, rate }: Pick<Usage, "rateOk" | "rate">): Ruling | null {
  if (rateOk) return null;
  const seconds = Math.max(1, Math.ceil((rate.resets_at ?? now) - now));
  return deny("limits.rate", "main", { limit: rate.limit, window: rate.window ?? 0, seconds });
}

/** Gate 5, second limit: how many purchases one consent is good for. */
export function checkQuota({ token }: Case, { replay, purchases }: Usage): Ruling | null {
  if (replay || purchases.used < purchases.limit) return null;
  return denyCaller(token, "limits.quota", { used: purchases.used, limit: purchases.limit });
}

/** Gate 5, third limit: how much money the human consented to. */
export function checkSpending({ token }: Case, { replay, spending, ownLimit, price }: Usage): Ruling | null {
  if (replay) return null;
  if (spending === null) return denyCaller(token, "limits.consent");
  const left = Math.max(0, spending.limit - spending.used);
  if (left >= price.amount) return null;
  const said = { left: inWords({ ...price, amount: left }), price: inWords(price) };
  if (ownLimit) return deny("limits.spending", "handed_on", said);
  return deny("limits.spending", token.chain.length > 1 ? "above" : "main", said);
}

/** Whether a human has to approve this very purchase: it costs more than the settings say; or its token was granted for
 * one purchase, and is held to that at any price. */
export function needsApproval({ token }: Case, { replay, wanted, approveAbove, price }: Usage): boolean {
  if (replay || wanted === null) return false;
  return token.approval !== null || (approveAbove !== null && price.amount > approveAbove);
}

/** The approval that this purchase can be placed on; null where there is none that holds. */
export function approvalOf(one: Case, usage: Usage): Approval | null {
  return fitting(one, usage).find(({ id, until }) => !usage.usedApprovals.has(id) && one.now < until) ?? null;
}

/** What of the approvals that came with this call is a yes to this purchase, the newest first. Beside a token that was
 * granted for one purchase nothing else counts. */
function fitting(one: Case, { wanted }: Usage): Approval[] {
  const { token, standing, rules } = one;
  const told = token.approval !== null ? [token.approval] : (standing?.approvals ?? []);
  const agent = agentOf(token);
  if (wanted === null) return [];
  return told.filter((yes) => fits(yes, wanted, agent, rules.audiences)).sort((a, b) => b.until - a.until);
}

/** Gate 5, fourth limit: did a human approve this very purchase? */
export function checkApproval(one: Case, usage: Usage): Ruling | null {
  const { price, approveAbove, approves, usedApprovals } = usage;
  if (!needsApproval(one, usage) || approvalOf(one, usage) !== null) return null;
  const found = fitting(one, usage);
  if (one.token.approval !== null && found.length === 0) return deny("limits.approval", "other");
  if (found.length > 0) {
    return deny("limits.approval", found.every(({ id }) => usedApprovals.has(id)) ? "used" : "late");
  }
  const above = { price: inWords(price), above: inWords({ ...price, amount: approveAbove ?? 0 }) };
  return deny("limits.approval", approves ? "main" : "unsupported", above);
}

/** Gates 1 to 4 in their order; an allow means that only the limits are left to ask. */
export function admit(one: Case): Ruling {
  const gate = one.scope === null ? "allowlist" : "scope";
  return checkToken(one) ?? checkStanding(one) ?? checkAllowlist(one) ?? checkScope(one) ?? allowed(one, gate);
}

/** Gate 5, for a call that `admit` let through: the rate for every tool, quota and money for a purchase. */
export function withinLimits(one: Case, usage: Usage): Ruling {
  const rate = checkRate(one, usage);
  if (rate !== null || one.tool !== BUY) return rate ?? allowed(one, "limits");
  const limit = checkQuota(one, usage) ?? checkSpending(one, usage) ?? checkApproval(one, usage);
  if (limit !== null || !needsApproval(one, usage)) return limit ?? allowed(one, "limits");
  const said = { user: userOf(one), approval: short(approvalOf(one, usage)?.id ?? "") };
  return { ...ruling("allow", "allowed", "approved", said), gate: "limits" };
}

/** What the open door says to everybody. */
export function allowAnonymous(): Ruling {
  return ruling("allow", "open.anonymous", "main", {});
}

function userOf({ token, standing }: Case): string {
  return short(standing?.username || token.user || "a human");
}

function allowed(one: Case, gate: string): Ruling {
  const { token } = one;
  const user = userOf(one);
  const client = token.client === null ? "" : short(token.client);
  return { ...ruling("allow", "allowed", client === "" ? "main" : "client", { user, client }), gate };
}
