/** The shop's data, typed: what is sold, tools, scopes, limits, and the sentences with their values filled in. */

import { ITEM, RULES, SAMPLE_ADDRESSES as SAMPLES, SCOPES, SENTENCES, TOOLS } from "./generated/shop";

export { ITEM, LIMITS, PROOFS, RULES, SCOPES, SERVER, TOOLS, TOKEN_TYPES } from "./generated/shop";

export type Size = (typeof ITEM.sizes)[number];
export type ToolName = (typeof TOOLS)[number]["name"];

export const BUY: ToolName = "buyMcpShopItem";
export const PRETTY_PLEASE: ToolName = "prettyPlease";

export const TOOL_SCOPES: ReadonlyMap<string, string> = new Map(
  TOOLS.map((tool) => [tool.name, tool._meta["demo/scope"]]),
);

/** The only addresses that the open door tells: nobody lives there. */
export const SAMPLE_ADDRESSES: ReadonlySet<string> = new Set(SAMPLES);

/** What AuthKit grants an agent, whatever it asks for: scopes that speak of the login alone. */
export const LOGIN_SCOPES = ["openid", "profile", "email", "offline_access"];

/** Every scope that means something at the protected door, for its metadata. */
export const SCOPES_SUPPORTED = [...new Set([...TOOL_SCOPES.values(), SCOPES.everyOrder, SCOPES.audit])];

/** The scope of a 401 challenge: what a shopper needs, and what this request needs beside it. Clients ask for just what
 * the first challenge names, and many never step up afterwards. The human's own routes ask for nothing else. */
export function scopeToLogInFor(needed: string): string {
  const own = needed === SCOPES.audit || needed === SCOPES.manage;
  return own ? needed : [...new Set([...SCOPES.shopper, needed])].join(" ");
}

/** The names of the values that a sentence wants. */
export type Holes<Sentence> = Sentence extends `${string}{${infer Name}}${infer Rest}` ? Name | Holes<Rest> : never;

/** Those values, as the rest of a function's parameters: none where the sentence wants none. */
export type Values<Names extends string> = [Names] extends [never] ? [] : [Record<Names, string | number>];

/** A sentence of the data, filled in. */
export function say<Name extends keyof typeof SENTENCES>(
  name: Name,
  ...[values]: Values<Holes<(typeof SENTENCES)[Name]>>
): string {
  return fill(SENTENCES[name], values ?? {});
}

/** A sentence with a value for each `{name}`; what is filled in is never read as a sentence itself. */
export function fill(sentence: string, values: Readonly<Record<string, string | number>>): string {
  return sentence.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]));
}

export type RuleId = keyof typeof RULES;
export type Words = { reason: string; remedy: string | null };

/** The words of a rule's variant, unfilled. */
export function wordsOf(rule: RuleId, variant: string): Words {
  const words: Readonly<Record<string, Words>> = RULES[rule].words;
  return words[variant] ?? RULES[rule].words.main;
}
