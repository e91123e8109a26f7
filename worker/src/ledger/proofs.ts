/** Proofs of possession that were used (RFC 9449 section 11.1), until a minute after they were accepted last: of
 * two requests that come as that ends, the one that was checked first may be the one that is served last. */

import type { Possession, Unproved } from "../policy/proof";

const REMEMBERED_SECONDS = 60;

/** Use up the proof that a request came with; by which rule it is refused, or null. */
export function spend(sql: SqlStorage, { proof, unproved }: Possession, now: number): Unproved | null {
  if (proof === null) return unproved;
  sql.exec("DELETE FROM proofs WHERE until < ?", now - REMEMBERED_SECONDS);
  const noted = sql.exec("INSERT OR IGNORE INTO proofs (id, until) VALUES (?, ?) RETURNING id", proof.id, proof.until);
  return noted.toArray().length > 0 ? null : ["token.proof", "replayed"];
}
