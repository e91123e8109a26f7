/** Where the shop has no credentials to ask the authorization server with: the token's own claims count until it expires, and
 * what is revoked here counts at once. */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, test, vi } from "vitest";
import { ledgerName } from "../src/gatehouse/requests";
import {
  ask,
  audit,
  BASE,
  buy,
  call,
  ISSUER,
  openAuthServer,
  orderOf,
  refusal,
  somebody,
  unique,
  type AuthServer,
} from "./world";

let authServer: AuthServer;

beforeEach(async () => {
  authServer = await openAuthServer();
});

/** Somebody whose ledger has other variables and secrets than the rest. */
async function without(changes: Record<string, string | undefined> = {}) {
  const claims = somebody();
  const bare = { INTROSPECTION_CLIENT_ID: undefined, INTROSPECTION_CLIENT_SECRET: undefined, ...changes };
  await runInDurableObject(env.USERS.getByName(ledgerName(ISSUER, claims.sub)), (ledger) => {
    Object.assign(ledger, { env: { ...env, ...bare } });
  });
  return claims;
}

test("the authorization server is not asked, and the token's own name and roles count", async () => {
  const claims = await without();
  const token = await authServer.token({ ...claims, email: "alice@example.com", name: "Alice Ito", roles: ["member"] });
  const info = (await call("getUserInfo", {}, { token })).body.result.structuredContent;
  expect(info).toMatchObject({ username: "alice@example.com", name: "Alice Ito", roles: ["member"] });
  expect(authServer.asked).not.toContain("/introspect");
  expect(refusal(await call("getUserInfo", {}, { token: await authServer.token(claims) }))).toMatchObject({
    rule: "allowlist.user",
    reason: "A user without a name is not on this shop's allowlist.",
  });
});

test("a user without a name may be let in by id", async () => {
  const claims = await without();
  await runInDurableObject(env.USERS.getByName(ledgerName(ISSUER, claims.sub)), (ledger) => {
    const bare = { INTROSPECTION_CLIENT_ID: undefined, INTROSPECTION_CLIENT_SECRET: undefined };
    Object.assign(ledger, { env: { ...env, ...bare, ALLOWLIST: `grace@example.com, ${claims.sub.toUpperCase()}` } });
  });
  expect((await call("getUserInfo", {}, { token: await authServer.token(claims) })).status).toBe(200);
});

test("what is revoked here is refused at once, though the token lives", async () => {
  const claims = await without();
  const token = await authServer.token({ ...claims, email: "alice@example.com" });
  orderOf(await buy({ token }));
  const human = await authServer.token({
    ...claims,
    email: "alice@example.com",
    act: undefined,
    sid: `session_${unique()}`,
    client_id: "demo-console",
    aud: `${BASE}/admin`,
    scope: "sessions:manage",
  });
  const init = { method: "POST", headers: { authorization: `Bearer ${human}` } };
  await ask("/admin/revoke", { ...init, body: JSON.stringify({ kind: "user", id: claims.sub }) });
  expect(refusal(await buy({ token })).rule).toBe("standing.user");
  await ask("/admin/reinstate", { ...init, body: JSON.stringify({ kind: "user", id: claims.sub }) });
  orderOf(await buy({ token }));
});

test("an agent that the authorization server gives no name is its client", async () => {
  const claims = await without();
  const own = { ...claims, email: "alice@example.com", act: undefined };
  const token = await authServer.token(own);
  const human = {
    ...own,
    client_id: "demo-console",
    aud: `${BASE}/admin`,
    scope: "sessions:manage",
    sid: "session_console",
  };
  const headers = { authorization: `Bearer ${await authServer.token(human)}` };
  const body = JSON.stringify({ kind: "agent", id: "demo-agent" });
  expect((await ask("/admin/revoke", { method: "POST", headers, body })).status).toBe(200);
  expect(refusal(await buy({ token })).rule).toBe("standing.agent");
  expect((await ask("/admin/reinstate", { method: "POST", headers, body })).body.lifted).toBe(true);
});

test("without a consent of its own the session is what is counted by", async () => {
  const claims = await without();
  const own = { ...claims, email: "alice@example.com", consent_id: undefined };
  const token = await authServer.token(own);
  orderOf(await buy({ token }));
  orderOf(await buy({ token }));
  expect(refusal(await buy({ token })).rule).toBe("limits.quota");
  orderOf(await buy({ token: await authServer.token({ ...own, sid: `session_${unique()}` }) }));
  const bought = (await audit(token)).filter((entry) => entry.user === claims.sub && entry.order_id !== null);
  expect(bought).toHaveLength(3);
});

test("while the authorization server is gone kept keys verify what it signed, for five minutes and no longer", async () => {
  const claims = await without();
  const token = await authServer.token({ ...claims, email: "alice@example.com", exp: Date.now() / 1000 + 1000 });
  expect((await call("getUserInfo", {}, { token })).status).toBe(200);
  authServer.down = true;
  expect((await call("getUserInfo", {}, { token })).status).toBe(200);
  const real = performance.now.bind(performance);
  const began = Date.now() - real();
  vi.spyOn(Date, "now").mockImplementation(() => began + real() + 301_000);
  expect(refusal(await call("getUserInfo", {}, { token }))).toMatchObject({ status: 503, rule: "standing.unknown" });
  authServer.down = false;
  expect((await call("getUserInfo", {}, { token })).status).toBe(200);
  vi.mocked(Date.now).mockRestore();
});

test("an extra audience opens the protected door, no other, and only where it is set", async () => {
  const claims = { ...(await without({ EXTRA_AUDIENCES: "client_environment, another" })), email: "alice@example.com" };
  const by_device = { ...claims, aud: "client_environment" };
  expect((await call("getUserInfo", {}, { token: await authServer.token(by_device) })).status).toBe(200);
  expect(
    refusal(await call("getUserInfo", {}, { token: await authServer.token({ ...claims, aud: "third" }) })),
  ).toMatchObject({ rule: "token.audience" });
  const own = { ...by_device, act: undefined, client_id: "demo-console", scope: "sessions:manage" };
  const headers = { authorization: `Bearer ${await authServer.token(own)}` };
  const body = JSON.stringify({ kind: "user", id: claims.sub });
  expect(refusal(await ask("/admin/revoke", { method: "POST", headers, body })).rule).toBe("token.audience");
  const elsewhere = { ...(await without()), email: "alice@example.com", aud: "client_environment" };
  expect(refusal(await call("getUserInfo", {}, { token: await authServer.token(elsewhere) })).rule).toBe(
    "token.audience",
  );
});

test("an address that is said not to be verified lets nobody in", async () => {
  const claims = { ...(await without()), email: "alice@example.com" };
  const told = { ...claims, email_verified: false };
  expect(refusal(await call("getUserInfo", {}, { token: await authServer.token(told) })).rule).toBe("allowlist.user");
  expect(
    (await call("getUserInfo", {}, { token: await authServer.token({ ...claims, email_verified: true }) })).status,
  ).toBe(200);
});
