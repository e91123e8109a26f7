/** The authorization server rotates its keys, vanishes, answers nonsense, or has another clock: what the shop says of it, what it
 * goes on with, and that it lets the same token in once the trouble is over. */

import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { fill, RULES } from "../src/catalog";
import type { Env } from "../src/env";
import worker from "../src/worker";
import { ask, audit, buy, call, ISSUER, openAuthServer, orderOf, refusal, somebody, type AuthServer } from "./world";

const METADATA = "/.well-known/oauth-authorization-server";
const OIDC = "/.well-known/openid-configuration";
const KEPT_SECONDS = 300;

let authServer: AuthServer;
let later = 0;

/** So many seconds pass, for the shop and its authorization server alike. */
function pass(seconds: number): void {
  later += seconds;
}

beforeEach(async () => {
  authServer = await openAuthServer();
  const real = performance.now.bind(performance);
  const began = Date.now() - real();
  vi.spyOn(Date, "now").mockImplementation(() => began + real() + later * 1000);
  pass(KEPT_SECONDS + 1); // What earlier tests had the shop read is old.
});

describe("keys", () => {
  test("while the old key is published its tokens pass beside the new one's", async () => {
    const claims = somebody();
    const old = await authServer.token(claims);
    expect((await call("getUserInfo", {}, { token: old })).status).toBe(200);
    await authServer.rotate(true);
    for (const token of [await authServer.token(claims), old]) {
      expect((await call("getUserInfo", {}, { token })).status).toBe(200);
    }
  });

  test("of calls that come at once after the rotation each finds the new key, and one of them looks", async () => {
    expect((await call("getUserInfo", {}, { token: await authServer.token(somebody()) })).status).toBe(200);
    await authServer.rotate();
    authServer.asked = [];
    const tokens = await Promise.all(Array.from({ length: 6 }, () => authServer.token(somebody())));
    const said = await Promise.all(tokens.map((token) => call("getUserInfo", {}, { token })));
    expect(said.map((one) => one.status)).toEqual(Array(6).fill(200));
    expect(authServer.asked.filter((path) => path === "/keys")).toHaveLength(1);
  });

  test("a new key that cannot be read is not known, which is not to say no", async () => {
    const claims = somebody();
    expect((await call("getUserInfo", {}, { token: await authServer.token(claims) })).status).toBe(200);
    await authServer.rotate(true);
    const token = await authServer.token(claims);
    authServer.instead.set("/keys", () => new Response("a moment", { status: 500 }));
    for (const _ of ["at first", "and within the second in which nobody looks again"]) {
      const said = await call("getUserInfo", {}, { token });
      expect(refusal(said)).toMatchObject({ status: 503, rule: "standing.unknown" });
    }
    authServer.instead.clear();
    pass(2);
    expect((await call("getUserInfo", {}, { token })).status).toBe(200);
  });

  test("made-up keys have the keys read once a second at most, and never the metadata", async () => {
    expect((await call("getUserInfo", {}, { token: await authServer.token(somebody()) })).status).toBe(200);
    authServer.asked = [];
    for (let second = 0; second < 3; second++) {
      pass(1);
      for (let n = 0; n < 10; n++) {
        const made = await authServer.token(somebody(), { kid: `made up ${second} ${n}` });
        expect(refusal(await call("getUserInfo", {}, { token: made })).rule).toBe("token.signature");
      }
    }
    expect(authServer.asked).toEqual(["/keys", "/keys", "/keys"]);
  });

  test(`a key that was withdrawn is read out of the set within ${KEPT_SECONDS} s`, async () => {
    const claims = somebody();
    const old = await authServer.token(claims, {});
    expect((await call("getUserInfo", {}, { token: old })).status).toBe(200);
    await authServer.rotate();
    pass(KEPT_SECONDS + 1);
    expect(refusal(await call("getUserInfo", {}, { token: old })).rule).toBe("token.signature");
  });
});

