/** One request on its way from the Worker into a user's object: what the edge has read of it, as plain data. */

import type { Door } from "../evidence";
import type { Standing, TokenFacts } from "../policy/facts";
import type { Possession } from "../policy/proof";
import type { Call, Known, Unacceptable } from "../wire/message";

export interface DoorRequest {
  /** The origin that the request came to. */
  origin: string;
  door: Door;
  /** The address that the request came from, which is all that tells two callers of the open door apart. */
  address: string;
  /** The HTTP method. */
  method: string;
  /** The headers that the MCP server reads. */
  headers: [string, string][];
  call: Call;
  /** Why the body is no message; said only to those who pass the gates. */
  fault: Unacceptable | null;
  /** As presented, to ask the authorization server about; null where there was none. */
  token: string | null;
  facts: TokenFacts;
  possession: Possession;
  /** Why the authorization server's keys could not be read, or null. */
  unavailable: Standing | null;
  /** The authorization server's clock minus ours in seconds, as the edge has heard it; null where it has not. */
  skew: number | null;
}

/** A request to a route of the human's: the audit log, or a revocation. */
export interface OwnRequest {
  origin: string;
  /** What the token must be for: the shop's resource or the human's own. */
  resource: string;
  scope: string;
  /** What the request is called in the records of others. */
  known: Known;
  /** For the human's own routes: what they revoked does not shut them out, and no agent may pass. */
  own: boolean;
  token: string | null;
  facts: TokenFacts;
  possession: Possession;
  unavailable: Standing | null;
  skew: number | null;
}

/** The name of the object that holds the open door's orders, and the audit log of what no user is known for. */
export const NOBODY = "nobody";

/** The name of the object that holds one user's ledger. */
export function ledgerName(issuer: string, user: string | null): string {
  return user === null ? NOBODY : `user ${issuer} ${user}`;
}

/** Whose ledger an object of this name holds; null for nobody's. */
export function userOf(issuer: string, name: string): string | null {
  return name === NOBODY ? null : name.slice(ledgerName(issuer, "").length);
}
