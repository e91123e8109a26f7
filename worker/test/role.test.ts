/** Where the authorization server's tokens have no scope of a shop, as AuthKit's: WorkOS says what the human's role permits. */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, test, vi } from "vitest";
import { fill, RULES } from "../src/catalog";
import { ROLE_SECONDS } from "../src/auth_server/directory";
import { fitOf } from "../src/auth_server/fitting";
import { ledgerName } from "../src/gatehouse/requests";
import { doorMetadata } from "../src/routes/about";
import { readSettings, SettingsWrong } from "../src/settings";
import {
  ask,
  BASE,
  buy,
  call,
  ISSUER,
  openAuthServer,
  orderOf,
  refusal,
  spending,
  unique,
  type AuthServer,
} from "./world";

const API = "https://api.workos.com";
const KEY = "sk_test_of_these_tests";
const CUSTOMER = ["shop:read", "shop:buy", "orders:read"];

/** WorkOS's API, as far as the shop asks it. */
class WorkOS {
  asked: string[] = [];
  /** By user id: the slug of the role, and the organization. */
  members = new Map<string, { role: string; organization: string; status?: string }>();
  /** By slug, of the environment. */
  roles = new Map<string, string[]>([["customer", CUSTOMER]]);
  /** By organization and slug. */
  custom = new Map<string, string[]>();
  answer: (() => Response) | null = null;
  verified = true;

  fetch(request: Request): Response {
    const { pathname, searchParams } = new URL(request.url);
    this.asked.push(pathname);
    if (this.answer !== null) return this.answer();
    if (request.headers.get("authorization") !== `Bearer ${KEY}`) return Response.json({}, { status: 401 });
    const [, room, what, id, , slug] = pathname.split("/");
    if (room === "authorization") {
      const found = what === "roles" ? this.roles.get(id!) : this.custom.get(`${id} ${slug}`);
      return found === undefined ? new Response(null, { status: 404 }) : Response.json({ permissions: found });
    }
    if (what === "organization_memberships") {
      const user = searchParams.get("user_id")!;
      const one = this.members.get(user);
      const wanted = searchParams.get("organization_id");
      if (one === undefined || (wanted !== null && wanted !== one.organization)) return Response.json({ data: [] });
      const role = { slug: one.role };
      const { organization, status = "active" } = one;
      return Response.json({
        data: [{ user_id: user, organization_id: organization, status, role, roles: [role] }],
      });
    }
    if (!this.members.has(id!)) return new Response(null, { status: 404 });
    const name = { first_name: "Alice", last_name: "Ito" };
    return Response.json({ id, email: "alice@example.com", email_verified: this.verified, ...name });
  }
}

let authServer: AuthServer;
let workos: WorkOS;

beforeEach(async () => {
  authServer = await openAuthServer();
  workos = new WorkOS();
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    return request.url.startsWith(API) ? workos.fetch(request) : authServer.fetch(request);
  });
});

const AUTHKIT = {
  INTROSPECTION_CLIENT_ID: undefined,
  INTROSPECTION_CLIENT_SECRET: undefined,
  WORKOS_API_KEY: KEY,
  SCOPES_FROM: "role",
};

/** A member of an organization, with a ledger of these settings, and a token as AuthKit documents it. */
async function member(role: string | null = "customer", changes: Record<string, string | undefined> = {}) {
  const tail = unique();
  const user = `user_${tail}`;
  const organization = `org_${tail}`;
  if (role !== null) workos.members.set(user, { role, organization });
  await runInDurableObject(env.USERS.getByName(ledgerName(ISSUER, user)), (ledger) => {
    Object.assign(ledger, { env: { ...env, ...AUTHKIT, ORGANIZATION: organization, ...changes } });
  });
  const claims = {
    sub: user,
    client_id: `client_${tail}`,
    act: undefined,
    sid: `app_consent_${tail}`,
    consent_id: undefined,
    org_id: organization,
    scope: "openid profile email offline_access",
    // Its own limit is the shop's, `DEFAULT_SPENDING_LIMIT`, which the edge reads of the whole Worker's settings.
    authorization_details: [spending(6000)],
  };
  return { user, organization, claims, token: await authServer.token(claims) };
}

