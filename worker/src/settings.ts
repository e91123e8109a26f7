/** What the shop is told from outside: its address, its authority, its rules. Read anew for each request. */

import { money, type Money } from "./evidence";
import { LOOPBACK, urlOf } from "./wire/url";
import type { StockRoom } from "./objects/stock";
import type { UserLedger } from "./objects/user";

/** The bindings, variables and secrets of `wrangler.jsonc`, by name. */
export interface Env {
  USERS: DurableObjectNamespace<UserLedger>;
  STOCK: DurableObjectNamespace<StockRoom>;
  /** The rate-limit binding in front; where there is none nothing is asked. */
  FRONT?: RateLimit;
  VERSION?: WorkerVersionMetadata;
  AUTHORITY?: string;
  BASE_URL?: string;
  ALLOWLIST?: string;
  TOKEN_TYPES?: string;
  SCOPE_CLAIMS?: string;
  CONSOLE_CLIENTS?: string;
  DEFAULT_SPENDING_LIMIT?: string;
  RATE_CALLS?: string;
  RATE_SECONDS?: string;
  PURCHASES_PER_CONSENT?: string;
  STOCK_AT_FIRST?: string;
  SCOPES_FROM?: string;
  ORGANIZATION?: string;
  WORKOS_API?: string;
  WORKOS_API_KEY?: string;
  INTROSPECTION_CLIENT_ID?: string;
  INTROSPECTION_CLIENT_SECRET?: string;
}

/** The same, parsed. Money in minor units, times in seconds unless the name says otherwise. */
export interface Settings {
  /** The origin that the shop is reached at, without a trailing slash. */
  base: string;
  /** The resource identifier of the protected door (RFC 8707), which a token's audience must name. */
  resource: string;
  /** The resource identifier of the human's own routes: a token for the shop is none for these. */
  adminResource: string;
  /** The issuer that is trusted; everything else about it is discovered (RFC 8414). Empty: none. */
  authority: string;
  /** This resource server's credentials at the authority (RFC 7662), or null: then tokens are believed until they
   * expire, but for what was revoked here. */
  introspection: { id: string; secret: string } | null;
  /** WorkOS's API and a key to it, to ask who a user is and what their role permits; or null. */
  directory: { url: string; key: string } | null;
  /** The organization whose members' roles count; null where none does. */
  organization: string | null;
  /** What decides which tools may be called: the token's scopes, or the permissions of the human's role. */
  scopesFrom: "token" | "role";
  /** Email addresses or user ids in lower case. */
  allowlist: string[];
  tokenTypes: string[];
  scopeClaims: string[];
  consoleClients: string[];
  defaultSpendingLimit: Money | null;
  rateCalls: number;
  rateSeconds: number;
  purchasesPerConsent: number;
  price: Money;
  stockAtFirst: number;
  /** How far the authority's clock and ours may differ when a token's times are checked. */
  leeway: number;
  /** Milliseconds for one question to the authority, from connection to last byte. */
  authorityTimeout: number;
}

/** A variable that cannot be meant; the message names it. */
export class SettingsWrong extends Error {}

/**
 * The settings for a request that came to `origin`.
 *
 * @throws SettingsWrong a variable does not hold what it must.
 */
export function readSettings(env: Env, origin: string): Settings {
  const base = httpOrigin("BASE_URL", env.BASE_URL) ?? origin;
  const [id, secret] = [env.INTROSPECTION_CLIENT_ID ?? "", env.INTROSPECTION_CLIENT_SECRET ?? ""];
  if ((id === "") !== (secret === "")) {
    throw new SettingsWrong("Set both INTROSPECTION_CLIENT_ID and INTROSPECTION_CLIENT_SECRET, or neither.");
  }
  const key = (env.WORKOS_API_KEY ?? "").trim();
  const scopesFrom = (env.SCOPES_FROM ?? "").trim() || "token";
  if (scopesFrom !== "token" && scopesFrom !== "role") throw new SettingsWrong("SCOPES_FROM must be token or role.");
  if (scopesFrom === "role" && key === "") {
    throw new SettingsWrong(
      "SCOPES_FROM is role, so WORKOS_API_KEY must be set: npx wrangler secret put WORKOS_API_KEY.",
    );
  }
  const organization = (env.ORGANIZATION ?? "").trim() || null;
  if (scopesFrom === "role" && organization === null) {
    // Whoever may make an organization of their own is its admin: a role counts in one organization only.
    throw new SettingsWrong(
      "SCOPES_FROM is role, so ORGANIZATION must name the one whose roles count, such as org_...",
    );
  }
  const limit = (env.DEFAULT_SPENDING_LIMIT ?? "").trim();
  return {
    base,
    resource: `${base}/mcp`,
    adminResource: `${base}/admin`,
    authority: issuer(env.AUTHORITY ?? ""),
    introspection: id === "" ? null : { id, secret },
    directory: key === "" ? null : { url: directory(env.WORKOS_API ?? ""), key },
    organization,
    scopesFrom,
    allowlist: listed(env.ALLOWLIST ?? "").map((entry) => entry.toLowerCase()),
    tokenTypes: listed(env.TOKEN_TYPES || "at+jwt,application/at+jwt").map((entry) => entry.toLowerCase()),
    scopeClaims: listed(env.SCOPE_CLAIMS || "scope"),
    consoleClients: listed(env.CONSOLE_CLIENTS ?? ""),
    defaultSpendingLimit: limit === "" ? null : money(count("DEFAULT_SPENDING_LIMIT", limit, 0, 0)),
    rateCalls: count("RATE_CALLS", env.RATE_CALLS, 10),
    rateSeconds: count("RATE_SECONDS", env.RATE_SECONDS, 10),
    purchasesPerConsent: count("PURCHASES_PER_CONSENT", env.PURCHASES_PER_CONSENT, 2, 0),
    price: money(2500),
    stockAtFirst: count("STOCK_AT_FIRST", env.STOCK_AT_FIRST, 100, 0),
    leeway: 1,
    authorityTimeout: 3000,
  };
}

function listed(value: string): string[] {
  return value
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

function count(name: string, given: string | undefined, otherwise: number, least = 1): number {
  if (given === undefined || given.trim() === "") return otherwise;
  // Digits and nothing else: 60.00 may be meant for money, and would be 60 cents.
  const value = /^\d+$/.test(given.trim()) ? Number(given) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < least || value > 1_000_000_000) {
    throw new SettingsWrong(`${name} must be a whole number from ${least}.`);
  }
  return value;
}

function httpOrigin(name: string, given: string | undefined): string | null {
  if (given === undefined || given.trim() === "") return null;
  const url = urlOf(given.trim());
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new SettingsWrong(`${name} must be an origin, such as https://shop.example.com.`);
  }
  return url.origin;
}

function directory(given: string): string {
  const origin = httpOrigin("WORKOS_API", given) ?? "https://api.workos.com";
  if (origin.startsWith("http:") && !LOOPBACK.includes(new URL(origin).hostname)) {
    throw new SettingsWrong("WORKOS_API must be an https URL: the key goes there.");
  }
  return origin;
}

function issuer(given: string): string {
  const value = given.trim();
  const url = urlOf(value);
  if (value !== "" && (url === null || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "")) {
    throw new SettingsWrong("AUTHORITY must be an issuer's URL, such as https://your-name.authkit.app.");
  }
  if (url?.protocol === "http:" && !LOOPBACK.includes(url.hostname)) {
    // RFC 8414 section 2. Whoever sits between could hand out keys of their own.
    throw new SettingsWrong("AUTHORITY must be an https URL: plain http is for an authority on this very machine.");
  }
  return value;
}
