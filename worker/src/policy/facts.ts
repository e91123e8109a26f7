/** The facts that the gates decide on: plain data, which crosses from the Worker into a user's object as it is. */

import type { Money } from "../evidence";
import type { Approval } from "./approval";

/** What the presented token says. Where `fault` is set, nothing else is known. */
export interface TokenFacts {
  fault: "missing" | "malformed" | "signature" | null;
  /** Which variant of the rule `token.FAULT` it is. */
  detail: string;
  /** As `typeOf` gives it. */
  type: string;
  issuer: string;
  audience: string[];
  expiresAt: number;
  notBefore: number | null;
  user: string | null;
  /** The claims of the token itself; where the authorization server is asked live, its answer counts instead. */
  username: string | null;
  name: string | null;
  roles: string[];
  /** The agents that act: who calls, then each above it that handed on what it had (RFC 8693 section 4.1); the last is
   * the one that the human consented to. Empty where the token names none. */
  chain: string[];
  client: string | null;
  session: string | null;
  consent: string | null;
  /** The organization in which the human granted this, where the authorization server says so (`org_id`). */
  organization: string | null;
  tokenId: string | null;
  scopes: string[];
  /** What may be spent (RFC 9396). Each of them holds; empty where the human consented to no spending. */
  spendingLimits: SpendingLimit[];
  /** The one purchase that it is for, and then for nothing else; null of a token for whatever the consent allows. */
  approval: Approval | null;
  /** The thumbprint of the key that it is bound to (RFC 9449 section 6.1); empty where it is bound to something that
   * cannot be read; null of a bearer token. */
  key: string | null;
}

/** How much may be spent, and by whom: by one agent of the chain with all below it, or for null by the consent. */
export interface SpendingLimit {
  by: string | null;
  limit: Money;
}

export const NO_FACTS: TokenFacts = {
  fault: null,
  detail: "main",
  type: "",
  issuer: "",
  audience: [],
  expiresAt: 0,
  notBefore: null,
  user: null,
  username: null,
  name: null,
  roles: [],
  chain: [],
  client: null,
  session: null,
  consent: null,
  organization: null,
  tokenId: null,
  scopes: [],
  spendingLimits: [],
  approval: null,
  key: null,
};

export type Kind = "session" | "agent" | "user";

/** What the authorization server (RFC 7662) and the shop's own ledger say about what was granted, now. */
export interface Standing {
  /** False when the authorization server could not be asked or did not answer as it must; `detail` says how. */
  known: boolean;
  active: boolean;
  revoked: Kind | "token" | null;
  username: string | null;
  name: string | null;
  roles: string[];
  /** Whether the human is an active member of the shop's organization, where WorkOS is asked; else null. */
  member: boolean | null;
  /** What the human's role permits, where that decides and not the token's scopes; else null. */
  permissions: string[] | null;
  /** Single purchases that the human approved within this grant, as introspection tells (RFC 9396 section 9.2). */
  approvals: Approval[];
  banned: boolean;
  detail: string;
  /** Where it is not known: whether asking again will not help, since the shop's settings are wrong. */
  lasting: boolean;
}

/** Standing of which nothing is known or revoked. */
export const NO_STANDING: Standing = {
  known: false,
  active: false,
  revoked: null,
  username: null,
  name: null,
  roles: [],
  member: null,
  permissions: null,
  approvals: [],
  banned: false,
  detail: "",
  lasting: false,
};

/** Standing that could not be learnt, and why, in a few words. */
export function unknown(detail: string, lasting = false): Standing {
  return { ...NO_STANDING, detail, lasting };
}

/** What quota and money are counted by: the consent, or where the token names none the session, or what a human
 * and a client are to each other. */
export function accountOf(token: TokenFacts): string {
  if (token.consent !== null) return `consent:${token.consent}`;
  return token.session !== null ? `session:${token.session}` : `grant:${token.user} ${token.client}`;
}

/** The agent that calls; null where the token names none. */
export function agentOf({ chain }: TokenFacts): string | null {
  return chain[0] ?? null;
}

/** The agents above the one that calls, the nearest first, with spaces between; null where there is none. */
export function handedOnBy({ chain }: TokenFacts): string | null {
  return chain.slice(1).join(" ") || null;
}

/** Who calls, and whose idempotency keys these are: the agent, or the client where none is named. */
export function callerOf(token: TokenFacts): string {
  return callersOf(token)[0]!;
}

/** Who calls, and each above it. */
export function callersOf({ chain, user, client }: TokenFacts): string[] {
  return chain.length === 0 ? [`client:${user} ${client}`] : chain.map((agent) => `agent:${agent}`);
}

/** What the rate is counted by: the agent that was consented to. Who hands on is not the faster for it. */
export function ratedOf(token: TokenFacts): string {
  return callersOf(token).at(-1)!;
}