describe("an authorization server in trouble", () => {
  const html = () => new Response("<html>Welcome to the conference wifi</html>");
  const { main, lasting } = RULES["standing.unknown"].words;
  const [AGAIN, FIX] = [main.remedy, lasting.remedy];
  const metadata = (changes: object) => () =>
    Response.json({
      issuer: ISSUER,
      jwks_uri: `${ISSUER}/keys`,
      introspection_endpoint: `${ISSUER}/introspect`,
      ...changes,
    });

  const cases: [string, string, () => Response | Promise<Response>, string][] = [
    ["no connection", METADATA, () => Promise.reject(new TypeError("refused")), AGAIN],
    ["its metadata cannot be read", METADATA, html, AGAIN],
    ["its metadata cannot be read", METADATA, () => new Response("{", { status: 500 }), AGAIN],
    ["its metadata cannot be read", METADATA, () => Response.json([1, 2]), AGAIN],
    ["it has no metadata", METADATA, () => new Response(null, { status: 404 }), FIX],
    ["it has no metadata", METADATA, () => Response.redirect("https://elsewhere.test/"), FIX],
    ["its answer is too long", METADATA, () => new Response(`{"issuer": "${"x".repeat(300_000)}"}`), AGAIN],
    ["its metadata names another issuer", METADATA, metadata({ issuer: `${ISSUER}/` }), FIX],
    ["it publishes no jwks_uri", METADATA, metadata({ jwks_uri: undefined }), FIX],
    ["its jwks_uri is unsafe", METADATA, metadata({ jwks_uri: "http://auth.test/keys" }), FIX],
    ["its introspection_endpoint is unsafe", METADATA, metadata({ introspection_endpoint: 7 }), FIX],
    ["it publishes no introspection_endpoint", METADATA, metadata({ introspection_endpoint: undefined }), FIX],
    ["its keys cannot be read", "/keys", html, AGAIN],
    ["its keys cannot be read", "/keys", () => Response.json({ keys: "none" }), AGAIN],
    ["its answer is too long", "/keys", () => new Response("x".repeat(300_000)), AGAIN],
    ["no connection", "/introspect", () => Promise.reject(new TypeError("refused")), AGAIN],
    ["its answer makes no sense", "/introspect", html, AGAIN],
    ["its answer makes no sense", "/introspect", () => Response.json({ active: "yes" }), AGAIN],
    ["it does not know this shop", "/introspect", () => Response.json({}, { status: 401 }), FIX],
  ];

  test.each(cases)("is told by name: %s (%s), and on record", async (why, path, answer, remedy) => {
    const claims = somebody();
    const token = await authServer.token({ ...claims, exp: Date.now() / 1000 + 2000 });
    pass(KEPT_SECONDS + 1);
    authServer.instead.set(path, answer);
    if (path === METADATA) authServer.instead.set(OIDC, answer);
    const said = await buy({ token });
    const reason = fill(main.reason, { trouble: why });
    expect(refusal(said)).toMatchObject({ status: 503, rule: "standing.unknown", reason, remedy });
    expect(said.headers.get("retry-after")).toBe("2");
    authServer.instead.clear();
    // The very same token, at once; and what was refused is in the audit log.
    expect(orderOf(await buy({ token })).replayed).toBe(false);
    expect((await audit(token)).map((entry) => entry.audit_id)).toContain(said.headers.get("demo-audit-id"));
  });
});

describe("another clock", () => {
  test.each([30, 300, -30])(
    "an authorization server whose clock is %i s off is no trouble while its tokens are young",
    async (off) => {
      authServer.ahead = off;
      expect((await call("getUserInfo", {}, { token: await authServer.token(somebody()) })).status).toBe(200);
    },
  );

  test("behind by as much as a token lives: expired on arrival, and the words say which clock", async () => {
    authServer.ahead = -302;
    const said = await call("getUserInfo", {}, { token: await authServer.token(somebody()) });
    expect(refusal(said)).toMatchObject({ status: 401, rule: "token.expired" });
    const { reason, remedy } = RULES["token.expired"].words.behind;
    const seconds = refusal(said).reason.match(/\d+/g) ?? [];
    expect(refusal(said)).toMatchObject({ reason: fill(reason, { seconds: seconds[0]!, skew: seconds[1]! }), remedy });
    expect(Math.abs(Number(seconds[1]) - 302)).toBeLessThanOrEqual(1);
  });

  test("a token that is old by both clocks has expired and nothing else", async () => {
    authServer.ahead = -30;
    const token = await authServer.token(somebody());
    expect((await call("getUserInfo", {}, { token })).status).toBe(200);
    pass(310);
    expect(refusal(await call("getUserInfo", {}, { token })).reason).toMatch(/^The token expired \d+ s ago\.$/);
  });

  test("ahead: what has expired there and not here says so", async () => {
    authServer.ahead = 300;
    const token = await authServer.token(somebody());
    expect((await call("getUserInfo", {}, { token })).status).toBe(200);
    pass(301);
    const said = await call("getUserInfo", {}, { token });
    expect(refusal(said)).toMatchObject({ status: 401, rule: "token.expired" });
    expect(refusal(said).remedy).toBe(RULES["token.expired"].words.ahead.remedy);
    expect(refusal(said).reason).toMatch(/\d+ s ahead\.$/);
  });

  test("an answer out of a cache has an old date, and tells its age", async () => {
    authServer.instead.set("/introspect", () => {
      const headers = { date: new Date(Date.now() - 290_000).toUTCString(), age: "290" };
      return Response.json({ active: false }, { headers });
    });
    const token = await authServer.token(somebody());
    expect(refusal(await call("getUserInfo", {}, { token })).rule).toBe("standing.token");
    pass(302);
    expect(refusal(await call("getUserInfo", {}, { token })).reason).toMatch(/^The token expired \d+ s ago\.$/);
  });
});

