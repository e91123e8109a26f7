/** What MCP asks of any server, at both doors and at the revisions that clients speak; and the doors' own manners. */

import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { TOOLS } from "../src/catalog";
import type { Env } from "../src/env";
import worker from "../src/worker";
import {
  ask,
  BASE,
  buy,
  call,
  errorOf,
  ISSUER,
  openAuthServer,
  orderOf,
  post,
  somebody,
  type AuthServer,
  type Options,
} from "./world";

let authServer: AuthServer;

beforeEach(async () => {
  authServer = await openAuthServer();
});

const REVISIONS = ["2025-11-25", "2026-07-28"] as const;

describe.each(["/open/mcp", "/mcp"])("at %s", (path) => {
  const with_ = async (options: Options = {}): Promise<Options> => ({
    path,
    token: path === "/mcp" ? await authServer.token(somebody()) : null,
    ...options,
  });

  test.each(REVISIONS)("the tools are the local shop's, word for word, at %s", async (revision) => {
    const { tools } = (await post("tools/list", {}, await with_({ revision }))).body.result;
    expect(tools).toEqual(TOOLS);
    expect(tools.map((tool: { name: string; _meta: unknown }) => tool.name)).toHaveLength(7);
  });

  test.each(REVISIONS)("a tool's result has its decision and limits with it, at %s", async (revision) => {
    const said = await call("listMcpShopInventory", {}, await with_({ revision }));
    const { structuredContent, content, _meta } = said.body.result;
    expect(structuredContent.items[0]).toMatchObject({
      sizes: ["S", "M", "L", "XL", "XXL"],
      price: { amount: 2500, currency: "USD" },
    });
    expect(JSON.parse(content[0].text)).toEqual(structuredContent);
    expect(_meta["demo/decision"].audit_id).toBe(said.headers.get("demo-audit-id"));
    expect(_meta["demo/limits"]).toHaveLength(path === "/mcp" ? 3 : 0);
    expect(said.headers.get("content-type")).toContain("application/json");
  });

  test("a client of an earlier revision shakes hands", async () => {
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };
    const said = await post("initialize", params, await with_({ revision: "2025-11-25" }));
    expect(said.body.result).toMatchObject({
      protocolVersion: "2025-11-25",
      serverInfo: { name: "machine-identity-demo-shop" },
    });
    const note = { jsonrpc: "2.0", method: "notifications/initialized" };
    const { token } = await with_();
    const headers: Record<string, string> = {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    };
    if (token) headers["authorization"] = `Bearer ${token}`;
    expect((await ask(path, { method: "POST", headers, body: JSON.stringify(note) })).status).toBe(202);
  });

  test("who takes only JSON is given JSON", async () => {
    const said = await post(
      "tools/list",
      {},
      await with_({ revision: "2025-11-25", headers: { accept: "application/json" } }),
    );
    expect(said.body.result.tools).toHaveLength(7);
  });

  test("a client of this revision discovers what there is", async () => {
    const { result } = (await post("server/discover", {}, await with_())).body;
    expect(result.supportedVersions).toContain("2026-07-28");
    expect(result.capabilities).toMatchObject({ tools: { listChanged: false } });
  });

  test.each(["tools/list", "prompts/list", "resources/list", "resources/templates/list"])(
    "%s is for the asker only",
    async (method) => {
      expect((await post(method, {}, await with_())).body.result).toMatchObject({ cacheScope: "private", ttlMs: 0 });
    },
  );

  test.each(["initialize", "ping", "no/such/method", "subscriptions/listen"])(
    "%s is not there at this revision",
    async (method) => {
      const said = await post(method, {}, await with_());
      expect([said.status, said.body.error.code, said.body.id]).toEqual([404, -32601, 7]);
    },
  );

  test("a prompt that does not exist is the asker's mistake", async () => {
    const said = await post("prompts/get", { name: "steal" }, await with_());
    expect([said.status, said.body.error]).toEqual([400, { code: -32602, message: "Unknown prompt: steal" }]);
    const earlier = await post("prompts/get", { name: "steal" }, await with_({ revision: "2025-11-25" }));
    expect(earlier.body.error).toEqual({ code: -32602, message: "Unknown prompt: steal" });
  });

  test("headers that say otherwise than the body are a mismatch", async () => {
    for (const headers of [{ "mcp-method": "tools/list" }, { "mcp-name": "getUserInfo" }]) {
      const said = await call("listMcpShopInventory", {}, await with_({ headers }));
      expect([said.status, said.body.error.code]).toEqual([400, -32020]);
    }
  });

  test("a revision that is not spoken is refused with those that are", async () => {
    const said = await post(
      "server/discover",
      {},
      await with_({ revision: "2099-01-01" as never, headers: { "mcp-method": "server/discover" } }),
    );
    const meta = {
      "io.modelcontextprotocol/protocolVersion": "2099-01-01",
      "io.modelcontextprotocol/clientCapabilities": {},
    };
    const modern = await post(
      "server/discover",
      { _meta: meta },
      await with_({ revision: "2099-01-01" as never, headers: { "mcp-method": "server/discover" } }),
    );
    expect(said.status).toBe(400);
    expect([modern.status, modern.body.error.code]).toEqual([400, -32022]);
    expect(modern.body.error.data.supported).toContain("2026-07-28");
  });

  test("an unknown tool is an error that a model can read", async () => {
    expect(errorOf(await call("stealShirt", {}, await with_()))).toBe("Unknown tool: stealShirt");
  });

  test.each([
    "{",
    "[]",
    '"x"',
    "null",
    '[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
    "\ufeff{}",
    `${"[".repeat(200_000)}`,
  ])("what is no single message is a bad request", async (body) => {
    const { token } = await with_();
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (token) headers["authorization"] = `Bearer ${token}`;
    const said = await ask(path, { method: "POST", headers, body });
    expect([said.status, said.body.jsonrpc]).toEqual([400, "2.0"]);
  });

  test("a body of more than a mebibyte is not read", async () => {
    const said = await ask(path, { method: "POST", body: "x".repeat(1024 * 1024 + 1) });
    expect(said.status).toBe(413);
  });
});

