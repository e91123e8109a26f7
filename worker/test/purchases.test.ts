/** Buying: exact limits however many buy at once, keys that buy once, and stock that runs out. */

import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { ledgerName } from "../src/gatehouse/requests";
import {
  audit,
  buy,
  call,
  errorOf,
  ISSUER,
  limitsIn,
  openAuthServer,
  orderOf,
  refusal,
  somebody,
  spending,
  type AuthServer,
} from "./world";

let authServer: AuthServer;

beforeEach(async () => {
  authServer = await openAuthServer();
});

const stock = () => env.STOCK.getByName("shop");

test("of many purchases at once exactly as many pass as the consent is good for", async () => {
  const token = await authServer.token(somebody());
  const left = await stock().left();
  const said = await Promise.all(Array.from({ length: 8 }, () => buy({ token })));
  expect(said.filter((one) => one.status === 200).map((one) => orderOf(one).replayed)).toEqual([false, false]);
  const refused = said.filter((one) => one.status === 403).map(refusal);
  expect(refused).toHaveLength(6);
  expect(new Set(refused.map((one) => one.reason))).toEqual(new Set(["2 of 2 purchases of this consent are used."]));
  expect(await stock().left()).toBe(left - 2);
});

test("of many calls at once exactly as many pass as the rate allows", async () => {
  const token = await authServer.token(somebody());
  const said = await Promise.all(Array.from({ length: 25 }, () => call("listMcpShopOrders", {}, { token })));
  const refused = said.filter((one) => one.status === 429);
  expect([said.length, refused.length]).toEqual([25, 15]);
  expect(refusal(refused[0]!)).toMatchObject({ rule: "limits.rate", reason: "10 calls in 10 s are used up." });
  expect(Number(refused[0]!.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(Number(refused[0]!.headers.get("retry-after"))).toBeLessThanOrEqual(10);
});

test("the human's limit is not spent over, and the balance is told", async () => {
  const token = await authServer.token({ ...somebody(), authorization_details: [spending(40_00)] });
  const first = await buy({ token });
  expect(orderOf(first)).toMatchObject({ balance: { amount: 1500, currency: "USD" }, spendingLimit: { amount: 4000 } });
  expect(limitsIn(first)).toMatchObject({
    purchases: { used: 1, limit: 2 },
    spending: { used: 2500, limit: 4000, unit: "USD" },
  });
  expect(refusal(await buy({ token }))).toMatchObject({
    rule: "limits.spending",
    reason: "15.00 USD is left of the human's limit; this costs 25.00 USD.",
  });
});

test.each([
  undefined,
  [],
  [spending(-1)],
  [spending("100")],
  [spending(9000, { actions: [] })],
  [spending(9000), { type: "shop_spending" }],
])("what is no spending limit is none: %j", async (details) => {
  const token = await authServer.token({ ...somebody(), authorization_details: details });
  expect(refusal(await buy({ token })).rule).toBe("limits.consent");
});

test("a new consent is a new quota, and the agent's keys go on", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  const first = orderOf(await buy({ token }, { idempotencyKey: "k" }));
  orderOf(await buy({ token }));
  const renewed = await authServer.token({ ...claims, consent_id: "consent_new", sid: "session_new" });
  expect(orderOf(await buy({ token: renewed }, { idempotencyKey: "k" }))).toMatchObject({
    id: first.id,
    replayed: true,
  });
  expect(orderOf(await buy({ token: renewed })).id).not.toBe(first.id);
});

test("the same key at once from everywhere buys once, and takes once", async () => {
  const token = await authServer.token(somebody());
  const left = await stock().left();
  const said = await Promise.all(Array.from({ length: 5 }, () => buy({ token }, { idempotencyKey: "once" })));
  const orders = said.map(orderOf);
  expect(new Set(orders.map((order) => order.id)).size).toBe(1);
  expect(orders.filter((order) => !order.replayed)).toHaveLength(1);
  expect(await stock().left()).toBe(left - 1);
  expect(limitsIn(said[4]!)["purchases"]).toMatchObject({ used: 1 });
});

test("a key that stands for something else buys nothing", async () => {
  const token = await authServer.token(somebody());
  orderOf(await buy({ token }, { idempotencyKey: "k" }));
  expect(errorOf(await buy({ token }, { idempotencyKey: "k", tshirtSize: "S" }))).toContain("other arguments");
  expect((await call("listMcpShopOrders", {}, { token })).body.result.structuredContent.orders).toHaveLength(1);
});

test("bad arguments cost nothing and are told without their values", async () => {
  const token = await authServer.token(somebody());
  const bad = { company: "A\u001b[31m", mailingAddress: " \n ", tshirtSize: "XS", idempotencyKey: 5 };
  expect(errorOf(await buy({ token }, bad))).toBe(
    "Nothing was done. The arguments do not fit: company: must not contain control characters; mailingAddress: " +
      "must not be empty; tshirtSize: must be one of S, M, L, XL, XXL; idempotencyKey: must be a string.",
  );
  expect(limitsIn(await call("listMcpShopOrders", {}, { token }))["purchases"]).toMatchObject({ used: 0 });
});

test("an address in lines is kept in one, and told to its owner only", async () => {
  const [mine, other] = [await authServer.token(somebody()), await authServer.token(somebody())];
  orderOf(await buy({ token: mine }, { mailingAddress: "1 Main St,\n  Springfield " }));
  const orders = async (token: string) =>
    (await call("listMcpShopOrders", {}, { token })).body.result.structuredContent.orders;
  expect((await orders(mine)).map((order: { mailingAddress: string }) => order.mailingAddress)).toEqual([
    "1 Main St, Springfield",
  ]);
  expect(await orders(other)).toEqual([]);
});

test("the order is in the audit log's entry of the purchase", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  const said = await buy({ token });
  const entry = (await audit(token)).find((one) => one.audit_id === said.headers.get("demo-audit-id"));
  expect(entry).toMatchObject({ order_id: orderOf(said).id, consent: claims.consent_id, verdict: "allow" });
  expect(said.body.result._meta["demo/decision"]).toEqual(entry);
});

