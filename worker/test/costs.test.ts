/** What a call costs in the units that Durable Objects are billed by: rows read and written, as the runtime itself
 * counts them, and bytes kept. `costs.json` holds the figures that `docs/scale.md` was computed from: a change to a
 * ledger that changes the bill is seen here. */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, test, vi } from "vitest";
import type { Order } from "../src/evidence";
import { begin, place, hex } from "../src/ledger/orders";
import type { StockRoom } from "../src/ledger/stock";
import { newAuditId, record } from "../src/ledger/audit_log";
import { ledgerName } from "../src/gatehouse/requests";
import costs from "./costs.json";
import { audit, buy, call, ISSUER, openAuthServer, orderOf, post, somebody, type AuthServer, type Said } from "./world";

/** Rows that one object's SQL read and wrote. */
interface Rows {
  read: number;
  written: number;
}

type Stub = DurableObjectStub<undefined>;

/** How many rows are written to learn how many bytes one takes: a database grows by whole pages. */
const MANY = 10_000;

let authServer: AuthServer;
let token: string;
let ledger: Stub;
const stock = env.STOCK.getByName("shop") as unknown as Stub;

beforeEach(async () => {
  authServer = await openAuthServer();
  const one = somebody();
  token = await authServer.token(one);
  ledger = env.USERS.getByName(ledgerName(ISSUER, one.sub)) as unknown as Stub;
  // The first call makes the ledger and has it known to the shop; counted is what comes every time after that.
  await call("getUserInfo", {}, { token });
  await vi.waitFor(async () => expect(await known()).toBe(true));
  // That call has begun a window of the rate, which must not end in the middle of a count.
  await runInDurableObject(ledger, (_, { storage: { sql } }) => void sql.exec("UPDATE rates SET expires_at = 9e9"));
});

/** Whether the shop knows of this ledger: told after the answer was sent, and so perhaps in the middle of a count. */
const known = () =>
  runInDurableObject(ledger, (_, { storage: { sql } }) => sql.exec("SELECT 1 FROM facts").toArray().length === 1);

/** Orders that the ledger is about to tell the warehouse of; asked of its memory, since its SQL is counted. */
const waiting = () =>
  runInDurableObject(
    ledger,
    (object) => (object as unknown as { dispatch: { sending: Set<string> } }).dispatch.sending.size,
  );

/** Have an object's SQL counted, until the function that this gives is called. */
async function counting(stub: Stub): Promise<() => Promise<Rows>> {
  const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  await runInDurableObject(stub, (_, { storage: { sql } }) => {
    const exec = sql.exec.bind(sql);
    sql.exec = ((statement: string, ...values: SqlStorageValue[]) => {
      const cursor = exec(statement, ...values);
      cursors.push(cursor);
      return cursor;
    }) as typeof sql.exec;
  });
  return () =>
    runInDurableObject(stub, (_, { storage: { sql } }) => {
      delete (sql as Partial<SqlStorage>).exec;
      return {
        read: cursors.reduce((sum, cursor) => sum + cursor.rowsRead, 0),
        written: cursors.reduce((sum, cursor) => sum + cursor.rowsWritten, 0),
      };
    });
}

/** The rows of one piece of work, in the human's own ledger and in the stock room. */
async function rowsOf(work: () => Promise<Said>): Promise<{ ledger: Rows; stock: Rows }> {
  const [own, shared] = [await counting(ledger), await counting(stock)];
  expect((await work()).status).toBe(200);
  return { ledger: await own(), stock: await shared() };
}

/** Bytes that an object grows by with each time that `work` is done. */
function bytesOf(stub: Stub, work: (sql: SqlStorage, index: number) => void): Promise<number> {
  return runInDurableObject(stub, (_, { storage: { sql } }) => {
    const before = sql.databaseSize;
    for (let index = 0; index < MANY; index++) work(sql, index);
    return (sql.databaseSize - before) / MANY;
  });
}

/** Within three in a hundred: pages are whole, and random ids fill them as they come. */
function expectBytes(measured: number, told: number): void {
  expect(Math.abs(measured - told), `${measured} B, not ${told} B`).toBeLessThan(told * 0.03);
}

