/** What a human revoked here, and whom the shop has banned. What was revoked at the authorization server is asked
 * there, live. */

import type { Kind, TokenFacts } from "../policy/facts";
import { first } from "./schema";

/** What of this token's grant was revoked here: the narrowest kind of it, or null. */
export function revokedKind(sql: SqlStorage, token: TokenFacts): Kind | null {
  const ids: [Kind, string | null][] = [
    ["session", token.session],
    ...agentsOf(token).map((agent): [Kind, string] => ["agent", agent]),
    ["user", token.user],
  ];
  return ids.find(([kind, id]) => id !== null && isRevoked(sql, kind, id))?.[0] ?? null;
}

/** What a human calls its agents by: the instances, or the client where the authorization server names no instance. */
function agentsOf({ chain, client }: TokenFacts): string[] {
  return chain.length > 0 || client === null ? chain : [client];
}

function isRevoked(sql: SqlStorage, kind: Kind, id: string): boolean {
  return first(sql, "SELECT 1 FROM revocations WHERE kind = ? AND id = ?", kind, id) !== null;
}

/** Revoke, from now on; since when it is, in POSIX seconds. Asked twice it is since the first time. */
export function revoke(sql: SqlStorage, kind: Kind, id: string, at: number): number {
  sql.exec("INSERT OR IGNORE INTO revocations (kind, id, at) VALUES (?, ?, ?)", kind, id, at);
  return Number(first(sql, "SELECT at FROM revocations WHERE kind = ? AND id = ?", kind, id)?.["at"]);
}

/** Reinstate; whether there was anything to lift. */
export function reinstate(sql: SqlStorage, kind: "agent" | "user", id: string): boolean {
  const revoked = isRevoked(sql, kind, id);
  sql.exec("DELETE FROM revocations WHERE kind = ? AND id = ?", kind, id);
  return revoked;
}

/** Ban an agent (`callerOf`) from the shop, from now on; banning twice is the same as once. */
export function ban(sql: SqlStorage, caller: string, at: number): void {
  sql.exec("INSERT OR IGNORE INTO banned (caller, at) VALUES (?, ?)", caller, at);
}

/** Lift an agent's ban; whether there was one. */
export function liftBan(sql: SqlStorage, caller: string): boolean {
  const banned = isBanned(sql, caller);
  sql.exec("DELETE FROM banned WHERE caller = ?", caller);
  return banned;
}

/** Whether the shop has banned this agent. */
export function isBanned(sql: SqlStorage, caller: string): boolean {
  return first(sql, "SELECT 1 FROM banned WHERE caller = ?", caller) !== null;
}
