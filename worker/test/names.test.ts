/** Under which names the shop answers. */

import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import type { Env } from "../src/env";
import { readSettings, SettingsWrong } from "../src/settings";
import { refuseForeign } from "../src/wire/origin";
import worker from "../src/worker";
import { openAuthServer, refusal } from "./world";

function status(url: string, origin: string | null, base: string | null): number | null {
  const headers: Record<string, string> = origin === null ? {} : { origin };
  return refuseForeign(new Request(url, { headers }), base)?.status ?? null;
}

test.each([
  ["https://shop.test/mcp", null, null, null],
  ["https://shop.test/mcp", "https://shop.test", null, null],
  ["https://shop.test/mcp", "https://evil.test", null, 403],
  ["https://shop.test/mcp", "null", null, 403],
  ["http://127.0.0.1:8787/mcp", "http://localhost:8787", null, null],
  ["http://127.0.0.1:8787/mcp", "http://localhost:9999", null, 403],
  ["http://rebound.test:8787/mcp", null, null, 421],
  ["http://shop.test/mcp", null, null, 421],
  ["https://shop.test/mcp", null, "https://shop.test", null],
  ["https://other.test/mcp", null, "https://shop.test", 421],
  ["http://shop.test/mcp", null, "https://shop.test", 421],
  ["http://localhost:8787/mcp", null, "http://127.0.0.1:8787", null],
  ["http://127.0.0.1:8788/mcp", null, "http://127.0.0.1:8787", 421],
] as const)("%s from %s at %s", (url, origin, base, expected) => {
  expect(status(url, origin, base)).toBe(expected);
});

const bare = {} as Env;

test.each([
  { BASE_URL: "shop.test" },
  { BASE_URL: "https://shop.test/mcp" },
  { ISSUER: "not a url" },
  { ISSUER: "http://auth.test" },
  { RATE_CALLS: "0" },
  { RATE_CALLS: "ten" },
  { PURCHASES_PER_CONSENT: "-1" },
  { APPROVE_ABOVE: "20.00" },
  { DEFAULT_SPENDING_LIMIT: "60.00" },
  { INTROSPECTION_CLIENT_ID: "shop" },
  { WAREHOUSE: "https://warehouse.test/orders" },
  { WAREHOUSE: "http://warehouse.test/orders" },
  { WAREHOUSE: "https://a:secret@warehouse.test/orders" },
])("settings that cannot be meant are told by name: %j", (wrong) => {
  expect(() => readSettings({ ...bare, ...wrong }, "https://shop.test")).toThrow(SettingsWrong);
  expect(() => readSettings({ ...bare, ...wrong }, "https://shop.test")).toThrow(Object.keys(wrong)[0]!);
});

test("without settings nobody is let in and nothing is given away", () => {
  const settings = readSettings(bare, "https://shop.test");
  expect(settings).toMatchObject({ issuer: "", allowlist: [], introspection: null, defaultSpendingLimit: null });
  expect(settings).toMatchObject({ consoleClients: [], resource: "https://shop.test/mcp" });
});

/** One POST to the Worker with other bindings than the rest. */
async function post(path: string, changes: Partial<Env>, token = "a.b.c") {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const request = new Request(`https://shop.test${path}`, { method: "POST", headers, body: "{}" });
  const response = await worker.fetch(request as never, { ...env, ...changes });
  return { status: response.status, headers: response.headers, body: (await response.json()) as any };
}

test("a setting that cannot be meant is an answer, and names itself", async () => {
  const { status, body } = await post("/open/mcp", { RATE_CALLS: "ten" });
  expect([status, body.error_description]).toEqual([500, "RATE_CALLS must be a whole number from 1."]);
});

