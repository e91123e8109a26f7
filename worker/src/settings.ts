/** The shop's settings: its address, its authorization server, its rules. Read again for each request. */

import { ITEM, LIMITS } from "./catalog";
import { money, type Money } from "./evidence";
import { isAuthKit, normal } from "./policy/token_type";
import { LOOPBACK, spelled, urlOf } from "./wire/values";

/** The variables and secrets of `wrangler.jsonc`, by name. */
export interface Variables {
  ISSUER?: string;
  BASE_URL?: string;
  ALLOWLIST?: string;
  TOKEN_TYPES?: string;
  EXTRA_AUDIENCES?: string;
  OPEN_DOOR?: string;
  OPEN_RATE_CALLS?: string;
  OPEN_STOCK_AT_FIRST?: string;
  REPOSITORY?: string;
  SCOPE_CLAIMS?: string;
  CONSOLE_CLIENTS?: string;
  DEFAULT_SPENDING_LIMIT?: string;
  RATE_CALLS?: string;
  RATE_SECONDS?: string;
  PURCHASES_PER_CONSENT?: string;
  APPROVE_ABOVE?: string;
  STOCK_AT_FIRST?: string;
  WAREHOUSE?: string;
  SCOPES_FROM?: string;
  ORGANIZATION?: string;
  WORKOS_API?: string;
  WORKOS_API_KEY?: string;
  INTROSPECTION_CLIENT_ID?: string;
  INTROSPECTION_CLIENT_SECRET?: string;
  OTEL_EXPORTER_OTLP_ENDPOINT?: string;
  OTEL_EXPORTER_OTLP_HEADERS?: string;
}

/** Where spans go (opentelemetry.io/docs/specs/otel/protocol/exporter): the URL for traces, and what opens it. */
export interface Collector {
  url: string;
  headers: Record<string, string>;
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
  issuer: string;
  /** This resource server's credentials at the authorization server (RFC 7662), or null: then tokens are believed
   * until they expire, but for what was revoked here. */
  introspection: { id: string; secret: string } | null;
  /** WorkOS's API and a key to it, to ask who a user is and what their role permits; or null. */
  directory: { url: string; key: string } | null;
  /** The organization whose members' roles count, and whom `members` on the allowlist lets in; null where none does. */
  organization: string | null;
  /** What decides which tools may be called: the token's scopes, or the permissions of the human's role. */
  scopesFrom: "token" | "role";
  /** In lower case: email addresses, user ids, `@DOMAIN`, `role:SLUG`, `members`. */
  allowlist: string[];
  /** The types of an access token, `absent` for one without; null: what the issuer is known for. */
  tokenTypes: string[] | null;
  /** Audiences beside the resource that a token for the protected door may have: a weakening, none by default. */
  extraAudiences: string[];
  scopeClaims: string[];
  consoleClients: string[];
  defaultSpendingLimit: Money | null;
  rateCalls: number;
  rateSeconds: number;
  purchasesPerConsent: number;
  /** The price above which a human approves each purchase; null where none has to be approved. */
  approveAbove: number | null;
  /** Whether the authorization server can be asked for such an approval: AuthKit grants no authorization details. */
  approves: boolean;
  price: Money;
  stockAtFirst: number;
  /** Where the warehouse takes what was ordered at the protected door; null: nobody is told. */
  warehouse: string | null;
  /** The door without auth: whether it is there, how many calls one address has in `rateSeconds`, what it sells. */
  open: { on: boolean; calls: number; stockAtFirst: number };
  /** Where the code is, for the page at `/`. */
  repository: string;
  /** Who is sent spans of what is done here; null: nobody. */
  collector: Collector | null;
  /** How far the authorization server's clock and ours may differ when a token's times are checked. */
  leeway: number;
  /** Milliseconds for one question to the authorization server, from connection to last byte. */
  answerTimeout: number;
}

/** Variables that cannot be meant, or that are missing; the message names each. */
export class SettingsWrong extends Error {}

/** Calls of a limit, at most: the time of each is kept for as long as its window. */
const MOST_CALLS = 100_000;

/** The code of this talk's first edition; `REPOSITORY` names another. */
const FIRST_EDITION = "https://github.com/workos/mcp-shop-cloudflare";

/**
 * The settings for a request that came to `origin`.
 *
 * @throws SettingsWrong variables are missing, or do not hold what they must; all of them are said at once.
 */
