/** Deciding: every gate of the protected door as a pure function of plain facts, in the local shop's words.
 *
 * A gate gives the ruling that it speaks, or null when it has no objection. Nothing here does I/O. */

import { BUY, PRETTY_PLEASE } from "../catalog";
import { say, short, type LimitUse, type Money, type Verdict } from "../evidence";
import type { Kind, Standing, TokenFacts } from "./facts";
import { accepted, objection } from "./token_type";

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
  tokenTypes: string[] | null;
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
  /** The authority's clock minus ours in seconds, as last heard; null where it was never. It changes words only. */
  skew: number | null;
}

/** How much of each limit was used before this call; `rate` counts this call already. */
export interface Usage {
  rateOk: boolean;
  rate: LimitUse;
  purchases: LimitUse;
  spending: LimitUse | null;
  price: Money;
  /** Whether the call's idempotency key has an order already: then it takes nothing from quota or balance. */
  replay: boolean;
}

/** What a gate says, and in which words. */
export interface Ruling {
  verdict: Verdict;
  gate: string;
  rule: string;
  reason: string;
  remedy: string | null;
}

const LOGIN_AGAIN = "Log in again, then call again.";
const SET_THE_CLOCKS = "Set the clocks (NTP), get a new token, then call again.";

/** How far the authority's clock may be from ours before a refusal says so; `Date` is told in whole seconds. */
const SKEW_SECONDS = 5;

function deny(gate: string, rule: string, reason: string, remedy: string): Ruling {
  return { verdict: "deny", gate, rule: `${gate}.${rule}`, reason, remedy };
}

/** Gate 1: a token, of ours, for us, in time, and an access token (RFC 6750, RFC 8707, RFC 9068 section 4). */
export function checkToken({ token, rules, now, skew }: Case): Ruling | null {
  if (token.fault === "missing") {
    const remedy = "Ask a human to log in and deputize this agent.";
    return deny("token", "missing", "No access token came with this call.", remedy);
  }
  if (token.fault !== null) return deny("token", token.fault, token.detail, LOGIN_AGAIN);
  if (token.issuer !== rules.issuer) {
    return deny("token", "issuer", "The token's issuer is not the authority of this shop.", LOGIN_AGAIN);
  }
  if (!token.audience.some((one) => rules.audiences.includes(one))) {
    const meant = token.audience[0];
    const whom = meant === undefined ? "for nobody in particular" : `for ${short(meant)}, not for this shop`;
    return deny("token", "audience", `The token is ${whom}.`, "Get one for this shop (`resource`, RFC 8707).");
  }
  if (now >= token.expiresAt + rules.leeway) {
    const ago = `${Math.round(now - token.expiresAt)} s ago`;
    const behind = Math.max(0, -(skew ?? 0));
    if (behind > SKEW_SECONDS && now - behind < token.expiresAt) {
      const reason = `The token expired ${ago} here: the authority's clock is ${Math.round(behind)} s behind.`;
      return deny("token", "expired", reason, SET_THE_CLOCKS);
    }
    return deny("token", "expired", `The token expired ${ago}.`, "Refresh it or log in again, then call again.");
  }
  if (token.notBefore !== null && now + rules.leeway < token.notBefore) {
    return deny("token", "expired", "The token is not valid yet.", "Set the clock, or wait, then call again.");
  }
  const why = objection(token.type, rules.tokenTypes ?? accepted(token.issuer, token.session));
  if (why !== null) {
    return deny("token", "type", why, "Present the access token that came with it (RFC 6749 section 5.1).");
  }
  return null;
}

/** What a refusal says of what was revoked; null where the authority does not tell. */
export function takenBack(revoked: Kind | "token" | null): Ruling {
  switch (revoked) {
    case "session":
      return deny("standing", "session", "The human took this session back.", LOGIN_AGAIN);
    case "agent":
      return deny("standing", "agent", "The human took this agent's authority back.", "Ask to have it reinstated.");
    case "user":
      return deny("standing", "user", "All of this user's agents were stopped.", "Have the user reinstated.");
    default:
      return deny("standing", "token", "The authority says that this token no longer holds.", LOGIN_AGAIN);
  }
}

/** Gate 2: is what the human granted still granted? Not to know is to refuse.
 *
 * The shop's own ban stops tools from being run. Listing them stays open: an agent must be able to find the one tool
 * that lifts the ban. */
