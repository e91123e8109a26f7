/** Every gate's refusal on the wire: status, challenge, rule, and that it is on record. */

import { beforeEach, describe, expect, test } from "vitest";
import { fill, RULES } from "../src/catalog";
import { ask, audit, BASE, buy, call, ISSUER, openAuthServer, post, refusal, somebody, type AuthServer } from "./world";

let authServer: AuthServer;

beforeEach(async () => {
  authServer = await openAuthServer();
});

const METADATA = `${BASE}/.well-known/oauth-protected-resource/mcp`;

test("without a token it is told how to get one, and no error code", async () => {
  const said = await call("listMcpShopInventory");
  expect(refusal(said)).toMatchObject({ status: 401, rule: "token.missing", tool: "listMcpShopInventory", user: null });
  expect(said.headers.get("www-authenticate")).toBe(
    `Bearer realm="shop", resource_metadata="${METADATA}", scope="shop:read orders:read shop:buy", ` +
      `DPoP realm="shop", resource_metadata="${METADATA}", scope="shop:read orders:read shop:buy", algs="ES256"`,
  );
  expect((await call("getUserInfo")).headers.get("www-authenticate")).toContain(
    'scope="shop:read orders:read shop:buy user:read"',
  );
});

const second = () => Math.floor(Date.now() / 1000);

describe("a token that is not what it must be", () => {
  const cases: [string, Record<string, unknown>, Record<string, unknown>][] = [
    ["token.issuer", { iss: "https://somebody.else" }, {}],
    ["token.audience", { aud: `${BASE}/other` }, {}],
    ["token.audience", { aud: undefined }, {}],
    ["token.expired", { exp: second() - 2 }, {}],
    ["token.expired", { nbf: second() + 100 }, {}],
    ["token.type", {}, { typ: "JWT" }],
    ["token.malformed", { sub: undefined }, {}],
    ["token.malformed", { exp: "soon" }, {}],
    ["token.signature", {}, { kid: "of nobody" }],
  ];
  test.each(cases)("%s", async (rule, claims, header) => {
    const said = await call("getUserInfo", {}, { token: await authServer.token({ ...somebody(), ...claims }, header) });
    expect(refusal(said)).toMatchObject({ status: 401, rule, gate: "token" });
    const challenge = said.headers.get("www-authenticate");
    expect(challenge).toContain('error="invalid_token"');
    expect(challenge).toContain('shop:buy user:read"');
    expect(authServer.asked).not.toContain("/introspect");
  });

  test.each(["", "no token", "a.b", "a.b.c.d", `${"a".repeat(20000)}.b.c`])("unreadable: %s", async (token) => {
    expect(refusal(await call("getUserInfo", {}, { token })).rule).toBe("token.malformed");
  });

  test("not signed, or with a key that everybody can read", async () => {
    const claims = btoa(JSON.stringify({ iss: ISSUER, sub: "user_alice" })).replaceAll("=", "");
    for (const alg of ["none", "HS256"]) {
      const header = btoa(JSON.stringify({ alg, typ: "at+jwt" })).replaceAll("=", "");
      expect(refusal(await call("getUserInfo", {}, { token: `${header}.${claims}.c2ln` })).rule).toBe(
        "token.signature",
      );
    }
  });

  test("signed for other words", async () => {
    const [header, , signature] = (await authServer.token()).split(".");
    const [, payload] = (await authServer.token({ sub: "user_grace" })).split(".");
    const token = `${header}.${payload}.${signature}`;
    expect(refusal(await call("getUserInfo", {}, { token }))).toMatchObject({ rule: "token.signature", user: null });
  });
});

test("the authorization server's new key is found, and its old one is not believed again", async () => {
  const claims = somebody();
  const old = await authServer.token(claims);
  expect((await call("getUserInfo", {}, { token: old })).status).toBe(200);
  await authServer.rotate();
  await new Promise((done) => setTimeout(done, 1100)); // Other tests of this file have looked a moment ago.
  expect((await call("getUserInfo", {}, { token: await authServer.token(claims) })).status).toBe(200);
  expect(refusal(await call("getUserInfo", {}, { token: old })).rule).toBe("token.signature");
});

test("made-up keys do not flood the authorization server", async () => {
  const token = await authServer.token(somebody());
  expect((await call("getUserInfo", {}, { token })).status).toBe(200);
  authServer.asked = [];
  for (let n = 0; n < 20; n++) {
    const made = await authServer.token(somebody(), { kid: `made up ${n}` });
    expect(refusal(await call("getUserInfo", {}, { token: made })).rule).toBe("token.signature");
  }
  expect(authServer.asked.filter((path) => path === "/keys").length).toBeLessThanOrEqual(2);
});

test.each(["session", "agent", "user", "token"])("what was revoked at the authorization server: %s", async (kind) => {
  const claims = somebody();
  const token = await authServer.token(claims);
  expect((await call("getUserInfo", {}, { token })).status).toBe(200);
  authServer.revoked.set(claims.sid, kind);
  const said = await call("getUserInfo", {}, { token });
  expect(refusal(said)).toMatchObject({ status: 401, rule: `standing.${kind}`, user: claims.sub });
  expect(said.headers.get("www-authenticate")).toContain('error="invalid_token"');
});

