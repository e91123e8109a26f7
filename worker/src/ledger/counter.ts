/** The open door's own counter: its shirts, and whether it is open. It lies in the object of whoever is nobody, so that
 * what anybody takes there is missing nowhere else. */

import { first } from "./schema";

const STOCK = "open_stock";
const CLOSED = "open_closed";

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

/** Close the open door, or open it again. */
export function setClosed(sql: SqlStorage, closed: boolean): void {
  if (closed) sql.exec("INSERT OR REPLACE INTO facts (name, value) VALUES (?, '1')", CLOSED);
  else sql.exec("DELETE FROM facts WHERE name = ?", CLOSED);
}
