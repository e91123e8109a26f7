/** The audit log as a chain: its links, its checkpoints, and what becomes of either where the log is altered. */

import { env, runInDurableObject } from "cloudflare:test";
import { compactVerify, createLocalJWKSet, decodeJwt, type JSONWebKeySet } from "jose";
import { beforeEach, expect, test } from "vitest";
import { canonical, firstLink, link } from "../src/ledger/audit_chain";
import { prune, record } from "../src/ledger/audit_log";
import { ledgerName, NOBODY } from "../src/gatehouse/requests";
import type { Decision } from "../src/evidence";
import type { UserLedger } from "../src/user_ledger";
import { ask, audit, buy, call, openAuthServer, somebody, type AuthServer } from "./world";
import vectors from "./audit_chain.json";

let authServer: AuthServer;

beforeEach(async () => {
  authServer = await openAuthServer();
});

interface Log {
  log: string;
  user: string | null;
  size: number;
  pruned: number;
  pruned_link: string;
  checkpoint: string | null;
}
type Entries = { link: string; entry: Record<string, unknown> }[];

async function read<T>(path: string, token: string): Promise<T> {
  const answer = await ask(path, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  return answer.body as T;
}

async function ownLog(token: string, user: string): Promise<Log> {
  const { logs } = await read<{ logs: Log[] }>("/audit/checkpoint", token);
  return logs.find((log) => log.user === user)!;
}

async function entriesOf({ log }: Log, token: string): Promise<Entries> {
  return (await read<{ entries: Entries }>(`/audit/log?id=${log}&limit=1000`, token)).entries;
}

async function inLedger<T>(user: string, work: (sql: SqlStorage) => T): Promise<T> {
  return inObject(ledgerName(env.ISSUER!, user), work);
}

async function inObject<T>(name: string, work: (sql: SqlStorage) => T): Promise<T> {
  const stub = env.USERS.getByName(name);
  return runInDurableObject(stub as DurableObjectStub<UserLedger>, (_, { storage: { sql } }) => work(sql));
}

test("canonical JSON and links are those of the shared vectors", () => {
  let last = firstLink(vectors.log);
  expect(last).toBe(vectors.first_link);
  for (const one of vectors.entries) {
    expect(canonical(one.entry)).toBe(one.canonical);
    last = link(last, one.canonical);
    expect(last).toBe(one.link);
  }
});

test("each entry follows from the one before, an order's once with its order, and the end is signed", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  await call("getUserInfo", {}, { token });
  const bought = await buy({ token });
  await call("buyMcpShopItem", { company: "", mailingAddress: "", tshirtSize: "M" }, { token });
  const log = await ownLog(token, claims.sub);
  const entries = await entriesOf(log, token);
  let last = firstLink(log.log);
  for (const [index, one] of entries.entries()) {
    expect(one.entry["seq"]).toBe(index + 1);
    last = link(last, canonical(one.entry));
    expect(one.link).toBe(last);
  }
  expect(log.size).toBe(entries.length);
  const orders = entries.filter(({ entry }) => entry["order_id"] !== null);
  expect(orders.map(({ entry }) => entry["audit_id"])).toEqual([bought.headers.get("demo-audit-id")]);
  const keys = createLocalJWKSet((await ask("/audit/keys")).body as JSONWebKeySet);
  const { payload, protectedHeader } = await compactVerify(log.checkpoint!, keys);
  expect(protectedHeader.typ).toBe("audit-checkpoint+jwt");
  expect(JSON.parse(new TextDecoder().decode(payload))).toMatchObject({ log: log.log, size: log.size, link: last });
});

test("nobody reads another's log by its id", async () => {
  const [alice, bob] = [somebody(), somebody()];
  const [mine, other] = [await authServer.token(alice), await authServer.token(bob)];
  await call("getUserInfo", {}, { token: mine });
  const { log } = await ownLog(mine, alice.sub);
  expect((await ask(`/audit/log?id=${log}`, { headers: { authorization: `Bearer ${other}` } })).status).toBe(404);
});

test.each([
  "UPDATE audit SET decision = replace(decision, 'allow', 'deny') WHERE seq = 2",
  "DELETE FROM audit WHERE seq = 2",
  "UPDATE audit SET link = printf('%064d', 0) WHERE seq = 1",
  "DELETE FROM audit",
])("what was altered gets no other checkpoint: %s", async (altered) => {
  const claims = somebody();
  const token = await authServer.token(claims);
  await call("getUserInfo", {}, { token });
  const before = await ownLog(token, claims.sub);
  await call("getUserInfo", {}, { token });
  await call("getUserInfo", {}, { token });
  await inLedger(claims.sub, (sql) => sql.exec(altered));
  await call("getUserInfo", {}, { token });
  const after = await ownLog(token, claims.sub);
  expect(after.checkpoint).toBe(before.checkpoint);
  expect(decodeJwt(after.checkpoint!)["size"]).toBe(1);
});