describe("whether shop and authorization server fit, at /health", () => {
  async function fit(changes: { [name in keyof Env]?: string | undefined } = {}): Promise<any> {
    pass(6); // A finding is kept for five seconds.
    const response = await worker.fetch(
      new Request("https://shop.test/health") as never,
      { ...env, ...changes } as Env,
    );
    return ((await response.json()) as { authorization_server: unknown }).authorization_server;
  }

  test("they do", async () => {
    expect(await fit()).toEqual({ issuer: ISSUER, introspection: true, problem: null, fix: null });
    const none = { INTROSPECTION_CLIENT_ID: undefined, INTROSPECTION_CLIENT_SECRET: undefined };
    expect(await fit(none)).toEqual({ issuer: ISSUER, introspection: false, problem: null, fix: null });
  });

  test.each<[{ [name in keyof Env]?: string }, string, string]>([
    [{ ISSUER: "" }, "ISSUER is not set", "set ISSUER to the issuer"],
    [{ ISSUER: `${ISSUER}/` }, "names another issuer", `set ISSUER to the very issuer: ${ISSUER}`],
    [{ ISSUER: "https://auth.test/elsewhere" }, "it has no metadata", "set ISSUER to an issuer that"],
    [{ INTROSPECTION_CLIENT_SECRET: "wrong" }, "does not know this shop", "npx wrangler secret put"],
    [{ INTROSPECTION_CLIENT_ID: "other" }, "does not know this shop", "INTROSPECTION_CLIENT_ID"],
  ])("%j is named with its fix", async (changes, problem, fix) => {
    const found = await fit(changes);
    expect(found.problem).toContain(problem);
    expect(found.fix).toContain(fix);
    expect(JSON.stringify(found)).not.toContain("wrong");
  });

  test("an authorization server that is down is found down, and found again", async () => {
    authServer.down = true;
    expect(await fit()).toMatchObject({ problem: "no connection", fix: expect.stringContaining("ISSUER") });
    authServer.down = false;
    expect(await fit()).toMatchObject({ problem: null });
  });

  test("who asks often does not flood the authorization server", async () => {
    await fit();
    authServer.asked = [];
    for (let n = 0; n < 20; n++) await ask("/health");
    expect(authServer.asked).toEqual([]);
  });
});

test("an authorization server that takes the shop's credentials in the body only is asked so, and found out once", async () => {
  const asked: string[] = [];
  const truth = authServer.fetch.bind(authServer);
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    if (!request.url.endsWith("/introspect")) return truth(request);
    const form = new URLSearchParams(await request.text());
    const inBody = form.get("client_id") === "shop" && form.get("client_secret") === "a secret: of the/shop";
    asked.push(inBody ? "body" : "header");
    if (!inBody) return Response.json({}, { status: 401 });
    const headers = { authorization: `Basic ${btoa("shop:a%20secret%3A%20of%20the%2Fshop")}` };
    return truth(new Request(request.url, { method: "POST", headers, body: form }));
  });
  for (const _ of [1, 2]) {
    const token = await authServer.token(somebody());
    expect((await call("listMcpShopInventory", {}, { token })).status).toBe(200);
  }
  expect(asked).toEqual(["header", "body", "body"]);
});

test("the trace of a call goes on at the authorization server", async () => {
  const asked: (string | null)[] = [];
  const truth = authServer.fetch.bind(authServer);
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    if (request.url.endsWith("/introspect")) asked.push(request.headers.get("traceparent"));
    return truth(request);
  });
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  for (const headers of [{ traceparent }, { traceparent: "made up" }, {}]) {
    const token = await authServer.token(somebody());
    expect((await call("listMcpShopInventory", {}, { token, headers: headers as Record<string, string> })).status).toBe(
      200,
    );
  }
  // The first question may be asked in both ways in which credentials can be sent.
  expect([...new Set(asked)]).toEqual([traceparent, null]);
});
