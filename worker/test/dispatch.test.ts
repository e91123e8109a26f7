/** Telling the warehouse: once for each order, by a token for that order alone, and only while the grant stands. What the
 * warehouse itself refuses is held at the real one (`tests/contract/test_contract_dispatch.py`). */

import { abortAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ask, BASE, buy, call, ISSUER, openAuthServer, orderOf, somebody, unique, type AuthServer } from "./world";

const WAREHOUSE = "https://warehouse.test/orders";
const TXN_TOKEN = "urn:ietf:params:oauth:token-type:txn_token";

let authServer: AuthServer;
/** What came at the authorization server's token endpoint, and what at the warehouse. */
let exchanges: Record<string, string>[];
let parcels: { token: string; headers: string; body: Record<string, unknown> }[];
/** What each of them answers instead. */
let exchanged: (() => Response) | null;
let taken: (() => Response | Promise<Response>) | null;

beforeEach(async () => {
  authServer = await openAuthServer();
  [exchanges, parcels, exchanged, taken] = [[], [], null, null];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    if (request.url === `${ISSUER}/token`) {
      exchanges.push(Object.fromEntries(await request.formData()) as Record<string, string>);
      if (exchanged !== null) return exchanged();
      const made = { access_token: `txn.of.${exchanges.length}`, issued_token_type: TXN_TOKEN, token_type: "N_A" };
      return Response.json({ ...made, expires_in: 30 });
    }
    if (request.url !== WAREHOUSE) return authServer.fetch(request);
    const headers = JSON.stringify([...request.headers]);
    const body = JSON.parse(await request.text());
    parcels.push({ token: request.headers.get("txn-token") ?? "", headers, body });
    if (taken !== null) return taken();
    return Response.json({ order: body.order, txn: `txn_${body.order}`, at: 1, taken: true }, { status: 201 });
  });
  Object.assign(env, { WAREHOUSE });
});

afterEach(async () => {
  Object.assign(env, { WAREHOUSE: "" });
  await abortAllDurableObjects(); // what still waits would be tried in the middle of the next test
});

async function dispatched(token: string, order: string) {
  const said = await ask(`/audit/dispatch?order=${order}`, { headers: { authorization: `Bearer ${token}` } });
  return said.status === 200 ? said.body : said.status;
}

function until(token: string, order: string, state: Record<string, unknown>): Promise<void> {
  return vi.waitFor(async () => expect(await dispatched(token, order)).toMatchObject(state), { timeout: 15_000 });
}

const decoded = (text: string) => JSON.parse(atob(text.replaceAll("-", "+").replaceAll("_", "/")));

test("an order is told once, by a token for it alone, and the agent's token goes to its issuer only", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  const to = { company: "Acmé", mailingAddress: "1 Mäin St 😀", idempotencyKey: "one" };
  const { id } = orderOf(await buy({ token }, to));
  await until(token, id, { order: id, state: "sent", tries: 1, txn: `txn_${id}`, why: null });
  expect(orderOf(await buy({ token }, to)).replayed).toBe(true);
  const [{ request_details, ...form }, ...more] = exchanges as [Record<string, string>];
  expect(form).toEqual({
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    requested_token_type: TXN_TOKEN,
    audience: `${ISSUER}/internal`,
    scope: "order.ship",
    subject_token: token,
    subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
  });
  const about = { order: id, tool: "buyMcpShopItem", amount: 2500, currency: "USD" };
  // Of ["M","Acm\u00e9","1 M\u00e4in St \ud83d\ude00"], as Python's json.dumps writes it.
  const parcel = "e13cf811bd68208c636a0f7ae4ad6d88954bde8a3210459f456fd489eb7c6769";
  expect(decoded(request_details!)).toEqual({ ...about, parcel });
  const [{ token: shown, headers, body }, ...others] = parcels as [(typeof parcels)[0]];
  expect([shown, body]).toEqual(["txn.of.1", { ...about, size: "M", company: "Acmé", address: "1 Mäin St 😀" }]);
  for (const part of token.split(".")) expect(headers + JSON.stringify(body)).not.toContain(part);
  expect(headers).not.toContain("authorization");
  expect([more, others]).toEqual([[], []]);
});

