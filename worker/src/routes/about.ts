/** What the shop says of itself: protected resource metadata (RFC 9728), health, and a page for whoever looks in. */

import { fitOf } from "../authority/fitting";
import { ADMIN_SCOPE, LOGIN_SCOPES, SCOPES } from "../catalog";
import { SHOP } from "../objects/stock";
import type { Env, Settings } from "../settings";
import { json, type Answer } from "../wire/answer";

const VERSION = "0.1.0";

/** Names this isolate, as long as it lives. Made at its first request: before one there is no randomness here. */
let instance: string | null = null;

/** The metadata document of the protected door (RFC 9728 section 2). */
export function doorMetadata(settings: Settings): Answer {
  return json(200, {
    resource: settings.resource,
    authorization_servers: settings.authority === "" ? [] : [settings.authority],
    scopes_supported: settings.scopesFrom === "token" ? SCOPES : LOGIN_SCOPES,
    bearer_methods_supported: ["header"],
    authorization_details_types_supported: ["shop_spending"],
    resource_name: "Conference T-shirt shop",
  });
}

/** The metadata document of the human's own routes. */
export function adminMetadata(settings: Settings): Answer {
  return json(200, {
    resource: settings.adminResource,
    authorization_servers: settings.authority === "" ? [] : [settings.authority],
    scopes_supported: settings.scopesFrom === "token" ? [ADMIN_SCOPE] : LOGIN_SCOPES,
    bearer_methods_supported: ["header"],
    resource_name: "Conference T-shirt shop: take authority back",
  });
}

/** Name, version, which isolate and which data answered, and whether the authority fits. There is no process to name. */
export async function health(env: Env, settings: Settings): Promise<Answer> {
  instance ??= crypto.randomUUID().slice(0, 12).replaceAll("-", "");
  const world = await env.STOCK.getByName(SHOP).world();
  const deployment = env.VERSION?.id || null;
  const authority = await fitOf(settings);
  const name = "machine-identity-demo";
  return json(200, { name, version: VERSION, instance, world, pid: null, deployment, authority });
}

/** A few lines for a person who opens the address in a browser. */
export function welcome(settings: Settings): Answer {
  const body =
    "A shop for software agents, from the talk Agents, Access & the Future of Machine Identity.\n\n" +
    `MCP, with the authority of a human:  ${settings.resource}\n` +
    `MCP, for anybody at all:             ${settings.base}/open/mcp\n` +
    `Who grants that authority:           ${settings.authority || "nobody yet: set AUTHORITY"}\n`;
  return { status: 200, headers: [["content-type", "text/plain; charset=utf-8"]], body };
}
