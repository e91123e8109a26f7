/** The trail read as one, whose entries lie in many objects. */

import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { merged } from "../src/ledger/audit_log";
import { ask, audit, call, openAuthServer, refusal, somebody, unique, type AuthServer } from "./world";

let authServer: AuthServer;

beforeEach(async () => {
  authServer = await openAuthServer();
});

function grace(sub: string): void {
  authServer.users.set(sub, { username: "grace@example.com", name: "Grace Okoro", roles: ["admin"] });
}

test("a user reads their own and the unattributed, an admin all", async () => {
  const [alice, bob, admin] = [somebody(), somebody(), somebody()];
  grace(admin.sub);
  const [mine, other, all] = await Promise.all([alice, bob, admin].map((claims) => authServer.token(claims)));
  await call("getUserInfo", {}, { token: mine! });
  await call("getUserInfo", {}, { token: other! });
  const anonymous = (await call("getUserInfo", {}, { path: "/open/mcp" })).headers.get("demo-audit-id");
  const refused = (await call("getUserInfo")).headers.get("demo-audit-id");
  const seen = await audit(mine!);
  expect(new Set(seen.map((entry) => entry.user))).toEqual(new Set([alice.sub, null]));
  expect(seen.map((entry) => entry.audit_id)).toEqual(expect.arrayContaining([anonymous, refused]));
  const everything = await audit(all!, "?limit=1000");
  const users = everything.map((entry) => entry.user);
  expect(users).toEqual(expect.arrayContaining([alice.sub, bob.sub, null]));
  const ids = everything.map((entry) => entry.audit_id);
  expect(ids).toEqual([...ids].sort());
  expect(new Set(ids).size).toBe(ids.length);
});

test("it is followed from entry to entry, and nothing is missed or told twice", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  const made: (string | null)[] = [];
  for (let n = 0; n < 6; n++) {
    const said = n % 2 ? await call("getUserInfo") : await call("getUserInfo", {}, { token });
    made.push(said.headers.get("demo-audit-id"));
  }
  const read: string[] = [];
  for (let after = made[0]; after !== null;) {
    const page = await audit(token, `?after=${after}&limit=2`);
    read.push(...page.map((entry) => entry.audit_id));
    after = page.at(-1)?.audit_id ?? null;
  }
  expect(read).toEqual(made.slice(1));
  expect((await audit(token, "?limit=3")).map((entry) => entry.audit_id)).toEqual(made.slice(-3));
});

test.each(["?limit=0", "?limit=1001", "?limit=x", "?after=audit_none"])(
  "what cannot be asked for: %s",
  async (query) => {
    const headers = { authorization: `Bearer ${await authServer.token(somebody())}` };
    expect((await ask(`/audit${query}`, { headers })).status).toBe(400);
  },
);

test("it needs its own scope, and a refused reading is on record", async () => {
  const claims = somebody();
  const headers = { authorization: `Bearer ${await authServer.token({ ...claims, scope: "shop:read" })}` };
  const said = await ask("/audit", { headers });
  expect(refusal(said)).toMatchObject({ status: 403, rule: "scope.insufficient" });
  expect(said.headers.get("www-authenticate")).toContain('scope="audit:read"');
  const trail = (await audit(await authServer.token(claims))).filter((entry) => entry.user === claims.sub);
  expect(trail.map((entry) => entry.audit_id)).toEqual([said.headers.get("demo-audit-id")]);
});

test("a ban does not hide the trail from whom it is about, nor an allowed reading feed it", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  await call("setDemoMode", { mode: "banned" }, { token });
  expect((await audit(token)).filter((entry) => entry.user === claims.sub)).toHaveLength(1);
  expect((await audit(token)).filter((entry) => entry.user === claims.sub)).toHaveLength(1);
});

test("entries of one object keep their order though the clock stands still", async () => {
  const token = await authServer.token({ ...somebody(), act: { sub: `agent_${unique()}` } });
  const said = await Promise.all(Array.from({ length: 10 }, () => call("getUserInfo", {}, { token })));
  const ids = said.map((one) => one.headers.get("demo-audit-id"));
  const trail = (await audit(token)).map((entry) => entry.audit_id);
  expect([...ids].sort()).toEqual(trail.filter((id) => ids.includes(id)));
});

test("several trails are cut as one would be", () => {
  const entry = (id: string) => ({ audit_id: id }) as never;
  const trails = [
    [entry("a"), entry("d")],
    [entry("b"), entry("c")],
  ];
  const query = { after: null, limit: 3 };
  const ids = (all: { audit_id: string }[]) => all.map((one) => one.audit_id).join("");
  expect([ids(merged(trails, query)), ids(merged(trails, { ...query, after: "0" }))]).toEqual(["bcd", "abc"]);
});

test("an admin is told how many ledgers were too many to read", async () => {
  const admin = somebody();
  grace(admin.sub);
  const stock = env.STOCK.getByName("shop");
  for (let n = 0; n < 45; n++) await stock.register(`user nobody ${unique()}`);
  const headers = { authorization: `Bearer ${await authServer.token(admin)}` };
  expect((await ask("/audit", { headers })).body.ledgers_not_read).toBeGreaterThanOrEqual(5);
});
