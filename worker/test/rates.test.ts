/** The window of a rate slides: no stretch of its length holds more calls than the limit. */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { hit, use } from "../src/ledger/rates";
import { prepare } from "../src/ledger/schema";

const RATE = { calls: 10, seconds: 10 };

const inLedger = <T>(name: string, work: (sql: SqlStorage) => T): Promise<T> =>
  runInDurableObject(env.USERS.getByName(`rates ${name}`), (_, { storage: { sql } }) => work(sql));

test("ten calls at the end of what would be one window leave none for the beginning of the next", async () => {
  await inLedger("edge", (sql) => {
    expect(hit(sql, "agent", RATE, 1000)).toBe(true);
    for (let n = 0; n < 9; n++) expect(hit(sql, "agent", RATE, 1009)).toBe(true);
    const tries = Array.from({ length: 10 }, () => hit(sql, "agent", RATE, 1010.5));
    expect(tries.filter(Boolean), "the first alone counts no more").toHaveLength(1);
    expect(use(sql, "agent", RATE, 1010.5)).toMatchObject({ used: 10, limit: 10, resets_at: 1019 });
    expect(hit(sql, "another", RATE, 1010.5)).toBe(true);
  });
});

test("a call that was refused does not count, and the window ends when the oldest call does", async () => {
  await inLedger("refused", (sql) => {
    for (let n = 0; n < 10; n++) hit(sql, "agent", RATE, 1000);
    for (let at = 1000; at < 1010; at++) expect(hit(sql, "agent", RATE, at)).toBe(false);
    expect(hit(sql, "agent", RATE, 1010)).toBe(true);
    expect(use(sql, "agent", RATE, 1010)).toMatchObject({ used: 1, resets_at: 1020 });
    expect(use(sql, "agent", RATE, 1020)).toMatchObject({ used: 0, resets_at: null });
  });
});

test("what is over is not kept, and a limit that was lowered holds at once", async () => {
  await inLedger("kept", (sql) => {
    for (let n = 0; n < 5; n++) hit(sql, `agent ${n}`, RATE, 1000);
    for (let n = 0; n < 8; n++) hit(sql, "agent", RATE, 1011);
    expect(sql.exec("SELECT key FROM rates").toArray()).toEqual([{ key: "agent" }]);
    expect(hit(sql, "agent", { calls: 3, seconds: 10 }, 1012)).toBe(false);
    expect(use(sql, "agent", { calls: 3, seconds: 10 }, 1012)).toMatchObject({ used: 3, limit: 3 });
  });
});

test("the counters of an earlier version are thrown away, and nothing else", async () => {
  await inLedger("earlier", (sql) => {
    sql.exec("DROP TABLE rates");
    sql.exec("CREATE TABLE rates (key TEXT PRIMARY KEY, used INTEGER NOT NULL, expires_at REAL NOT NULL)");
    sql.exec("INSERT INTO rates VALUES ('agent', 10, 9e9)");
    sql.exec("INSERT INTO facts VALUES ('known', '1')");
    prepare(sql);
    prepare(sql);
    expect(hit(sql, "agent", RATE, 1000)).toBe(true);
    expect(sql.exec("SELECT name FROM facts").toArray()).toEqual([{ name: "known" }]);
  });
});
