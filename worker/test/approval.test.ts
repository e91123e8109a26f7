/** Where the authorization server grants no authorization details, a dear purchase is refused with that reason. */

import { expect, test } from "vitest";
import { readSettings } from "../src/settings";
import { NO_FACTS } from "../src/policy/facts";
import { withinLimits, type Case, type Usage } from "../src/policy/gates";

const use = (name: "rate" | "purchases" | "spending") => ({
  name,
  used: 0,
  limit: 10_000,
  unit: "USD",
  window: 10,
  resets_at: null,
});

function usage(changes: Partial<Usage>): Usage {
  const wanted = { size: "M", company: "ACME", address: "1 Main St", price: { amount: 2500, currency: "USD" } };
  const price = wanted.price;
  const limits = { rateOk: true, rate: use("rate"), purchases: use("purchases"), spending: use("spending") };
  return {
    ...limits,
    price,
    replay: false,
    ownLimit: false,
    wanted,
    approveAbove: 2000,
    approves: true,
    usedApprovals: new Set(),
    ...changes,
  };
}

const rules = {
  audiences: ["https://shop.test/mcp"],
  issuer: "https://issuer.test",
  allowlist: [],
  organization: null,
  tokenTypes: null,
  leeway: 1,
};
const one: Case = {
  token: { ...NO_FACTS, user: "user_alice", chain: ["agent_alice"], client: "agent" },
  now: 1000,
  rules,
  method: "tools/call",
  tool: "buyMcpShopItem",
  scope: "shop:buy",
  standing: null,
  skew: null,
  unproved: null,
};

test("AuthKit can be asked for no approval, and the refusal says so", () => {
  const bare = { ISSUER: "https://name.authkit.app", WORKOS_API_KEY: "sk_test", ORGANIZATION: "org_1" };
  expect(readSettings(bare, "https://shop.test").approves).toBe(false);
  expect(readSettings({ ISSUER: "https://issuer.test" }, "https://shop.test").approves).toBe(true);
  const [can, cannot] = [withinLimits(one, usage({})), withinLimits(one, usage({ approves: false }))];
  expect([can.rule, cannot.rule]).toEqual(["limits.approval", "limits.approval"]);
  expect(cannot.reason).not.toBe(can.reason);
});

test("none and a price are what the setting says", () => {
  const above = (APPROVE_ABOVE?: string) =>
    readSettings(APPROVE_ABOVE === undefined ? {} : { APPROVE_ABOVE }, "https://shop.test").approveAbove;
  expect([above(), above("none"), above("0"), above("2000")]).toEqual([5000, null, 0, 2000]);
  expect(withinLimits(one, usage({ approveAbove: null })).verdict).toBe("allow");
  expect(withinLimits(one, usage({ approveAbove: 2500 })).verdict).toBe("allow");
});