test("the oldest go behind a kept link, but for what led to an order", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  await call("getUserInfo", {}, { token });
  await buy({ token });
  await call("getUserInfo", {}, { token });
  const whole = await entriesOf(await ownLog(token, claims.sub), token);
  await inLedger(claims.sub, (sql) => {
    prune(sql, 1);
    record(sql, whole[2]!.entry as unknown as Decision, 2, 1);
  });
  const log = await ownLog(token, claims.sub);
  expect([log.pruned, log.pruned_link, log.size]).toEqual([2, whole[1]!.link, 4]);
  expect((await entriesOf(log, token)).map(({ entry }) => entry["seq"])).toEqual([2, 3, 4]);
  expect(decodeJwt(log.checkpoint!)["size"]).toBe(4);
  expect((await audit(token)).filter(({ user }) => user === claims.sub)).toHaveLength(3);
});

test("an agent's hundred thousand calls take no order with them, and nobody's crowd out nobody", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  const bought = (await buy({ token })).headers.get("demo-audit-id");
  await call("getUserInfo", {}, { token });
  const own = (await entriesOf(await ownLog(token, claims.sub), token)).at(-1)!.entry as unknown as Decision;
  const flood = (one: Decision, times: number) => (sql: SqlStorage) => {
    for (let n = 0; n < times; n++) record(sql, one, 200);
  };
  await inLedger(claims.sub, flood(own, 3000));
  const entries = await entriesOf(await ownLog(token, claims.sub), token);
  expect(entries[0]!.entry["audit_id"]).toBe(bought);
  expect(entries.length).toBeLessThan(320);
  await inObject(NOBODY, flood({ ...own, user: null, agent: null, door: "open", rule: "open.anonymous" }, 1500));
  const said = await ask("/audit?limit=100", { headers: { authorization: `Bearer ${token}` } });
  const page = said.body.entries as Decision[];
  expect(page.filter(({ user }) => user === claims.sub)).toHaveLength(50);
  expect(page.filter(({ user }) => user === null)).toHaveLength(50);
  const { forgotten } = said.body as { forgotten: { user: string | null; rule: string; entries: number }[] };
  const kept = entries.length - 1;
  expect(forgotten.find(({ user }) => user === claims.sub)).toMatchObject({ rule: "allowed", entries: 3001 - kept });
  expect(forgotten.find(({ user, rule }) => user === null && rule === "open.anonymous")!.entries).toBeGreaterThan(1000);
  const log = await ownLog(token, claims.sub);
  expect(log.size).toBe(3002);
  expect(decodeJwt(log.checkpoint!)["size"]).toBe(3002);
  // It bites: by the rule as it was, the newest entries alone, the order is gone.
  await inLedger(claims.sub, (sql) => sql.exec("DELETE FROM audit WHERE seq <= (SELECT max(seq) FROM audit) - 200"));
  const washed = await entriesOf(await ownLog(token, claims.sub), token);
  expect(washed.some(({ entry }) => entry["audit_id"] === bought)).toBe(false);
});

test("what is older than a year and more goes", async () => {
  const claims = somebody();
  const token = await authServer.token(claims);
  await call("getUserInfo", {}, { token });
  const entry = (await entriesOf(await ownLog(token, claims.sub), token))[0]!.entry as unknown as Decision;
  await inLedger(claims.sub, (sql) => {
    for (let n = 0; n < 150; n++) record(sql, { ...entry, at: 1000 + n });
    for (let n = 0; n < 100; n++) record(sql, entry);
  });
  const left = await entriesOf(await ownLog(token, claims.sub), token);
  expect(left.every((one) => Number(one.entry["at"]) > 2000)).toBe(true);
});

test.each([
  [{ traceparent: `00-${"4bf92f3577b34da6a3ce929d0e0e4736"}-00f067aa0ba902b7-01` }, "4bf92f3577b34da6a3ce929d0e0e4736"],
  [{ "x-request-id": "req-17" }, "req-17"],
  [{ traceparent: `00-${"0".repeat(32)}-00f067aa0ba902b7-01` }, null],
  [{ "x-request-id": "<script>" }, null],
  [{}, null],
])("an entry has the id by which the client knows the request: %j", async (headers, expected) => {
  const token = await authServer.token(somebody());
  const said = await call("getUserInfo", {}, { token, headers: headers as Record<string, string> });
  const entry = (await audit(token)).find((one) => one.audit_id === said.headers.get("demo-audit-id"));
  if (expected === null) expect(entry?.correlation).toMatch(/^[0-9a-f]{32}$/);
  else expect(entry?.correlation).toBe(expected);
  expect(entry?.trace_id).toBe("traceparent" in headers ? expected : null);
});
