/** Under which names the shop answers. */

import { expect, test } from "vitest";
import { readSettings, SettingsWrong, type Env } from "../src/settings";
import { refuseForeign } from "../src/wire/origin";

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
  { AUTHORITY: "not a url" },
  { RATE_CALLS: "0" },
  { RATE_CALLS: "ten" },
  { PURCHASES_PER_CONSENT: "-1" },
  { DEFAULT_SPENDING_LIMIT: "60.00" },
  { INTROSPECTION_CLIENT_ID: "shop" },
])("settings that cannot be meant are told by name: %j", (wrong) => {
  expect(() => readSettings({ ...bare, ...wrong }, "https://shop.test")).toThrow(SettingsWrong);
  expect(() => readSettings({ ...bare, ...wrong }, "https://shop.test")).toThrow(Object.keys(wrong)[0]!);
});

test("without settings nobody is let in and nothing is given away", () => {
  const settings = readSettings(bare, "https://shop.test");
  expect(settings).toMatchObject({ authority: "", allowlist: [], introspection: null, defaultSpendingLimit: null });
  expect(settings).toMatchObject({ consoleClients: [], resource: "https://shop.test/mcp" });
});