export function readSettings(env: Variables, origin: string): Settings {
  const wrong: string[] = [];
  const checked = <T>(read: () => T, otherwise: T): T => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof SettingsWrong)) throw error;
      wrong.push(error.message);
      return otherwise;
    }
  };
  const number = (name: NumberName, otherwise: number, least = 1, most = 1_000_000_000) =>
    checked(() => count(name, env[name], otherwise, least, most), otherwise);
  const base = checked(() => baseOf(env.BASE_URL, origin), origin);
  const [id, secret] = [env.INTROSPECTION_CLIENT_ID ?? "", env.INTROSPECTION_CLIENT_SECRET ?? ""];
  if ((id === "") !== (secret === "")) {
    wrong.push("Set both INTROSPECTION_CLIENT_ID and INTROSPECTION_CLIENT_SECRET, or neither.");
  }
  const issuer = checked(() => issuerOf(env.ISSUER ?? ""), "");
  const key = (env.WORKOS_API_KEY ?? "").trim();
  const scopesFrom = (env.SCOPES_FROM ?? "").trim() || (isAuthKit(issuer) ? "role" : "token");
  if (scopesFrom !== "token" && scopesFrom !== "role") wrong.push("SCOPES_FROM must be token or role.");
  const why = env.SCOPES_FROM ? "SCOPES_FROM is role" : "ISSUER is AuthKit";
  if (scopesFrom === "role" && key === "") {
    wrong.push(`WORKOS_API_KEY must be set, since ${why}: npx wrangler secret put WORKOS_API_KEY.`);
  }
  const organization = (env.ORGANIZATION ?? "").trim() || null;
  if (scopesFrom === "role" && organization === null) {
    // Anybody who may make an organization of their own is its admin: a role counts in one organization only.
    wrong.push(`ORGANIZATION must name the one whose roles count (org_...), since ${why}.`);
  }
  const warehouse = checked(() => warehouseOf(env.WAREHOUSE), null);
  if (warehouse !== null && id === "") {
    // It is told by a token that the authorization server makes for this shop, and for nobody else.
    wrong.push("WAREHOUSE wants INTROSPECTION_CLIENT_ID and INTROSPECTION_CLIENT_SECRET, too.");
  }
  const allowlist = listed(env.ALLOWLIST ?? "").map(spelled);
  if (allowlist.includes("members") && organization === null) {
    wrong.push("ALLOWLIST has members, so ORGANIZATION must name whose, such as org_...");
  }
  const open = (env.OPEN_DOOR ?? "").trim().toLowerCase() || "on";
  if (open !== "on" && open !== "off") wrong.push("OPEN_DOOR must be on or off.");
  const limit = (env.DEFAULT_SPENDING_LIMIT ?? "").trim();
  const above = (env.APPROVE_ABOVE ?? "").trim().toLowerCase();
  const types = listed(env.TOKEN_TYPES ?? "").map(normal);
  const settings: Settings = {
    base,
    resource: `${base}/mcp`,
    adminResource: `${base}/admin`,
    issuer,
    introspection: id === "" ? null : { id, secret },
    directory: key === "" ? null : { url: checked(() => directory(env.WORKOS_API ?? ""), ""), key },
    organization,
    scopesFrom: scopesFrom === "role" ? "role" : "token",
    allowlist,
    tokenTypes: types.length === 0 ? null : types,
    extraAudiences: listed(env.EXTRA_AUDIENCES ?? ""),
    scopeClaims: listed(env.SCOPE_CLAIMS || "scope"),
    consoleClients: listed(env.CONSOLE_CLIENTS ?? ""),
    defaultSpendingLimit: limit === "" ? null : money(number("DEFAULT_SPENDING_LIMIT", 0, 0)),
    // A window keeps the time of each of its calls.
    rateCalls: number("RATE_CALLS", LIMITS.rate_calls, 1, MOST_CALLS),
    rateSeconds: number("RATE_SECONDS", LIMITS.rate_seconds),
    purchasesPerConsent: number("PURCHASES_PER_CONSENT", LIMITS.purchases_per_consent, 0),
    approveAbove: above === "none" ? null : above === "" ? LIMITS.approve_above : number("APPROVE_ABOVE", 0, 0),
    approves: !isAuthKit(issuer),
    price: ITEM.price,
    stockAtFirst: number("STOCK_AT_FIRST", LIMITS.stock, 0),
    warehouse,
    open: {
      on: open === "on",
      calls: number("OPEN_RATE_CALLS", LIMITS.open_rate_calls, 1, MOST_CALLS),
      stockAtFirst: number("OPEN_STOCK_AT_FIRST", LIMITS.stock, 0),
    },
    repository: checked(() => page("REPOSITORY", env.REPOSITORY), null) ?? FIRST_EDITION,
    collector: checked(() => collectorOf(env.OTEL_EXPORTER_OTLP_ENDPOINT, env.OTEL_EXPORTER_OTLP_HEADERS), null),
    leeway: LIMITS.leeway_seconds,
    answerTimeout: 1000 * LIMITS.answer_seconds,
  };
  if (wrong.length > 0) throw new SettingsWrong(wrong.join(" "));
  return settings;
}

