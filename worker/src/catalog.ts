/** What the shop offers: one item, seven tools, and the scope that each tool needs. */

import listed from "./tools.json";

export const ITEM_ID = "conference-t-shirt";
export const ITEM_NAME = "Conference T-shirt";
export const SIZES = ["S", "M", "L", "XL", "XXL"] as const;
export type Size = (typeof SIZES)[number];

export const BUY = "buyMcpShopItem";
export const PRETTY_PLEASE = "prettyPlease";
export const AUDIT_SCOPE = "audit:read";
export const ADMIN_SCOPE = "sessions:manage";
export const ADMIN_ROLE = "admin";

/** What a request needs that names no tool: the least that is of use here. */
export const DEFAULT_SCOPE = "shop:read";

/** What it takes to shop here, from looking to the order. */
export const SHOPPER_SCOPES = ["shop:read", "orders:read", "shop:buy"];

/** The tools as `tools/list` gives them: word for word those of the local shop, of which the file is a copy. */
export const TOOLS = listed;

export const TOOL_SCOPES: ReadonlyMap<string, string> = new Map(
  TOOLS.map((tool) => [tool.name, tool._meta["demo/scope"]]),
);

/** What AuthKit grants an agent, whatever it asks for: scopes that speak of the login alone. */
export const LOGIN_SCOPES = ["openid", "profile", "email", "offline_access"];

/** The scope of a 401 challenge: what a shopper needs, and what this request needs beside it. Clients ask for just what
 * the first challenge names, and many never step up afterwards. The human's own routes ask for nothing else. */
export function scopeToLogInFor(needed: string): string {
  const own = needed === AUDIT_SCOPE || needed === ADMIN_SCOPE;
  return own ? needed : [...new Set([...SHOPPER_SCOPES, needed])].join(" ");
}

/** Every scope that means something at the protected door, for its metadata. */
export const SCOPES = [...new Set([...TOOL_SCOPES.values(), AUDIT_SCOPE])];