export function checkStanding({ token, standing, now, method, tool, skew }: Case): Ruling | null {
  if (standing === null || !standing.known) {
    const why = standing === null ? "not asked" : standing.detail;
    const remedy = standing?.lasting ? "Whoever runs this shop must mend its settings." : "Try again in a moment.";
    return deny("standing", "unknown", `The authority cannot be asked (${why}).`, `Nothing was done. ${remedy}`);
  }
  if (!standing.active) {
    if (standing.revoked === null && now >= token.expiresAt) {
      return deny("token", "expired", "The token expired just now.", "Refresh it or log in again.");
    }
    const ahead = Math.max(0, skew ?? 0);
    if (standing.revoked === null && ahead > SKEW_SECONDS && now + ahead >= token.expiresAt) {
      const reason = `The token has expired at the authority, whose clock is ${Math.round(ahead)} s ahead.`;
      return deny("token", "expired", reason, SET_THE_CLOCKS);
    }
    return takenBack(standing.revoked);
  }
  if (standing.banned && method === "tools/call" && tool !== PRETTY_PLEASE) {
    return deny("standing", "banned", "This user is banned from the shop.", `Call ${PRETTY_PLEASE} and mean it.`);
  }
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
  if (names.some((name) => name !== null && allowlist.includes(name.toLowerCase()))) return null;
  const who = username !== null ? short(username) : "A user without a name";
  return deny("allowlist", "user", `${who} is not on this shop's allowlist.`, "Ask the shop to be let in.");
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
  if (permitted !== null) {
    const roles = (standing?.roles ?? []).map((role) => short(role)).join(", ");
    const reason = roles
      ? `The role ${roles} does not permit ${scope}, which ${tool ?? "this"} needs.`
      : `This user has no role here that permits anything; ${tool ?? "this"} needs ${scope}.`;
    // No consent gives what the human does not have: stepping up would ask in vain.
    return deny("scope", "insufficient", reason, `Have an admin permit ${scope}, then call again.`);
  }
  const held = token.scopes.filter((one) => one.includes(":")).sort();
  const holds = held.length === 0 ? "no scope of this shop" : held.length <= 2 ? held.join(", ") : "other scopes";
  const reason = `This agent holds ${holds}; ${tool ?? "this"} needs ${scope}.`;
  return deny("scope", "insufficient", reason, `Ask the human for ${scope} (step up), then call again.`);
}

/** Gate 5, first limit: how often an agent may call. */
export function checkRate({ now }: Case, { rateOk, rate }: Pick<Usage, "rateOk" | "rate">): Ruling | null {
  if (rateOk) return null;
  const wait = Math.max(1, Math.ceil((rate.resets_at ?? now) - now));
  return deny("limits", "rate", `${rate.limit} calls in ${rate.window ?? 0} s are used up.`, `Wait ${wait} s.`);
}

/** The open door's own refusal, where it is switched off; `resource` is the door that is left. */
export function closed(resource: string): Ruling {
  const remedy = `Log in, and call ${resource} instead.`;
  return { verdict: "deny", gate: "door", rule: "open.closed", reason: "The open door is switched off.", remedy };
}

/** Gate 5, second limit: how many purchases one consent is good for. */
export function checkQuota({ replay, purchases }: Usage): Ruling | null {
  if (replay || purchases.used < purchases.limit) return null;
  const used = `${purchases.used} of ${purchases.limit} purchases of this consent are used.`;
  return deny("limits", "quota", used, "Ask the human for a new consent.");
}

/** Gate 5, third limit: how much money the human consented to. */
export function checkSpending({ replay, spending, price }: Usage): Ruling | null {
  if (replay) return null;
  if (spending === null) {
    const reason = "The human consented to no spending limit.";
    return deny("limits", "consent", reason, "Ask for one (`authorization_details`, RFC 9396).");
  }
  const left = Math.max(0, spending.limit - spending.used);
  if (left >= price.amount) return null;
  const balance = say({ amount: left, currency: price.currency });
  const reason = `${balance} is left of the human's limit; this costs ${say(price)}.`;
  return deny("limits", "spending", reason, "Ask the human for a higher limit.");
}

/** Gates 1 to 4 in their order; an allow means that only the limits are left to ask. */
export function admit(one: Case): Ruling {
  const gate = one.scope === null ? "allowlist" : "scope";
  return checkToken(one) ?? checkStanding(one) ?? checkAllowlist(one) ?? checkScope(one) ?? allowed(one, gate);
}

/** Gate 5, for a call that `admit` let through: the rate for every tool, quota and money for a purchase. */
export function withinLimits(one: Case, usage: Usage): Ruling {
  const buying = one.tool === BUY ? (checkQuota(usage) ?? checkSpending(usage)) : null;
  return checkRate(one, usage) ?? buying ?? allowed(one, "limits");
}

function allowed({ token, standing }: Case, gate: string): Ruling {
  const who = standing?.username || token.user || "a human";
  const through = token.client ? ` through ${short(token.client)}` : "";
  return {
    verdict: "allow",
    gate,
    rule: "allowed",
    reason: `Every gate passed for ${short(who)}${through}.`,
    remedy: null,
  };
}