type NumberName =
  | "DEFAULT_SPENDING_LIMIT"
  | "RATE_CALLS"
  | "RATE_SECONDS"
  | "PURCHASES_PER_CONSENT"
  | "APPROVE_ABOVE"
  | "STOCK_AT_FIRST"
  | "OPEN_RATE_CALLS"
  | "OPEN_STOCK_AT_FIRST";

/** The origin that the shop is published under. On loopback it is the one that was asked, in whichever spelling: the
 * name that a client was given is the one that its token is for (RFC 9728 section 3.3). */
function baseOf(given: string | undefined, origin: string): string {
  const base = httpOrigin("BASE_URL", given);
  if (base === null || origin === "") return base ?? origin;
  const [named, asked] = [new URL(base), new URL(origin)];
  const same = named.protocol === asked.protocol && named.port === asked.port;
  return same && LOOPBACK.includes(named.hostname) && LOOPBACK.includes(asked.hostname) ? origin : base;
}

/** An address that a page may link to, or null where none is named. */
function page(name: string, given: string | undefined): string | null {
  if (given === undefined || given.trim() === "") return null;
  const url = urlOf(given.trim());
  if (url === null || url.protocol !== "https:") {
    throw new SettingsWrong(`${name} must be an https URL, such as https://github.com/you/talk.`);
  }
  return url.href;
}

/** The warehouse's address, or null where none is named. A transaction token goes there. */
function warehouseOf(given: string | undefined): string | null {
  if (given === undefined || given.trim() === "") return null;
  const url = urlOf(given.trim());
  const local = url?.protocol === "http:" && LOOPBACK.includes(url.hostname);
  if (url === null || url.username + url.password + url.hash !== "" || (url.protocol !== "https:" && !local)) {
    throw new SettingsWrong("WAREHOUSE must be an https URL, such as https://warehouse.example.com/orders.");
  }
  return url.href;
}

/** `HEADERS` is `name=value`, with commas, as a URL's query encodes it (opentelemetry.io/docs/specs/otel/protocol/exporter,
 * Specifying headers via environment variables). */
function collectorOf(endpoint = "", given = ""): Collector | null {
  if (endpoint.trim() === "") return null;
  const url = urlOf(endpoint.trim());
  const local = url?.protocol === "http:" && LOOPBACK.includes(url.hostname);
  const more = url === null || url.username + url.password !== "" || /[?#]/.test(url.href);
  if (more || (url.protocol !== "https:" && !local)) {
    throw new SettingsWrong("OTEL_EXPORTER_OTLP_ENDPOINT must be an https URL, such as https://otlp.example.com.");
  }
  try {
    const pairs = listed(given).map((one) =>
      /^([^=]+)=(.*)$/
        .exec(one)
        ?.slice(1)
        .map((part) => part.trim()),
    );
    const headers = new Headers(pairs.map((pair) => [pair![0]!, decodeURIComponent(pair![1]!)]));
    return { url: `${url.href.replace(/\/$/, "")}/v1/traces`, headers: Object.fromEntries(headers) };
  } catch {
    // What it holds opens a collector: nothing of it is said.
    throw new SettingsWrong("OTEL_EXPORTER_OTLP_HEADERS must be NAME=VALUE, with commas between several.");
  }
}

function listed(value: string): string[] {
  return value
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

function count(name: string, given: string | undefined, otherwise: number, least: number, most: number): number {
  if (given === undefined || given.trim() === "") return otherwise;
  // Digits and nothing else: 60.00 may be meant for money, and would be 60 cents.
  const value = /^\d+$/.test(given.trim()) ? Number(given) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < least) {
    throw new SettingsWrong(`${name} must be a whole number from ${least}.`);
  }
  if (value > most) {
    throw new SettingsWrong(`${name} must be at most ${most}.`);
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

function issuerOf(given: string): string {
  const value = given.trim();
  const url = urlOf(value);
  if (value !== "" && (url === null || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "")) {
    throw new SettingsWrong("ISSUER must be an issuer's URL, such as https://your-name.authkit.app.");
  }
  if (url?.protocol === "http:" && !LOOPBACK.includes(url.hostname)) {
    // RFC 8414 section 2. Anybody who sits between could hand out keys of their own.
    throw new SettingsWrong("ISSUER must be an https URL: plain http is for an issuer on this very machine.");
  }
  return value;
}