test("a token with no scope of the shop buys what the human's role permits", async () => {
  const { user, token } = await member();
  const bought = await buy({ token });
  expect(orderOf(bought)).toMatchObject({ user, agent: null });
  const decision = bought.body.result._meta["demo/decision"];
  expect(decision).toMatchObject({ verdict: "allow", user, username: "alice@example.com" });
});

test("what the role does not permit is refused, and no consent is asked for that could not give it", async () => {
  const { token } = await member();
  const refused = await call("getUserInfo", {}, { token });
  expect(refusal(refused)).toMatchObject({
    rule: "scope.insufficient",
    reason: "The role customer does not permit user:read, which getUserInfo needs.",
    remedy: "Have an admin permit user:read, then call again.",
  });
  expect(refused.status).toBe(403);
  const challenge = refused.headers.get("www-authenticate");
  expect(challenge).toContain('error="insufficient_scope"');
  expect(challenge).not.toMatch(/\bscope=/);
});

test("without this setting a token is held to its own scopes, whatever the role permits", async () => {
  const { token } = await member("customer", { SCOPES_FROM: "token" });
  const refused = await buy({ token });
  expect(refusal(refused)).toMatchObject({ rule: "scope.insufficient" });
  expect(refused.headers.get("www-authenticate")).toContain('scope="shop:buy"');
});

test("a role of the organization's own counts, and one that is nowhere permits nothing", async () => {
  const [ours, nobodys] = [await member("vip"), await member("vip")];
  workos.custom.set(`${ours.organization} vip`, ["shop:read"]);
  expect((await call("listMcpShopInventory", {}, { token: ours.token })).status).toBe(200);
  expect(refusal(await buy({ token: ours.token }))).toMatchObject({ rule: "scope.insufficient" });
  expect(refusal(await call("listMcpShopInventory", {}, { token: nobodys.token }))).toMatchObject({
    rule: "scope.insufficient",
  });
});

test("who is a member of another organization, or no active one, may do nothing", async () => {
  const elsewhere = await member();
  workos.members.set(elsewhere.user, { role: "customer", organization: "org_another" });
  const pending = await member();
  workos.members.set(pending.user, { role: "customer", organization: pending.organization, status: "pending" });
  // Granted in an organization that is not the shop's, where she may be anything that she likes.
  const own = await member("admin");
  workos.roles.set("admin", [...CUSTOMER, "audit:read", "sessions:manage"]);
  own.token = await authServer.token({ ...own.claims, org_id: "org_of_her_own" });
  for (const { token } of [elsewhere, pending, own]) {
    expect(refusal(await call("listMcpShopInventory", {}, { token }))).toMatchObject({
      reason: "This user has no role here that permits anything; listMcpShopInventory needs shop:read.",
    });
  }
});

test("a token that names no organization goes by the role in the shop's", async () => {
  const { claims } = await member();
  expect((await buy({ token: await authServer.token({ ...claims, org_id: undefined }) })).status).toBe(200);
  const elsewhere = await member();
  workos.members.set(elsewhere.user, { role: "customer", organization: "org_another" });
  const token = await authServer.token({ ...elsewhere.claims, org_id: undefined });
  expect(refusal(await buy({ token }))).toMatchObject({ rule: "scope.insufficient" });
});

test("an address that nobody has shown to be theirs is on no allowlist", async () => {
  const { token } = await member();
  workos.verified = false;
  expect(refusal(await buy({ token }))).toMatchObject({ rule: "allowlist.user" });
});

test("whether WorkOS knows the shop's key is found out without anybody's token", async () => {
  const settings = told();
  expect(await fitOf(settings)).toMatchObject({ problem: null });
  const wrong = await fitOf({ ...settings, directory: { ...settings.directory!, key: "sk_another" } });
  expect(wrong).toMatchObject({ problem: "WorkOS does not know this shop" });
  expect(wrong!.fix).toContain("WORKOS_API_KEY");
});

test("a user whom WorkOS does not know has no standing", async () => {
  const { token } = await member(null);
  expect(refusal(await call("listMcpShopInventory", {}, { token }))).toMatchObject({ rule: "standing.user" });
});

