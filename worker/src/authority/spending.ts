/** The spending limit in a token's `authorization_details` (RFC 9396). */

import { money, type Money } from "../evidence";
import type { Settings } from "../settings";
import { spellings } from "../wire/origin";
import { isObject } from "./asking";

/** The spending limit that a token grants here, or null.
 *
 * Where several are granted the smallest holds; one that cannot be understood grants nothing at all, rather than
 * leaving the others to stand for more than the human may have meant. An authority that knows no such details (the
 * claim is not there) leaves the shop's own default, if it has one. */
export function spendingLimit(details: unknown, settings: Settings): Money | null {
  if (details === undefined || details === null) return settings.defaultSpendingLimit;
  const limits: number[] = [];
  for (const detail of Array.isArray(details) ? details : []) {
    if (!isObject(detail) || detail["type"] !== "shop_spending") continue;
    const { limit, actions } = detail;
    const locations = detail["locations"] ?? [settings.resource];
    if (!isObject(limit) || !Array.isArray(locations) || !Array.isArray(actions)) return null;
    if (!spellings(settings.resource).some((one) => locations.includes(one)) || !actions.includes("buy")) continue;
    const { amount, currency } = limit;
    if (typeof amount !== "number" || !Number.isSafeInteger(amount) || amount < 0) return null;
    if (currency !== settings.price.currency) return null;
    limits.push(amount);
  }
  return limits.length === 0 ? null : money(Math.min(...limits));
}