test("who is no reader of an order's trail learns nothing of it", async () => {
  const token = await authServer.token(somebody());
  const { id } = orderOf(await buy({ token }));
  await until(token, id, { state: "sent" });
  expect(await dispatched(await authServer.token(somebody()), id)).toBe(404);
  expect(await dispatched(token, "order_of_nobody")).toBe(404);
});

test("the buyer does not wait, and what waits when the object ends goes out by a token of the same agent and session", async () => {
  taken = () => new Response(null, { status: 503 });
  const claims = somebody();
  const token = await authServer.token(claims);
  const { id } = orderOf(await buy({ token }));
  await until(token, id, { state: "waiting", txn: null, why: expect.stringContaining("503") });
  await abortAllDurableObjects();
  [taken, parcels] = [null, []];
  const below = { ...claims, act: { sub: `sub_${unique()}`, act: claims.act } };
  for (const other of [
    { ...claims, sid: `session_${unique()}` },
    below,
    { ...claims, scope: "orders:read audit:read" },
  ]) {
    expect((await call("listMcpShopOrders", {}, { token: await authServer.token(other) })).status).toBe(200);
  }
  expect(await dispatched(token, id)).toMatchObject({ state: "waiting" });
  expect(parcels).toEqual([]);
  expect((await call("listMcpShopOrders", {}, { token })).status).toBe(200);
  await until(token, id, { state: "sent" });
  expect(parcels.map(({ body }) => body["order"])).toEqual([id]);
});

test("what was revoked here meanwhile is not sent, though the authorization server would make a token", async () => {
  let answer = () => {};
  const held = new Promise<void>((resolve) => (answer = resolve));
  taken = () => held.then(() => new Response(null, { status: 503 }));
  const claims = somebody();
  const token = await authServer.token(claims);
  const { id } = orderOf(await buy({ token }));
  const own = { sid: `session_${unique()}`, act: undefined, client_id: "demo-console", aud: `${BASE}/admin` };
  const human = await authServer.token({ ...claims, ...own, scope: "sessions:manage audit:read" });
  const revoked = await ask("/admin/revoke", {
    method: "POST",
    headers: { authorization: `Bearer ${human}` },
    body: JSON.stringify({ kind: "session", id: claims.sid }),
  });
  expect(revoked.status).toBe(200);
  taken = null;
  answer();
  await until(human, id, { state: "waiting", why: expect.stringContaining("revoked") });
  expect((await dispatched(human, id)).txn).toBeNull();
});

test.each([
  ["invalid_target", "refused"],
  ["invalid_request", "waiting"],
])("a token exchange that ends in %s leaves the order %s, and the warehouse hears nothing", async (error, state) => {
  exchanged = () =>
    Response.json({ error, error_description: `not\u001b[2J this one ${"x".repeat(9000)}` }, { status: 400 });
  const token = await authServer.token(somebody());
  const { id } = orderOf(await buy({ token }));
  await until(token, id, { state, tries: 1, txn: null, why: expect.stringMatching(/^not\?\[2J this one x+\.\.\.x+$/) });
  expect([exchanges.length, parcels.length]).toEqual([1, 0]);
});

test("an answer with another kind of token is none", async () => {
  const kind = "urn:ietf:params:oauth:token-type:access_token";
  exchanged = () => Response.json({ access_token: "a.b.c", issued_token_type: kind, token_type: "Bearer" });
  const token = await authServer.token(somebody());
  const { id } = orderOf(await buy({ token }));
  await until(token, id, { state: "waiting", txn: null });
  expect(parcels).toEqual([]);
});

test("without a warehouse no order waits for one", async () => {
  Object.assign(env, { WAREHOUSE: "" });
  const token = await authServer.token(somebody());
  const { id } = orderOf(await buy({ token }));
  expect(await dispatched(token, id)).toBe(404);
  expect(exchanges).toEqual([]);
});