test("at the protected door who is not authenticated is not even told what is wrong with the body", async () => {
  expect((await ask("/mcp", { method: "POST", body: "{" })).status).toBe(401);
});

test("at the open door anybody buys, and everybody reads the orders but not the addresses", async () => {
  const open = { path: "/open/mcp" };
  const order = orderOf(await buy(open, { idempotencyKey: "open", mailingAddress: "7 Elm St" }));
  expect([order.user, order.agent, order.consent, order.balance, order.spendingLimit]).toEqual([
    null,
    null,
    null,
    null,
    null,
  ]);
  for (let n = 0; n < 12; n++) orderOf(await buy(open));
  expect(orderOf(await buy(open, { idempotencyKey: "open", mailingAddress: "7 Elm St" }))).toMatchObject({
    id: order.id,
    replayed: true,
  });
  const { orders } = (await call("listMcpShopOrders", {}, open)).body.result.structuredContent;
  expect(orders).toHaveLength(13);
  expect(orders[0].mailingAddress).toBe("(withheld: it may be somebody's home)");
  expect(errorOf(await call("setDemoMode", { mode: "banned" }, open))).toContain("nobody to ban");
  const token = await authServer.token(somebody());
  const info = (await call("getUserInfo", {}, { ...open, token })).body.result.structuredContent;
  expect(info).toMatchObject({ user: null, username: "anonymous", scopes: [], mode: "normal" });
  expect((await call("listMcpShopOrders", {}, { token })).body.result.structuredContent.orders).toEqual([]);
});

test("the tool that counts is the one in the body", async () => {
  const token = await authServer.token({ ...somebody(), scope: "shop:read" });
  const said = await buy({ token, headers: { "mcp-name": "listMcpShopInventory" } });
  expect([said.status, said.body.error.data.decision.rule]).toEqual([403, "scope.insufficient"]);
});

test("metadata names the authorization server, by RFC 9728", async () => {
  for (const path of ["", "/mcp"]) {
    const { body } = await ask(`/.well-known/oauth-protected-resource${path}`);
    expect(body).toMatchObject({ resource: `${BASE}/mcp`, authorization_servers: [ISSUER] });
    expect(body.scopes_supported).toEqual([
      "shop:read",
      "shop:buy",
      "orders:read",
      "user:read",
      "demo:mode",
      "orders:all",
      "audit:read",
    ]);
  }
  const { body } = await ask("/.well-known/oauth-protected-resource/admin");
  expect(body).toMatchObject({ resource: `${BASE}/admin`, scopes_supported: ["sessions:manage"] });
});

test("health names the data to who runs the shop, and wakes nobody's object for anybody else", async () => {
  const asked: string[] = [];
  const getByName = env.STOCK.getByName.bind(env.STOCK);
  const STOCK = { getByName: (name: string) => (asked.push(name), getByName(name)) } as typeof env.STOCK;
  const health = async (authorization: string | null, changes: Partial<Env> = {}) => {
    const headers: Record<string, string> = authorization === null ? {} : { authorization };
    const request = new Request(`${BASE}/health`, { headers });
    const response = await worker.fetch(request as never, { ...env, STOCK, ...changes });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const own = `Basic ${btoa("shop:a%20secret%3A%20of%20the%2Fshop")}`;
  const strange = [null, "Basic", `Basic ${btoa("shop:guess")}`, `Bearer ${await authServer.token()}`];
  for (const authorization of strange) {
    expect((await health(authorization)).body).toMatchObject({ name: "machine-identity-demo", pid: null, world: null });
  }
  expect(asked).toEqual([]);
  const { world } = (await health(own)).body;
  expect([typeof world, asked]).toEqual(["string", ["shop"]]);
  expect((await health(own)).body["world"]).toBe(world);
  const none = { INTROSPECTION_CLIENT_ID: undefined, INTROSPECTION_CLIENT_SECRET: undefined } as never;
  expect((await health("Basic Og==", none)).body["world"], "no credentials are nobody's").toBeNull();
});

test.each(["/health", "/", "/.well-known/oauth-protected-resource", "/nothing"])(
  "a flood from one address is stopped in front of %s as well",
  async (path) => {
    const FRONT = { limit: async () => ({ success: false }) };
    const response = await worker.fetch(new Request(`${BASE}${path}`) as never, { ...env, FRONT });
    expect(response.status).toBe(429);
  },
);

test("paths that are none are none", async () => {
  expect((await ask("/nothing")).status).toBe(404);
  expect((await ask("/audit", { method: "POST" })).headers.get("allow")).toBe("GET, HEAD");
  expect((await ask("/constructor")).status).toBe(404);
});
