/** The human in control: what is revoked at the shop itself holds at once, and only a human's console may do it. */

import { abortAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { StockRoom } from "../src/ledger/stock";
import {
  ask,
  audit,
  BASE,
  buy,
  call,
  openAuthServer,
  orderOf,
  refusal,
  somebody,
  unique,
  type AuthServer,
  type Said,
} from "./world";

let authServer: AuthServer;

beforeEach(async () => {
  authServer = await openAuthServer();
});

afterEach(() => {
  vi.restoreAllMocks();
});

type Claims = ReturnType<typeof somebody>;

/** The human's own token: another audience and client than the agent's, and no `act`. */
function console_(claims: Claims, changes: Record<string, unknown> = {}): Promise<string> {
  const own = { sid: `session_${unique()}`, act: undefined, client_id: "demo-console", aud: `${BASE}/admin` };
  return authServer.token({ ...claims, ...own, scope: "sessions:manage", ...changes });
}

function administer(what: string, token: string | null, body: unknown): Promise<Said> {
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  return ask(`/admin/${what}`, {
    method: "POST",
    headers,
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

describe.each(["session", "agent", "user"] as const)("a revoked %s", (kind) => {
  test("is refused from the answer on, everywhere, and after a restart", async () => {
    const claims = somebody();
    const id = { session: claims.sid, agent: claims.act.sub, user: claims.sub }[kind];
    const tokens = await Promise.all(Array.from({ length: 3 }, () => authServer.token(claims)));
    for (const token of tokens) expect((await call("getUserInfo", {}, { token })).status).toBe(200);
    const human = await console_(claims);
    const answer = await administer("revoke", human, { kind, id });
    expect([answer.status, answer.body]).toEqual([200, { kind, id, revoked_at: expect.any(Number) }]);
    const said = await Promise.all(tokens.map((token) => call("getUserInfo", {}, { token })));
    for (const one of said) expect(refusal(one)).toMatchObject({ status: 401, rule: `standing.${kind}` });
    expect((await administer("revoke", human, { kind, id })).body).toEqual(answer.body);
    await abortAllDurableObjects();
    expect(refusal(await buy({ token: tokens[0]! })).rule).toBe(`standing.${kind}`);
  });
});

/** A purchase that has passed every gate, and waits for the stock until `go` is called. */
function onItsWay(token: string) {
  let go = () => {};
  const open = new Promise<void>((resolve) => (go = resolve));
  let there = () => {};
  const waiting = new Promise<void>((resolve) => (there = resolve));
  const honest = StockRoom.prototype.take;
  vi.spyOn(StockRoom.prototype, "take").mockImplementationOnce(async function (this: StockRoom, id: string) {
    there();
    await open;
    return honest.call(this, id);
  } as unknown as typeof honest);
  return { bought: buy({ token }), waiting, go: () => go() };
}

describe.each(["session", "agent", "user"] as const)("a %s revoked while a purchase is on its way", (kind) => {
  test("places nothing after the answer, and the shirt is in stock again", async () => {
    const claims = somebody();
    // A stub of its own each time: one belongs to the object in whose context it was made.
    const stock = () => env.STOCK.getByName("shop");
    const [token, left] = [await authServer.token(claims), await stock().left()];
    const { bought, waiting, go } = onItsWay(token);
    await waiting;
    const id = { session: claims.sid, agent: claims.act.sub, user: claims.sub }[kind];
    expect((await administer("revoke", await console_(claims), { kind, id })).status).toBe(200);
    go();
    const said = await bought;
    expect(JSON.stringify(said.body)).toContain(`standing.${kind}`);
    expect(JSON.stringify(said.body)).toContain("Nothing was bought.");
    expect(await stock().left()).toBe(left);
  });
});

test("places nothing by a token that has expired meanwhile, of which nobody can be asked any more", async () => {
  const stock = () => env.STOCK.getByName("shop");
  const [token, left] = [await authServer.token(somebody()), await stock().left()];
  const { bought, waiting, go } = onItsWay(token);
  await waiting;
  const then = Date.now() + 310_000;
  vi.spyOn(Date, "now").mockImplementation(() => then);
  go();
  expect(JSON.stringify((await bought).body)).toContain("standing.token");
  expect(await stock().left()).toBe(left);
});

test("a console whose body comes after its session was revoked does nothing", async () => {
  const claims = somebody();
  const mine = `session_${unique()}`;
  const target = { kind: "agent", id: claims.act.sub };
  const own = await console_(claims);
  await administer("revoke", own, target);
  let send = () => {};
  const open = new Promise<void>((resolve) => (send = resolve));
  const body = new ReadableStream<Uint8Array>({
    async pull(held) {
      await open;
      held.enqueue(new TextEncoder().encode(JSON.stringify(target)));
      held.close();
    },
  });
  const headers = { authorization: `Bearer ${await console_(claims, { sid: mine })}` };
  const said = ask("/admin/reinstate", { method: "POST", headers, body });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect((await administer("revoke", own, { kind: "session", id: mine })).status).toBe(200);
  send();
  expect(refusal(await said)).toMatchObject({ status: 401, rule: "standing.session" });
  expect(refusal(await call("getUserInfo", {}, { token: await authServer.token(claims) })).rule).toBe("standing.agent");
});

test("a purchase on its way goes through when another agent is revoked", async () => {
  const claims = somebody();
  const { bought, waiting, go } = onItsWay(await authServer.token(claims));
  await waiting;
  await administer("revoke", await console_(claims), { kind: "agent", id: `agent_${unique()}` });
  go();
  orderOf(await bought);
});

test("the console itself does not shop, whatever its token or its human's role would permit", async () => {
  const claims = { ...somebody(), act: undefined, client_id: "demo-console" };
  const said = await buy({ token: await authServer.token(claims) });
  expect(refusal(said)).toMatchObject({ status: 403, rule: "allowlist.client" });
});

test("a reinstated agent goes on where it was; a session stays dead", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  orderOf(await buy({ token }));
  const human = await console_(claims);
  const target = { kind: "agent", id: claims.act.sub };
  await administer("revoke", human, target);
  expect((await administer("reinstate", human, target)).body).toEqual({ ...target, revoked_at: null, lifted: true });
  expect((await administer("reinstate", human, target)).body.lifted).toBe(false);
  orderOf(await buy({ token }));
  expect(refusal(await buy({ token })).rule).toBe("limits.quota");
  expect((await administer("reinstate", human, { kind: "session", id: claims.sid })).status).toBe(409);
});

test("another agent of the same human is not touched", async () => {
  const claims = somebody();
  const rival = await authServer.token({ ...claims, act: { sub: `agent_${unique()}` }, sid: `session_${unique()}` });
  await administer("revoke", await console_(claims), { kind: "agent", id: claims.act.sub });
  expect((await call("getUserInfo", {}, { token: rival })).status).toBe(200);
});

test("what was in mid-air when the human took it back buys nothing afterwards", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  await call("getUserInfo", {}, { token });
  const human = await console_(claims);
  let answered = (_: Response) => {};
  const waiting = new Promise<void>((asked) => {
    authServer.answer = () => {
      asked();
      return new Promise((resolve) => (answered = resolve));
    };
  });
  const mine = buy({ token });
  await waiting;
  authServer.answer = null;
  await administer("revoke", human, { kind: "agent", id: claims.act.sub });
  answered(Response.json({ active: true, username: "alice@example.com" }));
  expect(refusal(await mine).rule).toBe("standing.agent");
});

describe("who may not", () => {
  test.each([
    ["token.missing", 401, null],
    ["token.audience", 401, { aud: `${BASE}/mcp` }],
    ["scope.insufficient", 403, { scope: "shop:read" }],
    ["allowlist.client", 403, { client_id: "demo-agent" }],
    ["allowlist.client", 403, { act: { sub: "agent_sly" } }],
  ] as const)("%s", async (rule, status, changes) => {
    const claims = somebody();
    const token = changes === null ? null : await console_(claims, changes);
    const said = await administer("reinstate", token, { kind: "agent", id: claims.act.sub });
    expect(refusal(said)).toMatchObject({ rule, status });
    if (status === 401) {
      expect(said.headers.get("www-authenticate")).toContain(`${BASE}/.well-known/oauth-protected-resource/admin`);
    }
  });

  test("the agent's own token is none for the human's routes, whatever scope it holds", async () => {
    const claims = somebody();
    const token = await authServer.token({ ...claims, scope: "sessions:manage shop:read" });
    expect(refusal(await administer("revoke", token, { kind: "agent", id: "a" })).rule).toBe("token.audience");
  });

  test("somebody else's is nobody's to know of, but an admin's", async () => {
    const [alice, bob] = [somebody(), somebody()];
    const token = await authServer.token(alice);
    const target = { kind: "agent", id: alice.act.sub, user: alice.sub };
    for (const body of [target, { kind: "user", id: alice.sub }, { kind: "user", id: "user_nobody" }]) {
      expect((await administer("revoke", await console_(bob), body)).status).toBe(404);
    }
    await administer("revoke", await console_(bob), { kind: "agent", id: alice.act.sub });
    expect((await call("getUserInfo", {}, { token })).status).toBe(200);
    authServer.users.set(bob.sub, { username: "grace@example.com", name: "Grace Okoro", roles: ["admin"] });
    expect((await administer("revoke", await console_(bob), target)).status).toBe(200);
    expect(refusal(await call("getUserInfo", {}, { token })).rule).toBe("standing.agent");
  });
});

test("a session that was revoked revokes nothing any more", async () => {
  const claims = somebody();
  const human = await console_(claims, { sid: "session_of_the_console" });
  await administer("revoke", human, { kind: "session", id: "session_of_the_console" });
  expect(refusal(await administer("reinstate", human, { kind: "user", id: claims.sub })).rule).toBe("standing.session");
});

test.each([
  "",
  "[]",
  "{}",
  '{"kind":"token","id":"x"}',
  '{"kind":"agent","id":""}',
  '{"kind":"agent","id":"a","user":1}',
  "{",
])("a body that says nothing: %s", async (body) => {
  expect((await administer("revoke", await console_(somebody()), body)).status).toBe(400);
});

test("a long body is not read, and another method is not taken", async () => {
  expect((await administer("revoke", await console_(somebody()), `"${"x".repeat(20_000)}"`)).status).toBe(413);
  const said = await ask("/admin/revoke");
  expect([said.status, said.headers.get("allow")]).toEqual([405, "POST"]);
});

test("who revoked what is on record", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  await administer("revoke", await console_(claims), { kind: "session", id: "session_gone" });
  const entry = (await audit(token)).findLast((one) => one.user === claims.sub);
  expect(entry).toMatchObject({
    verdict: "allow",
    reason: "alice@example.com revoked session session_gone.",
    username: "alice@example.com",
  });
});
