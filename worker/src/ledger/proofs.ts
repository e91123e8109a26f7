/** Proofs of possession that were used (RFC 9449 section 11.1), until they would not be accepted any more. */

import type { Possession, Unproved } from "../policy/proof";

/** Use up the proof that a request came with; by which rule it is refused, or null. */
export function spend(sql: SqlStorage, { proof, unproved }: Possession, now: number): Unproved | null {
  if (proof === null) return unproved;
  sql.exec("DELETE FROM proofs WHERE until < ?", now);
  const noted = sql.exec("INSERT OR IGNORE INTO proofs (id, until) VALUES (?, ?) RETURNING id", proof.id, proof.until);
  return noted.toArray().length > 0 ? null : ["token.proof", "replayed"];
}
