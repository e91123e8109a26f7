/** A user's ledger: SQLite in the user's own Durable Object. */

const SCHEMA = `
CREATE TABLE IF NOT EXISTS orders (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, at REAL NOT NULL, state TEXT NOT NULL,
  door TEXT NOT NULL, account TEXT NOT NULL, user TEXT, agent TEXT, client TEXT, consent TEXT,
  item TEXT NOT NULL, size TEXT NOT NULL, company TEXT NOT NULL, address TEXT NOT NULL,
  amount INTEGER NOT NULL, currency TEXT NOT NULL, audit_id TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS orders_account ON orders (account);
CREATE INDEX IF NOT EXISTS orders_pending ON orders (seq) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS keys (
  caller TEXT NOT NULL, key TEXT NOT NULL, arguments TEXT NOT NULL, order_id TEXT NOT NULL,
  PRIMARY KEY (caller, key));
CREATE INDEX IF NOT EXISTS keys_order ON keys (order_id);
CREATE TABLE IF NOT EXISTS approvals (id TEXT PRIMARY KEY, order_id TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS approvals_order ON approvals (order_id);
CREATE TABLE IF NOT EXISTS outbox (
  order_id TEXT PRIMARY KEY, session TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL, txn TEXT, why TEXT,
  at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (session, tries) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, audit_id TEXT NOT NULL UNIQUE, user TEXT, decision TEXT NOT NULL, link TEXT);
CREATE TABLE IF NOT EXISTS audit_log (
  one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, pruned INTEGER NOT NULL, pruned_link TEXT NOT NULL,
  written_before INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS audit_forgotten (
  verdict TEXT NOT NULL, rule TEXT NOT NULL, entries INTEGER NOT NULL, first_at REAL NOT NULL, last_at REAL NOT NULL,
  PRIMARY KEY (verdict, rule)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_checkpoints (size INTEGER PRIMARY KEY, jws TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS revocations (
  kind TEXT NOT NULL, id TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (kind, id));
CREATE TABLE IF NOT EXISTS banned (caller TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS rates (key TEXT PRIMARY KEY, times BLOB NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS proofs (id TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS proofs_until ON proofs (until);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
`;

/** The ledger could not be written or read: nothing may be done or answered on its strength. */
export class LedgerFailed extends Error {}

/** The tables, made where they are not there yet. */
export function prepare(sql: SqlStorage): void {
  // Counters of an earlier version, of seconds ago: nothing of them is worth being carried over.
  const rates = sql.exec("SELECT name FROM pragma_table_info('rates')").toArray();
  if (rates.some(({ name }) => name === "used")) sql.exec("DROP TABLE rates");
  sql.exec(SCHEMA);
  addColumn(sql, "orders", "decision");
  addColumn(sql, "orders", "sub_agents");
  addColumn(sql, "audit", "link");
  // An earlier version banned the user: that goes on for each agent that had called for them.
  if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'bans'").toArray().length === 0) return;
  sql.exec(`INSERT OR IGNORE INTO banned
    SELECT CASE WHEN agent IS NOT NULL THEN 'agent:' || agent ELSE 'client:' || a.user || ' ' || client END, b.at
    FROM bans b JOIN (SELECT user, json_extract(decision, '$.agent') AS agent, json_extract(decision, '$.client') AS client
      FROM audit) a ON a.user = b.user WHERE coalesce(agent, client) IS NOT NULL`);
  sql.exec("DROP TABLE bans");
}

function addColumn(sql: SqlStorage, table: "orders" | "audit", column: string): void {
  const there = sql.exec(`SELECT name FROM pragma_table_info('${table}')`).toArray();
  if (!there.some(({ name }) => name === column)) sql.exec(`ALTER TABLE ${table} ADD COLUMN ${column} TEXT`);
}

/** The first row that a statement gives, or null. */
export function first(
  sql: SqlStorage,
  statement: string,
  ...values: SqlStorageValue[]
): Record<string, SqlStorageValue> | null {
  return sql.exec(statement, ...values).toArray()[0] ?? null;
}
