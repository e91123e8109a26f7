/** A shop in workerd, beside a small authorization server of the tests' own that can be told to misbehave. */

import { exports } from "cloudflare:workers";
import { CompactSign, exportJWK, generateKeyPair, type CryptoKey, type JWK } from "jose";
import { vi } from "vitest";
import type { Decision, LimitUse, Order } from "../src/evidence";

export const BASE = "https://shop.test";
export const ISSUER = "https://auth.test";
export const ALL_SCOPES = "openid shop:read orders:read shop:buy user:read demo:mode audit:read";
const PREFIX = "io.modelcontextprotocol/";

interface Profile {
  username: string;
  name: string;
  roles: string[];
}

/** One key for all tests of a file: the shop keeps what it has read for longer than a test lives. */
let key: CryptoKey | null = null;
let jwk: JWK = {};
let published: JWK[] = [];

/** The wire contract's authorization server, as far as a resource server sees it. */
export class AuthServer {
  asked: string[] = [];
  /** `jti`, `sid`, `act.sub` or `sub` to what introspection says was revoked. */
  revoked = new Map<string, string>();
  users = new Map<string, Profile>();
  /** What introspection answers instead of the truth. */
  answer: (() => Response | Promise<Response>) | null = null;
  /** Nobody listens any more. */
  down = false;
  /** What a path answers instead of the truth. */
  instead = new Map<string, () => Response | Promise<Response>>();
  /** Seconds by which its clock is ahead of the shop's. */
  ahead = 0;

  /** A new key; the old one is gone, unless it is `kept` published. */
  async rotate(kept = false): Promise<void> {
    const pair = await generateKeyPair("ES256", { extractable: true });
    key = pair.privateKey;
    jwk = { ...(await exportJWK(pair.publicKey)), kid: `key-${unique()}`, use: "sig", alg: "ES256" };
    published = kept ? [jwk, ...published] : [jwk];
  }

  /** A good access token of an agent's; `changes` replace claims, undefined removes one. */
  async token(changes: Record<string, unknown> = {}, header: Record<string, unknown> = {}): Promise<string> {
    const time = Math.floor(Date.now() / 1000 + this.ahead);
    const claims = {
      iss: ISSUER,
      sub: "user_alice",
      aud: `${BASE}/mcp`,
      client_id: "demo-agent",
      act: { sub: "agent_1" },
      sid: "session_1",
      consent_id: "consent_1",
      scope: ALL_SCOPES,
      authorization_details: [spending(100_00)],
      jti: `jti_${unique()}`,
      iat: time,
      exp: time + 300,
      ...changes,
    };
    return this.sign(claims, header);
  }

  async sign(claims: unknown, header: Record<string, unknown> = {}): Promise<string> {
    const payload = new TextEncoder().encode(JSON.stringify(claims));
    const protectedHeader = { alg: "ES256", typ: "at+jwt", kid: jwk.kid, ...header };
    if (key === null) throw new Error("no key yet");
    return new CompactSign(payload).setProtectedHeader(protectedHeader as { alg: string }).sign(key);
  }

  async fetch(request: Request): Promise<Response> {
    if (this.down) throw new TypeError("nobody listens");
    const { pathname } = new URL(request.url);
    this.asked.push(pathname);
    const told = await (this.instead.get(pathname) ?? (() => this.truth(pathname, request)))();
    const date = new Date(Date.now() + this.ahead * 1000).toUTCString();
    return new Response(told.body, { status: told.status, headers: { date, ...Object.fromEntries(told.headers) } });
  }

  private truth(pathname: string, request: Request): Response | Promise<Response> {
    switch (pathname) {
      case "/.well-known/oauth-authorization-server":
        return Response.json({
          issuer: ISSUER,
          jwks_uri: `${ISSUER}/keys`,
          introspection_endpoint: `${ISSUER}/introspect`,
          token_endpoint: `${ISSUER}/token`,
          grant_types_supported: ["urn:ietf:params:oauth:grant-type:token-exchange"],
        });
      case "/keys":
        return Response.json({ keys: published });
      case "/introspect":
        return this.answer === null ? this.introspect(request) : this.answer();
      default:
        return new Response(null, { status: 404 });
    }
  }

