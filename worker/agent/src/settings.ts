/** What a deployment says: variables and secrets, read at once, and refused as a whole where they cannot be meant. */

import type { Shopper } from "./shopper";

export interface Env {
  SHOPPER: DurableObjectNamespace<Shopper>;
  AI?: Ai;
  OWNER_SECRET?: string;
  SHOP?: string;
  BASE_URL?: string;
  EVERY_SECONDS?: string;
  PURCHASES?: string;
  TASK?: string;
  MODEL?: string;
}

export interface Settings {
  /** The MCP server at which it logs in and buys; it goes to no other. */
  shop: string;
  ownerSecret: string;
  /** Null: the origin that a request came to. */
  base: string | null;
  everySeconds: number;
  /** Of one consent. */
  purchases: number;
  task: string;
  /** Of Workers AI; empty: a script decides. */
  model: string;
}

/** Some settings are missing or cannot be meant; the message names them all. */
export class SettingsWrong extends Error {}

const SHORTEST_SECRET = 16;
const MOST_PURCHASES = 20;
/** A month: what nobody waits for is a mistake. */
const LONGEST_SECONDS = 31 * 24 * 3600;

export function readSettings(env: Env): Settings {
  const wrong: string[] = [];
  const shop = address(env.SHOP ?? "");
  if (shop === null) wrong.push("Set SHOP to the URL of an MCP server: https, or http on this very machine.");
  const base = env.BASE_URL ? (address(env.BASE_URL)?.origin ?? null) : null;
  if (env.BASE_URL && base === null) wrong.push("BASE_URL is no address.");
  const ownerSecret = env.OWNER_SECRET ?? "";
  if (ownerSecret.length < SHORTEST_SECRET) {
    wrong.push(
      `Set the secret OWNER_SECRET, of ${SHORTEST_SECRET} characters or more: npx wrangler secret put OWNER_SECRET`,
    );
  }
  const everySeconds = count(env.EVERY_SECONDS || "3600", LONGEST_SECONDS);
  if (everySeconds === null) wrong.push(`EVERY_SECONDS is a whole number from 1 to ${LONGEST_SECONDS}.`);
  const purchases = count(env.PURCHASES || "2", MOST_PURCHASES);
  if (purchases === null) wrong.push(`PURCHASES is a whole number from 1 to ${MOST_PURCHASES}.`);
  const task = (env.TASK ?? "").trim();
  if (task === "" || task.length > 2000) wrong.push("Set TASK to what the agent is to do, in 2000 characters at most.");
  const model = (env.MODEL ?? "").trim();
  if (model !== "" && env.AI === undefined) wrong.push("MODEL wants the AI binding of wrangler.jsonc.");
  if (shop === null || everySeconds === null || purchases === null || wrong.length > 0) {
    throw new SettingsWrong(wrong.join(" "));
  }
  return { shop: shop.href, ownerSecret, base, everySeconds, purchases, task, model };
}

function address(text: string): URL | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  const here = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  const good =
    (url.protocol === "https:" || (url.protocol === "http:" && here)) && !url.username && !url.password && !url.hash;
  return good ? url : null;
}

function count(text: string, most: number): number | null {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return number >= 1 && number <= most ? number : null;
}
