/** A script and a model decide by the same loop, which lets neither do more than read, and buy once. */

import { expect, test } from "vitest";
import { BUY, decide, script, workersAi, type Call, type Model, type Tool } from "../src/deciding";

const TASK = "Buy one conference T-shirt, size M, and send it to Night Shift Agents, 1 Edge Row, Lisbon.";
const TOOLS: Tool[] = ["listMcpShopInventory", "listMcpShopOrders", BUY, "setDemoMode"].map((name) => ({
  name,
  description: name,
  parameters: { type: "object" },
}));
const SHIRT = { company: "Night Shift Agents", mailingAddress: "1 Edge Row, Lisbon", tshirtSize: "M" };

/** A shop's inventory with so many left. */
function stocked(stock: number, sizes = ["S", "M"]): string {
  return JSON.stringify({ items: [{ id: "conference-tshirt", sizes, stock }] });
}

function saying(...turns: (Call | null)[]): Model & { offered: string[][] } {
  const offered: string[][] = [];
  return {
    name: "a test",
    offered,
    next(_, tools) {
      offered.push(tools.map((tool) => tool.name));
      return Promise.resolve({ says: "so", call: turns[Math.min(offered.length, turns.length) - 1] ?? null });
    },
  };
}

test("the script looks first, then buys what its task names", async () => {
  const read: string[] = [];
  const decided = await decide(script, TASK, TOOLS, (call) => {
    read.push(call.name);
    return Promise.resolve(stocked(3));
  });
  expect(read).toEqual(["listMcpShopInventory"]);
  expect(decided.purchase).toEqual(SHIRT);
});

test.each([
  ["nothing is left", TASK, stocked(0)],
  ["the size is not sold", TASK, stocked(3, ["XL"])],
  ["the inventory is no JSON", TASK, "<html>"],
  ["the inventory has another shape", TASK, '{"items": 7}'],
  ["the task names no size", "Buy a shirt, and send it to A, B.", stocked(3)],
  ["the task names nobody", "Buy a shirt, size M.", stocked(3)],
])("the script buys nothing where %s", async (_, task, inventory) => {
  const decided = await decide(script, task, TOOLS, () => Promise.resolve(inventory));
  expect(decided.purchase).toBeNull();
});

test("a model is shown the tools that read and the one that buys, and no other", async () => {
  const model = saying(null);
  await decide(model, TASK, TOOLS, () => Promise.reject(new Error("nothing is read")));
  expect(model.offered).toEqual([["listMcpShopInventory", "listMcpShopOrders", BUY]]);
});

test("a tool that is not there, or not for it, is never called", async () => {
  const called: string[] = [];
  const model = saying(
    { name: "setDemoMode", arguments: { mode: "banned" } },
    { name: "buyEverything", arguments: {} },
    null,
  );
  const decided = await decide(model, TASK, TOOLS, (call) => {
    called.push(call.name);
    return Promise.resolve("");
  });
  expect(called).toEqual([]);
  expect(decided.purchase).toBeNull();
});

test("a model that only ever looks comes to an end", async () => {
  let read = 0;
  const decided = await decide(saying({ name: "listMcpShopInventory", arguments: {} }), TASK, TOOLS, () => {
    read += 1;
    return Promise.resolve(stocked(1));
  });
  expect([read, decided.purchase]).toEqual([5, null]);
});

// developers.cloudflare.com/workers-ai/features/function-calling/traditional, and `AiTextGenerationOutput` of the types.
test.each([
  ["by name and arguments", { tool_calls: [{ name: BUY, arguments: SHIRT }] }, SHIRT],
  [
    "as a function with JSON text",
    { tool_calls: [{ id: "1", type: "function", function: { name: BUY, arguments: JSON.stringify(SHIRT) } }] },
    SHIRT,
  ],
  ["with arguments that are no JSON", { tool_calls: [{ name: BUY, arguments: "{size: M" }] }, {}],
  ["not at all", { response: "I had rather not." }, null],
  ["with no name", { tool_calls: [{ arguments: SHIRT }] }, null],
  ["in no shape at all", "503 upstream", null],
  ["as nothing", null, null],
])("a model of Workers AI calls a tool %s", async (_, answer, purchase) => {
  const ai = { run: () => Promise.resolve(answer) } as unknown as Pick<Ai, "run">;
  const decided = await decide(workersAi(ai, "@cf/a/model"), TASK, TOOLS, () => Promise.resolve(""));
  expect(decided.purchase).toEqual(purchase);
});

test("a model is sent the task, what it called and what that gave", async () => {
  const sent: { messages: { role: string; content: string }[]; tools: unknown[] }[] = [];
  const answers = [{ tool_calls: [{ name: "listMcpShopInventory", arguments: {} }] }, { response: "Enough." }];
  const ai = {
    run: (_: string, input: (typeof sent)[number]) => {
      sent.push(structuredClone(input));
      return Promise.resolve(answers[sent.length - 1]);
    },
  } as unknown as Pick<Ai, "run">;
  await decide(workersAi(ai, "@cf/a/model"), TASK, TOOLS, () => Promise.resolve(stocked(3)));
  expect(sent[1]!.messages.map((message) => message.role)).toEqual(["system", "user", "assistant", "tool"]);
  expect(sent[1]!.messages.at(-1)!.content).toBe(stocked(3));
  expect(sent[0]!.tools).toHaveLength(3);
});
