/** How often a caller calls: a fixed window that begins with its first call. */

import type { LimitUse } from "../evidence";
import { first } from "./schema";

/** So many calls in so many seconds. */
export interface Rate {
  calls: number;
  seconds: number;
}

/** Count a call at `now`; whether it is still within the limit. */
export function hit(sql: SqlStorage, caller: string, rate: Rate, now: number): boolean {
  sql.exec("DELETE FROM rates WHERE expires_at <= ?", now);
  sql.exec(
    "INSERT INTO rates (key, used, expires_at) VALUES (?, 1, ?) ON CONFLICT (key) DO UPDATE SET used = used + 1",
    caller,
    now + rate.seconds,
  );
  return Number(first(sql, "SELECT used FROM rates WHERE key = ?", caller)?.["used"]) <= rate.calls;
}

/** How much of the limit is used, without counting. Calls that were refused for it do not show. */
export function use(sql: SqlStorage, caller: string, rate: Rate, now: number): LimitUse {
  const row = first(sql, "SELECT used, expires_at FROM rates WHERE key = ? AND expires_at > ?", caller, now);
  const used = row === null ? 0 : Math.min(Number(row["used"]), rate.calls);
  const resetsAt = row === null ? null : Number(row["expires_at"]);
  return { name: "rate", used, limit: rate.calls, unit: "calls", window: rate.seconds, resets_at: resetsAt };
}