test.each<[string, Partial<Env>, string[]]>([
  ["AuthKit and nothing else", { ISSUER: "https://name.authkit.app" }, ["WORKOS_API_KEY must be set", "ORGANIZATION"]],
  ["one of two secrets", { INTROSPECTION_CLIENT_ID: "" }, ["Set both INTROSPECTION_CLIENT_ID"]],
  ["several at once", { RATE_CALLS: "ten", OPEN_DOOR: "ajar" }, ["RATE_CALLS must be", "OPEN_DOOR must be on or off"]],
  ["members of nothing", { ALLOWLIST: "members" }, ["ORGANIZATION must name"]],
  ["a limit that no window could keep", { OPEN_RATE_CALLS: "100001" }, ["OPEN_RATE_CALLS must be at most 100000"]],
  ...["https://:s3cr3t@otlp.example.com", "https://otlp.example.com/?", "https://otlp.example.com/#s3cr3t"].map(
    (url): [string, object, string[]] => [url, { OTEL_EXPORTER_OTLP_ENDPOINT: url }, ["must be an https URL"]],
  ),
  ["a collector without TLS", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://otlp.example.com" }, ["must be an https URL"]],
  [
    "a collector's key that is none",
    { OTEL_EXPORTER_OTLP_ENDPOINT: "https://otlp.example.com", OTEL_EXPORTER_OTLP_HEADERS: "s3cr3t" },
    ["OTEL_EXPORTER_OTLP_HEADERS must be NAME=VALUE"],
  ],
  ["a page that is none", { REPOSITORY: "javascript:alert(1)" }, ["REPOSITORY must be an https URL"]],
])("settings that are missing or wrong are said at / and /health: %s", async (_, changes, words) => {
  const get = async (path: string) => {
    const response = await worker.fetch(new Request(`https://shop.test${path}`) as never, { ...env, ...changes });
    return { status: response.status, text: await response.text() };
  };
  const [page, about] = [await get("/"), await get("/health")];
  expect([page.status, about.status]).toEqual([200, 200]);
  const { settings, authorization_server, world } = JSON.parse(about.text);
  expect([authorization_server, world]).toEqual([null, null]);
  for (const word of words) {
    expect(page.text).toContain(word);
    expect(settings.problem).toContain(word);
  }
  expect((await get("/.well-known/oauth-protected-resource/mcp")).status, "nothing is served").toBe(500);
});

test("at AuthKit nothing need be said of roles, and with what it needs the shop is set up", () => {
  const needed = { ISSUER: "https://name.authkit.app", WORKOS_API_KEY: "sk_1", ORGANIZATION: "org_1" };
  expect(readSettings({ ...bare, ...needed }, "https://shop.test").scopesFrom).toBe("role");
  expect(readSettings({ ...bare, ...needed, SCOPES_FROM: "token" }, "https://shop.test").scopesFrom).toBe("token");
  expect(readSettings(bare, "https://shop.test").scopesFrom).toBe("token");
});

test.each([
  ["http://127.0.0.1:8787", "http://localhost:8787", "http://localhost:8787"],
  ["http://localhost:8787", "http://[::1]:8787", "http://[::1]:8787"],
  ["http://127.0.0.1:8787", "http://localhost:9999", "http://127.0.0.1:8787"],
  ["https://shop.test", "https://shop.test", "https://shop.test"],
  ["https://shop.test", "http://localhost:8787", "https://shop.test"],
  ["", "http://localhost:8787", "http://localhost:8787"],
])("with BASE_URL %j a client that asks %s is told of %s", (named, asked, told) => {
  expect(readSettings({ ...bare, BASE_URL: named }, asked).resource).toBe(`${told}/mcp`);
});

test("a shop that knows no issuer lets nobody in, and says why", async () => {
  const token = await (await openAuthServer()).token();
  const said = await post("/mcp", { ISSUER: "" }, token);
  expect(refusal(said)).toMatchObject({ status: 503, rule: "standing.unknown" });
  expect(refusal(said).reason).toContain("ISSUER is not set");
});

test("a flood from one address is stopped in front, before anything is read or written", async () => {
  const asked: string[] = [];
  const limit = async ({ key }: { key: string }) => (asked.push(key), { success: false });
  const said = await post("/mcp", { FRONT: { limit } });
  expect([said.status, said.headers.get("retry-after"), said.body.error.code]).toEqual([429, "10", -32029]);
  expect([asked, said.headers.get("demo-audit-id")]).toEqual([["nowhere"], null]);
});

test("a ledger that cannot be reached is an answer too", async () => {
  const USERS = { getByName: () => ({ enter: () => Promise.reject(new Error("reset")) }) } as never;
  const said = await post("/open/mcp", { USERS });
  expect([said.status, said.headers.get("retry-after")]).toEqual([503, "2"]);
});
