/** How many shirts are left. The protected door has one object that all of it shares, which also knows whose ledgers
 * there are. The open door counts in the ledger of the anonymous callers, so that what is taken there is missing
 * nowhere else. */

import { DurableObject } from "cloudflare:workers";
import { calculateJwkThumbprint, CompactSign, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import { ITEM } from "../catalog";
import { hex } from "./orders";
import { first } from "./schema";
import { readSettings, type Variables } from "../settings";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS stock (one INTEGER PRIMARY KEY CHECK (one = 1), left INTEGER NOT NULL CHECK (left >= 0));
CREATE TABLE IF NOT EXISTS listing (one INTEGER PRIMARY KEY CHECK (one = 1), description TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS taken (order_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS ledgers (seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS world (id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS signing_key (one INTEGER PRIMARY KEY CHECK (one = 1), jwk TEXT NOT NULL);
`;

/** The name of the only instance. */
export const SHOP = "shop";

/** What a door's listing tells of its shirts. */
export interface Shelf {
  stock: number;
  description: string;
}

/** The binding by which this object is reached; `SHOP` is its name. */
export interface StockBinding {
  STOCK: DurableObjectNamespace<StockRoom>;
}

/** Every purchase of the shop passes here once, for as long as one SQLite transaction takes. */
export class StockRoom extends DurableObject<Variables> {
  private readonly sql: SqlStorage;

  constructor(state: DurableObjectState, env: Variables) {
    super(state, env);
    this.sql = state.storage.sql;
    this.sql.exec(SCHEMA);
    const { stockAtFirst } = readSettings(env, "");
    this.sql.exec("INSERT OR IGNORE INTO stock (one, left) VALUES (1, ?)", stockAtFirst);
    if (first(this.sql, "SELECT 1 FROM world") === null) this.sql.exec("INSERT INTO world VALUES (?)", hex(8));
  }

  /** How many are left. */
  left(): number {
    return Number(first(this.sql, "SELECT left FROM stock")?.["left"]);
  }

  /** How many are left, and what the listing says. */
  shelf(): Shelf {
    const kept = first(this.sql, "SELECT description FROM listing");
    return { stock: this.left(), description: kept === null ? ITEM.description : String(kept["description"]) };
  }

  /** Set how many there are, whatever was left, and the text of the listing; what is undefined stays, and an empty text
   * is the shop's own again. */
  setShelf({ stock, description }: Partial<Shelf>): Shelf {
    return this.ctx.storage.transactionSync(() => {
      if (stock !== undefined) this.sql.exec("UPDATE stock SET left = ?", stock);
      if (description === "") this.sql.exec("DELETE FROM listing");
      else if (description !== undefined) this.sql.exec("INSERT OR REPLACE INTO listing VALUES (1, ?)", description);
      return this.shelf();
    });
  }

  /** Take one for an order; whether there was one. The same order asked again takes nothing more. */
  take(orderId: string): boolean {
    return this.ctx.storage.transactionSync(() => {
      if (first(this.sql, "SELECT 1 FROM taken WHERE order_id = ?", orderId) !== null) return true;
      if (this.left() < 1) return false;
      this.sql.exec("UPDATE stock SET left = left - 1");
      this.sql.exec("INSERT INTO taken VALUES (?)", orderId);
      return true;
    });
  }

  /** Give one back that was taken for an order which is not placed after all. Asked again it gives nothing more. */
  giveBack(orderId: string): void {
    this.ctx.storage.transactionSync(() => {
      if (first(this.sql, "SELECT 1 FROM taken WHERE order_id = ?", orderId) === null) return;
      this.sql.exec("UPDATE stock SET left = left + 1");
      this.sql.exec("DELETE FROM taken WHERE order_id = ?", orderId);
    });
  }

  /** Remember that there is a ledger of this name. */
  register(name: string): void {
    this.sql.exec("INSERT OR IGNORE INTO ledgers (name) VALUES (?)", name);
  }

  /** The ledgers that came last, at most `most` of them, and how many there are in all. */
  ledgers(most: number): { names: string[]; total: number } {
    const rows = this.sql.exec("SELECT name FROM ledgers ORDER BY seq DESC LIMIT ?", most).toArray();
    const total = Number(first(this.sql, "SELECT count(*) AS n FROM ledgers")?.["n"]);
    return { names: rows.map((row) => String(row["name"])), total };
  }

  /** Sign a checkpoint of an audit log (RFC 7515), with the shop's own key. */
  async sign(checkpoint: Record<string, string | number>): Promise<string> {
    const jwk = await this.key();
    const header = { alg: "ES256", typ: "audit-checkpoint+jwt", kid: jwk.kid! };
    const payload = new TextEncoder().encode(JSON.stringify(checkpoint));
    return new CompactSign(payload).setProtectedHeader(header).sign(await importJWK(jwk, "ES256"));
  }

  /** The public half of that key, as a JWK Set (RFC 7517 section 5). */
  async jwks(): Promise<{ keys: JWK[] }> {
    const { d: _, ...key } = await this.key();
    return { keys: [key] };
  }

  /** The shop's signing key, made when it is first needed. */
  private async key(): Promise<JWK> {
    const kept = () => first(this.sql, "SELECT jwk FROM signing_key")?.["jwk"];
    if (kept() === undefined) {
      const { privateKey } = await generateKeyPair("ES256", { extractable: true });
      const jwk = await exportJWK(privateKey);
      const named = { ...jwk, kid: await calculateJwkThumbprint(jwk), use: "sig", alg: "ES256" };
      this.sql.exec("INSERT OR IGNORE INTO signing_key VALUES (1, ?)", JSON.stringify(named));
    }
    return JSON.parse(String(kept())) as JWK;
  }

  /** The name of this data: it changes only when all of it is gone. */
  world(): string {
    return String(first(this.sql, "SELECT id FROM world")?.["id"]);
  }
}

const STOCK = "open_stock";
const CLOSED = "open_closed";
const DESCRIPTION = "open_description";

/** How many are left at the open door; `atFirst` until one was sold or an admin has restocked. */
export function openStock(sql: SqlStorage, atFirst: number): number {
  const kept = first(sql, "SELECT value FROM facts WHERE name = ?", STOCK);
  return kept === null ? atFirst : Number(kept["value"]);
}

/** Set how many there are at the open door. */
export function setOpenStock(sql: SqlStorage, left: number): void {
  sql.exec("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", STOCK, String(left));
}

/** Whether an admin has closed the open door. */
export function isClosed(sql: SqlStorage): boolean {
  return first(sql, "SELECT 1 FROM facts WHERE name = ?", CLOSED) !== null;
}

/** What the open door's listing says: the shop's own text, or what an admin has put in its place. */
export function openDescription(sql: SqlStorage): string {
  const kept = first(sql, "SELECT value FROM facts WHERE name = ?", DESCRIPTION);
  return kept === null ? ITEM.description : String(kept["value"]);
}

/** Set that text; an empty one is the shop's own again. */
export function setOpenDescription(sql: SqlStorage, text: string): void {
  if (text === "") sql.exec("DELETE FROM facts WHERE name = ?", DESCRIPTION);
  else sql.exec("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", DESCRIPTION, text);
}

/** Close the open door, or open it again. */
export function setClosed(sql: SqlStorage, closed: boolean): void {
  if (closed) sql.exec("INSERT OR REPLACE INTO facts (name, value) VALUES (?, '1')", CLOSED);
  else sql.exec("DELETE FROM facts WHERE name = ?", CLOSED);
}