test.each([
  ["no connection", null],
  ["its answer makes no sense", () => new Response("<html>Welcome to the conference wifi</html>")],
  ["it does not know this shop", () => Response.json({}, { status: 401 })],
  ["its answer is about another token", () => Response.json({ active: true, sub: "user_other" })],
  ["its answer is too long", () => new Response("x".repeat(300_000))],
])("an authorization server that cannot be asked lets nobody in: %s", async (why, answer) => {
  const token = await authServer.token(somebody());
  expect((await call("getUserInfo", {}, { token })).status).toBe(200);
  if (answer === null) authServer.down = true;
  else authServer.answer = answer;
  const said = await call("getUserInfo", {}, { token });
  expect(refusal(said)).toMatchObject({ status: 503, rule: "standing.unknown" });
  expect(refusal(said).reason).toBe(fill(RULES["standing.unknown"].words.main.reason, { trouble: why }));
  expect([said.headers.get("retry-after"), said.headers.get("www-authenticate")]).toEqual(["2", null]);
});

test("who is not on the allowlist is refused, whatever they were granted", async () => {
  const claims = somebody();
  authServer.users.set(claims.sub, { username: "Mallory@Example.org", name: "Mallory Crane", roles: ["admin"] });
  const said = await call("listMcpShopInventory", {}, { token: await authServer.token(claims) });
  expect(refusal(said)).toMatchObject({ status: 403, rule: "allowlist.user", username: "Mallory@Example.org" });
  expect(said.headers.get("www-authenticate")).toBeNull();
});

test("a scope that was not granted is asked for by name", async () => {
  const token = await authServer.token({ ...somebody(), scope: "openid shop:read" });
  expect((await call("listMcpShopInventory", {}, { token })).status).toBe(200);
  const said = await buy({ token });
  expect(refusal(said)).toMatchObject({
    status: 403,
    rule: "scope.insufficient",
    reason: "This agent holds shop:read; buyMcpShopItem needs shop:buy.",
  });
  expect(said.headers.get("www-authenticate")).toBe(
    `Bearer realm="shop", error="insufficient_scope", error_description="${refusal(said).reason}", ` +
      `scope="shop:buy", resource_metadata="${METADATA}"`,
  );
  expect(said.body.error.data.limits.map((limit: { name: string }) => limit.name)).toEqual([
    "rate",
    "purchases",
    "spending",
  ]);
});

test("a banned agent may list the tools and ask nicely, and nothing else; others go on", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  const other = await authServer.token({ ...claims, act: { sub: "agent_other" } });
  expect((await call("setDemoMode", { mode: "banned" }, { token })).body.result.structuredContent.mode).toBe("banned");
  const refused = await call("listMcpShopInventory", {}, { token });
  expect(refusal(refused)).toMatchObject({ status: 403, rule: "standing.banned" });
  expect(refused.headers.get("www-authenticate")).toBeNull();
  expect((await call("listMcpShopInventory", {}, { token: other })).status).toBe(200);
  expect((await post("tools/list", {}, { token })).status).toBe(200);
  expect((await call("prettyPlease", {}, { token })).body.result.structuredContent.message).toContain("welcome back");
  expect((await call("listMcpShopInventory", {}, { token })).status).toBe(200);
});

test("every decision is on record with who, through whom, what and by which token", async () => {
  const claims = somebody();
  const token = await authServer.token({ ...claims, jti: "jti_on_record", scope: "shop:read audit:read" });
  const listed = await call("listMcpShopInventory", {}, { token });
  const refused = await buy({ token });
  const trail = (await audit(token)).filter((entry) => entry.user === claims.sub);
  expect(trail.map((entry) => [entry.verdict, entry.rule, entry.tool])).toEqual([
    ["allow", "allowed", "listMcpShopInventory"],
    ["deny", "scope.insufficient", "buyMcpShopItem"],
  ]);
  expect(trail.map((entry) => entry.audit_id)).toEqual(
    [listed, refused].map((said) => said.headers.get("demo-audit-id")),
  );
  expect(trail[1]).toMatchObject({
    username: "alice@example.com",
    agent: claims.act.sub,
    client: "demo-agent",
    session: claims.sid,
    consent: claims.consent_id,
    token_id: "jti_on_record",
    door: "protected",
  });
  expect(trail[1]?.arguments).toMatch(/^sha256:[0-9a-f]{16}$/);
  expect(JSON.stringify(trail)).not.toContain("Main St");
});

test("another method than POST passes the gates first, and is then told so", async () => {
  expect(refusal(await ask("/mcp")).rule).toBe("token.missing");
  const headers = { authorization: `Bearer ${await authServer.token(somebody())}` };
  for (const method of ["GET", "DELETE", "PUT"]) {
    const said = await ask("/mcp", { method, headers });
    expect([said.status, said.headers.get("allow"), said.body.error.code]).toEqual([405, "POST", -32600]);
    expect(said.headers.get("demo-audit-id")).toMatch(/^audit_/);
  }
});
