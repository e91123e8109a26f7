/** One purchase that a human approved, as an authorization detail (RFC 9396): what a refusal asks for, and what a token
 * brings. It says what is bought and where it goes, and is good for nothing else. */

import { ITEM, SCOPES } from "../catalog";
import type { Money } from "../evidence";
import { isObject, text } from "../wire/values";

/** What a call would buy, and where that goes. */
export interface Wanted {
  size: string;
  company: string;
  address: string;
  price: Money;
}

/** A human's yes to one purchase; `what` is null where the detail cannot be understood: then it is good for nothing. */
export interface Approval {
  id: string;
  what: (Wanted & { item: string }) | null;
  /** Who may make the purchase. */
  agent: string | null;
  /** POSIX seconds. */
  until: number;
  /** At which shops, by their resource (RFC 9396 section 2.2, `locations`). */
  places: string[];
}

/** Within which grant a purchase is asked for, and by whom. */
export interface Grant {
  session: string | null;
  agent: string | null;
}

const UNREADABLE: Approval = { id: "", what: null, agent: null, until: 0, places: [] };

/** The detail that the authorization server is to be asked for: this purchase, by this agent, within the grant that its
 * session belongs to. */
export function askedFor(wanted: Wanted, resource: string, grant: Grant): Record<string, unknown> {
  const { session, agent } = grant;
  return {
    type: SCOPES.purchaseType,
    actions: [SCOPES.spendingAction],
    locations: [resource],
    ...(session === null ? {} : { session }),
    ...(agent === null ? {} : { agent }),
    item: ITEM.name,
    size: wanted.size,
    company: wanted.company,
    mailingAddress: wanted.address,
    price: wanted.price,
  };
}

/** The one approval that a token was granted for; null of a token for whatever its consent allows. One that cannot be
 * understood is there all the same, and several count as one that is of no purchase: a token that was granted for one
 * purchase must not pass for one that was granted for all. */
export function readApproval(details: unknown): Approval | null {
  const found = readApprovals(details);
  return found.length > 1 ? UNREADABLE : (found[0] ?? null);
}

/** All approvals among authorization details; one that cannot be understood is good for nothing. */
export function readApprovals(details: unknown): Approval[] {
  return (Array.isArray(details) ? details : [])
    .filter((one): one is Record<string, unknown> => isObject(one) && one["type"] === SCOPES.purchaseType)
    .map(read);
}

function read(detail: Record<string, unknown>): Approval {
  const [id, agent, item, size] = [detail["approval"], detail["agent"], detail["item"], detail["size"]].map(text);
  const [company, address] = [detail["company"], detail["mailingAddress"]].map(text);
  const { locations, actions, price, until } = detail;
  const amount = isObject(price) ? price["amount"] : null;
  const currency = isObject(price) ? text(price["currency"]) : null;
  if (!id || !agent || !item || !size || !company || !address || currency === null) return UNREADABLE;
  if (typeof amount !== "number" || !Number.isSafeInteger(amount) || amount < 0) return UNREADABLE;
  if (typeof until !== "number" || !(until >= 0)) return UNREADABLE;
  if (!Array.isArray(locations) || !Array.isArray(actions) || actions.length !== 1) return UNREADABLE;
  if (actions[0] !== SCOPES.spendingAction) return UNREADABLE;
  const places = locations.filter((one): one is string => typeof one === "string");
  return { id, agent, until, places, what: { item, size, company, address, price: { amount, currency } } };
}

/** Whether an approval is a yes to this purchase by this agent here, whenever and used or not.
 *
 * @param shop the names of this resource. */
export function fits(given: Approval, wanted: Wanted, agent: string | null, shop: string[]): boolean {
  const { what } = given;
  return (
    what !== null &&
    what.item === ITEM.name &&
    what.size === wanted.size &&
    what.company === wanted.company &&
    what.address === wanted.address &&
    what.price.amount === wanted.price.amount &&
    what.price.currency === wanted.price.currency &&
    given.agent !== null &&
    given.agent === agent &&
    given.places.some((one) => shop.includes(one))
  );
}