  private async introspect(request: Request): Promise<Response> {
    const expected = `Basic ${btoa("shop:a%20secret%3A%20of%20the%2Fshop")}`;
    if (request.headers.get("authorization") !== expected) return Response.json({}, { status: 401 });
    const token = String((await request.formData()).get("token"));
    if (!token.includes(".")) return Response.json({ active: false });
    const claims = JSON.parse(atob(token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/")));
    if (claims.exp <= Date.now() / 1000 + this.ahead) return Response.json({ active: false });
    const names = [claims.jti, claims.sid, claims.act?.sub, claims.sub];
    const revoked = names.map((name) => this.revoked.get(name)).find((kind) => kind !== undefined);
    if (revoked !== undefined) return Response.json({ active: false, revoked });
    const alice = { username: "alice@example.com", name: "Alice Ito", roles: [] };
    return Response.json({ ...claims, active: true, ...(this.users.get(claims.sub) ?? alice) });
  }
}

/** One `shop_spending` authorization detail (RFC 9396). */
export function spending(amount: unknown, changes: Record<string, unknown> = {}) {
  const limit = { amount, currency: "USD" };
  return { type: "shop_spending", actions: ["buy"], locations: [`${BASE}/mcp`], limit, ...changes };
}

/** An authorization server whom the Worker's `fetch` reaches. */
export async function openAuthServer(): Promise<AuthServer> {
  const authServer = new AuthServer();
  if (key === null) await authServer.rotate();
  vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => authServer.fetch(new Request(input, init)));
  return authServer;
}

/** Whom nobody has been before: the claims of a human, an agent, a session and a consent of its own. */
export function somebody() {
  const tail = unique();
  return {
    sub: `user_${tail}`,
    act: { sub: `agent_${tail}` },
    sid: `session_${tail}`,
    consent_id: `consent_${tail}`,
  };
}

let count = 0;

export function unique(): string {
  return `${++count}_${crypto.randomUUID().slice(0, 8)}`;
}

export interface Said {
  status: number;
  headers: Headers;
  // The wire's own JSON: what a test reads of it is what it claims.
  body: any;
}

/** One HTTP request to the Worker, its answer read. */
export async function ask(path: string, init: RequestInit = {}): Promise<Said> {
  const response = await exports.default.fetch(new Request(`${BASE}${path}`, init));
  const text = await response.text();
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // A page, or nothing.
  }
  return { status: response.status, headers: response.headers, body };
}

export interface Options {
  token?: string | null;
  path?: string;
  headers?: Record<string, string>;
  /** The MCP revision. */
  revision?: "2025-11-25" | "2026-07-28";
}

/** One JSON-RPC request. */
export async function post(method: string, params: Record<string, unknown> = {}, options: Options = {}): Promise<Said> {
  const { token = null, path = "/mcp", revision = "2026-07-28" } = options;
  const meta = {
    [`${PREFIX}protocolVersion`]: revision,
    [`${PREFIX}clientInfo`]: { name: "test", version: "1" },
    [`${PREFIX}clientCapabilities`]: {},
  };
  const modern = revision === "2026-07-28";
  const headers: Record<string, string> = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": revision,
    ...(modern ? { "mcp-method": method } : {}),
    ...(modern && typeof params["name"] === "string" ? { "mcp-name": params["name"] } : {}),
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    ...options.headers,
  };
  const body = { jsonrpc: "2.0", id: 7, method, params: modern ? { ...params, _meta: meta } : params };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** One tool call. */
export function call(tool: string, given: Record<string, unknown> = {}, options: Options = {}): Promise<Said> {
  return post("tools/call", { name: tool, arguments: given }, options);
}

/** One purchase. */
export function buy(options: Options = {}, changes: Record<string, unknown> = {}): Promise<Said> {
  return call("buyMcpShopItem", { company: "ACME", mailingAddress: "1 Main St", tshirtSize: "M", ...changes }, options);
}

/** The order that a purchase gave. */
export function orderOf(said: Said): Order {
  if (said.body?.result?.isError !== false) throw new Error(`no order: ${JSON.stringify(said.body)}`);
  return said.body.result.structuredContent.order;
}

/** The words of a tool's error. */
export function errorOf(said: Said): string {
  if (said.body?.result?.isError !== true) throw new Error(`no tool error: ${JSON.stringify(said.body)}`);
  return said.body.result.content[0].text;
}

/** The decision in a refusal, once what every refusal has was checked. */
export function refusal(said: Said): Decision & { status: number } {
  const { error } = said.body;
  const decision: Decision = error.data.decision;
  const words = `Refused by the ${decision.gate} gate: ${decision.reason} ${decision.remedy}`;
  const expected = [said.status === 429 ? -32029 : -32003, words, "deny", said.headers.get("demo-audit-id")];
  const got = [error.code, error.message, decision.verdict, decision.audit_id];
  if (JSON.stringify(got) !== JSON.stringify(expected)) throw new Error(`${got} is not ${expected}`);
  return { ...decision, status: said.status };
}

/** The limits in a result's `_meta`, by name. */
export function limitsIn(said: Said): Record<string, LimitUse> {
  const listed: LimitUse[] = said.body.result._meta["demo/limits"];
  return Object.fromEntries(listed.map((limit) => [limit.name, limit]));
}

/** The audit log as this token may see it. */
export async function audit(token: string, query = ""): Promise<Decision[]> {
  const said = await ask(`/audit${query}`, { headers: { authorization: `Bearer ${token}` } });
  if (said.status !== 200) throw new Error(JSON.stringify(said.body));
  return said.body.entries;
}