const WORK: Record<keyof typeof costs.rows, () => Promise<Said>> = {
  message: () => post("tools/list", {}, { token }),
  tool: () => call("getUserInfo", {}, { token }),
  inventory: () => call("listMcpShopInventory", {}, { token }),
  purchase: () => buy({ token }, { idempotencyKey: "one" }),
  told: async () => {
    Object.assign(env, { WAREHOUSE: `${ISSUER}/warehouse` });
    const made = { access_token: "a.b.c", issued_token_type: "urn:ietf:params:oauth:token-type:txn_token" };
    authServer.instead.set("/token", () => Response.json(made));
    authServer.instead.set("/warehouse", () => Response.json({ txn: "txn_one" }, { status: 201 }));
    try {
      const said = await buy({ token }, { idempotencyKey: "one" });
      await vi.waitFor(async () => expect(await waiting()).toBe(0), { timeout: 15_000 });
      return said;
    } finally {
      Object.assign(env, { WAREHOUSE: "" });
    }
  },
};

test.each(Object.keys(WORK) as (keyof typeof costs.rows)[])("%s: rows read and written", async (what) => {
  expect(await rowsOf(WORK[what])).toEqual(costs.rows[what]);
});

test("what the first call of a rate's window writes beside that", async () => {
  const within = await rowsOf(WORK.tool);
  await runInDurableObject(ledger, (_, { storage: { sql } }) => void sql.exec("UPDATE rates SET expires_at = 0"));
  const first = await rowsOf(WORK.tool);
  expect(first.ledger.written - within.ledger.written).toBe(costs.window.written);
});

test("bytes that an entry of the trail takes, whole", async () => {
  const entry = (await audit(token)).find(({ tool }) => tool === "getUserInfo");
  // Ids as long as WorkOS's, where the tests' own are short.
  const [user, session, consent] = ["user_", "session_", "consent_"].map((kind) => `${kind}01K0A1B2C3D4E5F6G7H8J9KMNP`);
  const ids = { user: user!, session: session!, consent: consent!, client: "client_01K0A1B2C3D4E5F6G7H8J9KMNP" };
  const bytes = await bytesOf(ledger, (sql) => {
    record(sql, { ...entry!, ...ids, token_id: hex(13), audit_id: newAuditId(sql, Date.now()) }, 1e6);
  });
  expectBytes(bytes, costs.bytes.entry);
});

test("bytes that an order takes, with its idempotency key", async () => {
  const [entry] = await audit(token);
  const order: Order = orderOf(await buy({ token }));
  const bytes = await bytesOf(ledger, (sql, index) => {
    const key = `key-of-a-purchase-${index}`;
    const { size, company, price, at, user, agent, consent } = order;
    const [wanted, whose] = [
      { size, company, price, at, key },
      { user, agent, consent, client: "demo-agent" },
    ];
    const account = {
      account: `consent:${consent}`,
      caller: `agent:${agent}`,
      quota: null,
      spendingLimits: [],
      subAgents: [],
    };
    const unasked = { toBeApproved: false, approval: null, told: null };
    const sent = {
      door: "protected" as const,
      address: "1 Main St, Springfield",
      arguments: "sha256:0123456789abcdef",
    };
    const { id } = begin(sql, { ...wanted, ...whose, ...account, ...unasked, ...sent }, entry!);
    place(sql, id, newAuditId(sql, Date.now()));
  });
  expectBytes(bytes, costs.bytes.order);
}, 180_000); // so many orders keep a loaded machine busy: nobody waits, and nothing hangs

test("bytes that the stock room keeps of each order and of each ledger, for good", async () => {
  const taken = await runInDurableObject(stock, (object, { storage: { sql } }) => {
    const room = object as unknown as StockRoom;
    sql.exec("UPDATE stock SET left = ?", MANY);
    const before = sql.databaseSize;
    for (let index = 0; index < MANY; index++) room.take(`order_${hex(6)}`);
    return (sql.databaseSize - before) / MANY;
  });
  expectBytes(taken, costs.bytes.taken);
  const ledgers = await runInDurableObject(stock, (object, { storage: { sql } }) => {
    const room = object as unknown as StockRoom;
    const before = sql.databaseSize;
    for (let index = 0; index < MANY; index++) {
      room.register(ledgerName("https://your-name.authkit.app", `user_01K0A1B2C3D4E5F6G7H8J${10_000 + index}`));
    }
    return (sql.databaseSize - before) / MANY;
  });
  expectBytes(ledgers, costs.bytes.ledger);
});

test("an object takes room before anything is in it", async () => {
  const stub = env.USERS.getByName("one that nobody has called yet") as unknown as Stub;
  expect(await runInDurableObject(stub, (_, { storage: { sql } }) => sql.databaseSize)).toBe(costs.bytes.empty);
});
