/** What the shop and the SDK say, told apart: bought, refused, over, or not known yet. */

import { expect, test } from "vitest";
import { ofError, ofResult } from "../src/outcome";

/** As the MCP SDK throws it (`SdkHttpError`). */
function http(status: number, rule?: string): Error {
  const decision = { verdict: "deny", rule, reason: "Because." };
  const text =
    rule === undefined
      ? "no"
      : JSON.stringify({ jsonrpc: "2.0", id: 1, error: { code: -32003, message: "", data: { decision } } });
  return Object.assign(new Error(`Error POSTing to endpoint: ${text}`), { data: { status, text } });
}

test.each([
  [
    "a rule of the shop's",
    http(403, "limits.quota"),
    null,
    true,
    { kind: "refused", rule: "limits.quota", final: true },
  ],
  ["a 403 of another server", http(403), null, true, { kind: "refused", rule: "", final: true }],
  ["too many calls", http(429, "limits.rate"), null, true, { kind: "trouble", reason: "Because." }],
  ["a shop that cannot ask", http(503, "standing.unknown"), null, true, { kind: "trouble" }],
  ["nobody there", new TypeError("fetch failed"), null, true, { kind: "trouble" }],
  ["a refused token that is not renewed", new Error("consent"), "more", false, { kind: "over" }],
  ["a token that could not be renewed for now", new Error("consent"), "renewal", true, { kind: "trouble" }],
  ["a tool that wants more than was granted", new Error("consent"), "more", true, { kind: "over" }],
  ["a token that is refused although renewed", http(401), null, true, { kind: "over" }],
] as const)("%s", (_, error, wanted, renewable, expected) => {
  expect(ofError(error, wanted, renewable)).toMatchObject(expected);
});

test("an order is read from the result, and whether it was there before", () => {
  const order = { id: "order_1", replayed: true };
  const result = { content: [], structuredContent: { order } };
  expect(ofResult(result)).toMatchObject({ kind: "done", order: "order_1", replayed: true });
});

test("a tool's own error bought nothing", () => {
  const result = { content: [{ type: "text" as const, text: "Sold out." }], isError: true };
  expect(ofResult(result)).toEqual({ kind: "refused", rule: "", reason: "Sold out.", final: false });
});
