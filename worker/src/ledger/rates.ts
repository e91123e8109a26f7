/** How often a caller calls: a sliding window, so that no stretch of its length holds more calls than the limit. A
 * window that begins again at its end would let twice as many through around that moment. */

import type { LimitUse } from "../evidence";
import { first } from "./schema";

/** So many calls in so many seconds. */
export interface Rate {
  calls: number;
  seconds: number;
}

/** Count a call at `now`, if it is still within the limit; whether it is. One that is not counts for nothing: a caller
 * that goes on trying is let in as soon as one that waits. */
export function hit(sql: SqlStorage, caller: string, rate: Rate, now: number): boolean {
  const times = within(sql, caller, rate, now);
  sql.exec("DELETE FROM rates WHERE expires_at <= ?", now);
  if (times.length >= rate.calls) return false;
  sql.exec(
    `INSERT INTO rates (key, times, expires_at) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET times = excluded.times, expires_at = excluded.expires_at`,
    caller,
    new Float64Array([...times, now]).buffer,
    now + rate.seconds,
  );
  return true;
}

/** How much of the limit is used, without counting; `resets_at` is when the oldest of the calls counts no more. */
export function use(sql: SqlStorage, caller: string, rate: Rate, now: number): LimitUse {
  const times = within(sql, caller, rate, now);
  const used = Math.min(times.length, rate.calls);
  const resetsAt = times[0] === undefined ? null : times[0] + rate.seconds;
  return { name: "rate", used, limit: rate.calls, unit: "calls", window: rate.seconds, resets_at: resetsAt };
}

/** When the calls were made that still count, oldest first. */
function within(sql: SqlStorage, caller: string, rate: Rate, now: number): number[] {
  const kept = first(sql, "SELECT times FROM rates WHERE key = ?", caller)?.["times"];
  if (!(kept instanceof ArrayBuffer)) return [];
  return [...new Float64Array(kept)].filter((at) => at > now - rate.seconds).slice(-rate.calls);
}