test("a role is asked for once in a while, and what an admin changes holds after that", async () => {
  const { user, organization, token } = await member();
  expect((await call("listMcpShopInventory", {}, { token })).status).toBe(200);
  const asked = workos.asked.length;
  expect((await call("listMcpShopInventory", {}, { token })).status).toBe(200);
  expect(workos.asked.length).toBe(asked);
  workos.members.set(user, { role: "nothing", organization });
  const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + ROLE_SECONDS * 1000);
  try {
    expect(refusal(await call("listMcpShopInventory", {}, { token }))).toMatchObject({ rule: "scope.insufficient" });
  } finally {
    clock.mockRestore();
  }
});

test.each([
  [() => Response.json({}, { status: 401 }), "WorkOS does not know this shop", "fix its settings"],
  [() => Response.json({}, { status: 429 }), "WorkOS answers HTTP 429", "Try again in a moment"],
  [() => new Response("<html>"), "WorkOS answers HTTP 200", "Try again in a moment"],
])("a WorkOS in trouble is no leave to go on", async (answer, why, then) => {
  const { token } = await member();
  workos.answer = answer;
  const refused = await buy({ token });
  expect(refused.status).toBe(503);
  const decision = refusal(refused);
  expect(decision).toMatchObject({
    rule: "standing.unknown",
    reason: fill(RULES["standing.unknown"].words.main.reason, { trouble: why }),
  });
  expect(decision.remedy).toContain(then);
  workos.answer = null;
  expect((await buy({ token })).status, "and once it is over the same token is good").toBe(200);
});

test("an agent does not read its human's trail, nor take anything back: a console client does", async () => {
  workos.roles.set("admin", [...CUSTOMER, "audit:read", "sessions:manage"]);
  const { claims, token } = await member("admin", { CONSOLE_CLIENTS: "client_console" });
  const trail = await ask("/audit", { headers: { authorization: `Bearer ${token}` } });
  expect(refusal(trail)).toMatchObject({ rule: "allowlist.client" });
  const console = await authServer.token({ ...claims, client_id: "client_console" });
  expect((await ask("/audit", { headers: { authorization: `Bearer ${console}` } })).status).toBe(200);
  const own = await authServer.token({ ...claims, client_id: "client_console", aud: `${BASE}/admin` });
  const body = JSON.stringify({ kind: "session", id: claims.sid });
  const revoked = await ask("/admin/revoke", { method: "POST", headers: { authorization: `Bearer ${own}` }, body });
  expect(revoked.status).toBe(200);
  expect(refusal(await buy({ token }))).toMatchObject({ rule: "standing.session" });
  const agent = await authServer.token({ ...claims, aud: `${BASE}/admin`, sid: "another" });
  expect((await ask("/audit", { headers: { authorization: `Bearer ${agent}` } })).status, "by no audience").toBe(403);
  const all = { method: "POST", headers: { authorization: `Bearer ${own}` } };
  await ask("/admin/revoke", { ...all, body: JSON.stringify({ kind: "user", id: claims.sub }) });
  const console2 = await authServer.token({ ...claims, client_id: "client_console", sid: "another" });
  const read = await ask("/audit", { headers: { authorization: `Bearer ${console2}` } });
  expect(read.status, "what stops a human's agents does not stop the human").toBe(200);
});

const told = (changes: Record<string, string> = {}) =>
  readSettings({ ...env, WORKOS_API_KEY: KEY, SCOPES_FROM: "role", ORGANIZATION: "org_1", ...changes }, BASE);

test("the metadata names the scopes that such an authorization server can grant", () => {
  expect(doorMetadata(told()).body).toContain('"scopes_supported":["openid","profile","email","offline_access"]');
});

test.each([
  [{ SCOPES_FROM: "role", WORKOS_API_KEY: "" }, "WORKOS_API_KEY must be set"],
  [{ ORGANIZATION: "" }, "ORGANIZATION must name"],
  [{ SCOPES_FROM: "roles" }, "SCOPES_FROM must be token or role"],
  [{ WORKOS_API: "http://workos.example" }, "WORKOS_API must be an https URL"],
])("settings that cannot be meant are told by name: %o", (changes, why) => {
  expect(() => told(changes)).toThrow(SettingsWrong);
  expect(() => told(changes)).toThrow(why);
});