async function leave(left: number): Promise<void> {
  await runInDurableObject(stock(), (_, state) => void state.storage.sql.exec("UPDATE stock SET left = ?", left));
}

test("the last shirt is sold once, and who comes late has lost nothing", async () => {
  const tokens = await Promise.all(Array.from({ length: 4 }, () => authServer.token(somebody())));
  await leave(1);
  const said = await Promise.all(tokens.map((token) => buy({ token }, { idempotencyKey: "k" })));
  const sold = said.filter((one) => one.body.result.isError === false);
  const late = said.filter((one) => one.body.result.isError === true);
  expect([sold.length, late.length]).toEqual([1, 3]);
  expect(errorOf(late[0]!)).toContain("sold out");
  expect(limitsIn(late[0]!)).toMatchObject({ purchases: { used: 0 }, spending: { used: 0 } });
  await leave(50);
  const token = tokens[said.indexOf(late[0]!)]!;
  expect(orderOf(await buy({ token }, { idempotencyKey: "k" })).replayed).toBe(false);
});

test("a purchase cut off between order and stock is undone, and sold once", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  const order = orderOf(await buy({ token }, { idempotencyKey: "cut" }));
  const left = await stock().left();
  const mine = env.USERS.getByName(ledgerName(ISSUER, claims.sub));
  await runInDurableObject(mine, (_, state) => {
    state.storage.sql.exec("UPDATE orders SET state = 'pending'");
  });
  await abortAllDurableObjects();
  const again = orderOf(await buy({ token }, { idempotencyKey: "cut" }));
  expect(again).toMatchObject({ replayed: false });
  expect(again.id).not.toBe(order.id);
  expect((await call("listMcpShopOrders", {}, { token })).body.result.structuredContent.orders).toHaveLength(1);
  expect(await stock().left()).toBe(left);
});

test("nothing is lost when every object is stopped and started again", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  orderOf(await buy({ token }));
  const before = (await audit(token)).filter((entry) => entry.user === claims.sub);
  await abortAllDurableObjects();
  expect(limitsIn(await call("listMcpShopOrders", {}, { token }))).toMatchObject({
    purchases: { used: 1 },
    rate: { used: 2 },
  });
  const after = (await audit(token)).filter((entry) => entry.user === claims.sub);
  expect(after.slice(0, before.length)).toEqual(before);
});

test.each([
  ["where there is stock", 10, 1],
  ["where there is none", 0, 0],
])("an order that never reached the stock is bought anew %s", async (_, left, listed) => {
  const claims = somebody();
  const token = await authServer.token(claims);
  const order = orderOf(await buy({ token }, { idempotencyKey: "cut" }));
  await runInDurableObject(
    stock(),
    (_, state) => void state.storage.sql.exec("DELETE FROM taken WHERE order_id = ?", order.id),
  );
  await leave(left);
  await runInDurableObject(env.USERS.getByName(ledgerName(ISSUER, claims.sub)), (_, state) => {
    state.storage.sql.exec("UPDATE orders SET state = 'pending'");
  });
  await abortAllDurableObjects();
  const said = await buy({ token }, { idempotencyKey: "cut" });
  if (listed === 1) expect(orderOf(said)).toMatchObject({ replayed: false });
  else expect(errorOf(said)).toContain("sold out");
  expect((await call("listMcpShopOrders", {}, { token })).body.result.structuredContent.orders).toHaveLength(listed);
  expect(await stock().left()).toBe(Math.max(0, left - listed));
});

test("a stock room that does not answer leaves nothing bought twice", async () => {
  const token = await authServer.token(somebody());
  await leave(10);
  const alter = (words: string) =>
    runInDurableObject(stock(), (_, state) => void state.storage.sql.exec(`ALTER TABLE ${words}`));
  await alter("taken RENAME TO away");
  expect(errorOf(await buy({ token }, { idempotencyKey: "k" }))).toContain("Check your orders");
  expect((await call("listMcpShopOrders", {}, { token })).body.result.structuredContent.orders).toEqual([]);
  await alter("away RENAME TO taken");
  expect(orderOf(await buy({ token }, { idempotencyKey: "k" }))).toMatchObject({ replayed: false });
  expect((await call("listMcpShopOrders", {}, { token })).body.result.structuredContent.orders).toHaveLength(1);
  expect(await stock().left()).toBe(9);
});
