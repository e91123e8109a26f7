/** What the shop says of itself: protected resource metadata (RFC 9728), health, and a page for anybody who looks in. */

import { fitOf } from "../auth_server/fitting";
import { basic } from "../auth_server/introspection";
import { LOGIN_SCOPES, PROOFS, SCOPES, SCOPES_SUPPORTED, SERVER } from "../catalog";
import { short } from "../evidence";
import { SHOP } from "../ledger/stock";
import type { Env } from "../env";
import { AUDIT_KEYS } from "./audit";
import type { Settings } from "../settings";
import { json, type Answer } from "../wire/answer";

const VERSION = "0.1.0";

/** Names this isolate, as long as it lives. Made at its first request: before one there is no randomness here. */
let instance: string | null = null;

/** The metadata document of the protected door (RFC 9728 section 2). */
export function doorMetadata(settings: Settings): Answer {
  return json(200, {
    resource: settings.resource,
    authorization_servers: settings.issuer === "" ? [] : [settings.issuer],
    scopes_supported: settings.scopesFrom === "token" ? SCOPES_SUPPORTED : LOGIN_SCOPES,
    bearer_methods_supported: ["header"],
    dpop_signing_alg_values_supported: PROOFS.algorithms,
    jwks_uri: `${settings.base}${AUDIT_KEYS}`,
    authorization_details_types_supported: [SCOPES.spendingType, SCOPES.purchaseType],
    resource_name: SERVER.title,
  });
}

/** The metadata document of the human's own routes. */
export function adminMetadata(settings: Settings): Answer {
  return json(200, {
    resource: settings.adminResource,
    authorization_servers: settings.issuer === "" ? [] : [settings.issuer],
    scopes_supported: settings.scopesFrom === "token" ? [SCOPES.manage] : LOGIN_SCOPES,
    bearer_methods_supported: ["header"],
    dpop_signing_alg_values_supported: PROOFS.algorithms,
    resource_name: `${SERVER.title}: revoke access`,
  });
}

const TALK = "A shop for software agents, from the talk Agents, Access & the Future of Machine Identity.";

/** What an answer of `/health` says whatever the settings are. There is no process to name. */
function about(env: Env) {
  instance ??= crypto.randomUUID().slice(0, 12).replaceAll("-", "");
  return { name: "machine-identity-demo", version: VERSION, instance, pid: null, deployment: env.VERSION?.id || null };
}

/** Name, version, which isolate answered, whether the authorization server fits, and what the settings weaken. Which
 * data it has is said only to the one who has the shop's own credentials: to find it out wakes the object that all of it
 * shares, and anybody may ask. */
export async function health(request: Request, env: Env, settings: Settings): Promise<Answer> {
  const world = (await isOperator(request, settings)) ? await env.STOCK.getByName(SHOP).world() : null;
  const authorization_server = await fitOf(settings);
  return json(200, { ...about(env), world, settings: null, weakened: weakened(settings), authorization_server });
}

/** The same where the settings are wrong: which ones, and what to do. */
export function unsettled(env: Env, problem: string): Answer {
  const fix = "set it in wrangler.jsonc or with npx wrangler secret put NAME, then deploy again";
  return json(200, {
    ...about(env),
    world: null,
    settings: { problem, fix },
    weakened: [],
    authorization_server: null,
  });
}

/** What of the settings makes a check weaker than it is by itself, in words. */
function weakened({ extraAudiences }: Settings): string[] {
  if (extraAudiences.length === 0) return [];
  const whose = extraAudiences.map((one) => short(one, 80)).join(", ");
  return [`EXTRA_AUDIENCES: tokens that were issued for ${whose}, and not for this shop, are taken as well`];
}

/** Whether this is asked with the credentials that the shop has at its authorization server (HTTP Basic): who runs it
 * has them. */
async function isOperator(request: Request, { introspection }: Settings): Promise<boolean> {
  const given = request.headers.get("authorization");
  if (introspection === null || given === null) return false;
  const digest = (text: string) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const wanted = digest(basic(introspection.id, introspection.secret));
  return crypto.subtle.timingSafeEqual(await digest(given), await wanted);
}

/** A few lines for a person who opens the address in a browser. */
export function welcome(settings: Settings): Answer {
  const body =
    `${TALK}\n\n` +
    `MCP, on behalf of a human:  ${settings.resource}\n` +
    `MCP, for anybody at all:    ${settings.open.on ? `${settings.base}/open/mcp` : "switched off"}\n` +
    `Authorization server:       ${settings.issuer || "none yet: set ISSUER"}\n` +
    `The code:                   ${settings.repository}\n`;
  return { status: 200, headers: TEXT, body };
}

/** The same where the settings are wrong. */
export function unsettledWelcome(problem: string): Answer {
  return { status: 200, headers: TEXT, body: `${TALK}\n\nIt is not set up yet. ${problem}\n` };
}

const TEXT = [["content-type", "text/plain; charset=utf-8"]];
