/** The seven tools, the same at both doors. */

import { BUY, ITEM_ID, ITEM_NAME, PRETTY_PLEASE, SIZES } from "../catalog";
import { now } from "../evidence";
import { PurchaseRefused, type Fault, type Purchase } from "../ledger/orders";
import type { Admitted } from "../gatehouse/gatehouse";
import type { Visit } from "../gatehouse/visit";
import { accountOf, callerOf } from "../policy/facts";
import { takenBack } from "../policy/gates";
import type { Settings } from "../settings";
import { digest } from "../wire/message";
import { modeOf, wishOf } from "./arguments";
import type { Shop } from "./shop";

/** What a tool may know of the request that it runs for. */
export interface Admission {
  shop: Shop;
  settings: Settings;
  visit: Visit;
  /** Its decision grows with what the tool does. */
  admitted: Admitted;
}

/** A tool's refusal, in words that a model can act on: an `isError` result. */
export class ToolError extends Error {}

/** A tool: from its arguments to its structured result. */
type Tool = (admission: Admission, given: Record<string, unknown>) => Promise<Record<string, unknown>>;

const REFUSALS: Record<Fault, string> = {
  key_reused: "This idempotencyKey already stands for an order with other arguments. Nothing was bought.",
  sold_out: "The shirt is sold out. Nothing was bought or charged.",
  quota: "The purchases of this consent are used up. Nothing was bought.",
  spending: "The human's spending limit does not allow this. Nothing was bought.",
  consent: "The human consented to no spending limit. Nothing was bought.",
};

/** The account of everybody who comes through the open door: nobody can tell one from another. */
const OPEN_ACCOUNT = "open";

/** What stands in the place of an address at the open door: whoever asks there may be anybody. */
const WITHHELD = "(not shown at the open door)";

async function inventory({ shop, settings, visit }: Admission) {
  const stock = await shop.stockLeft(visit.door, settings.open.stockAtFirst);
  return { items: [{ id: ITEM_ID, name: ITEM_NAME, sizes: SIZES, price: settings.price, stock }] };
}

async function buy(admission: Admission, given: Record<string, unknown>) {
  const { shop, admitted, settings, visit } = admission;
  const wanted = await purchaseOf(admission, given);
  try {
    const bought =
      visit.door === "open" ? shop.buyOpen(wanted, settings.open.stockAtFirst) : await shop.buy(wanted, visit.facts);
    if ("soldOut" in bought) throw new ToolError(REFUSALS.sold_out);
    if ("revoked" in bought) {
      const { verdict, gate, rule, reason, remedy } = takenBack(bought.revoked);
      admitted.decision = shop.amend(admitted.decision, { verdict, gate, rule, reason, remedy });
      throw new ToolError(`${reason} Nothing was bought.`);
    }
    admitted.decision = bought.decision ?? admitted.decision;
    return { order: bought.order };
  } catch (error) {
    if (!(error instanceof PurchaseRefused)) throw error;
    const reason = REFUSALS[error.fault];
    if (error.fault !== "key_reused" && error.fault !== "sold_out") {
      // The gate let it through and the ledger's guard did not: the record must not go on saying that it was allowed.
      const denied = { verdict: "deny", gate: "limits", rule: `limits.${error.fault}`, reason } as const;
      admitted.decision = shop.amend(admitted.decision, { ...denied, remedy: "Ask the human for a new consent." });
    }
    throw new ToolError(reason);
  }
}

async function purchaseOf({ settings, visit, admitted }: Admission, given: Record<string, unknown>): Promise<Purchase> {
  const { company, address, size, key } = wishOf(given);
  const { facts, door } = visit;
  const protectedDoor = door === "protected";
  return {
    auditId: admitted.decision.audit_id,
    door,
    account: protectedDoor ? accountOf(facts) : OPEN_ACCOUNT,
    caller: protectedDoor ? callerOf(facts) : OPEN_ACCOUNT,
    size,
    company,
    address,
    arguments: await digest([company, address, size]),
    price: settings.price,
    at: now(),
    key,
    user: facts.user,
    agent: facts.agent,
    client: facts.client,
    consent: facts.consent,
    quota: protectedDoor ? settings.purchasesPerConsent : null,
    spendingLimit: protectedDoor ? facts.spendingLimit : null,
  };
}

async function orders({ shop, visit }: Admission) {
  const found = await shop.orders(visit.door);
  if (visit.door === "protected") return { orders: found };
  return { orders: found.map((order) => ({ ...order, mailingAddress: WITHHELD })) };
}

async function userInfo({ shop, visit, admitted }: Admission) {
  const { user, agent, client, session, scopes } = visit.facts;
  const { username = null, name = null, roles = [] } = admitted.standing ?? {};
  const mode = shop.isBanned(user) ? "banned" : "normal";
  const known = { user, username: username ?? (user === null ? "anonymous" : user), name, roles };
  return { ...known, agent, client, session, scopes: [...scopes].sort(), mode };
}

async function setMode({ shop, visit }: Admission, given: Record<string, unknown>) {
  const mode = modeOf(given);
  const { user } = visit.facts;
  if (user === null) throw new ToolError("There is nobody to ban: anonymous.");
  if (mode === "banned") shop.ban(user);
  else shop.liftBan(user);
  return { user, mode };
}

async function clearMode({ shop, visit }: Admission) {
  const { user } = visit.facts;
  if (user !== null) shop.liftBan(user);
  return { user, mode: "normal" };
}

async function prettyPlease({ shop, visit }: Admission) {
  const { user } = visit.facts;
  if (user === null) return { user, mode: "normal", message: "Nobody is banned here, because nobody is known here." };
  const lifted = shop.liftBan(user);
  const message = lifted ? "Since you ask so nicely: welcome back." : "So polite, and not even banned.";
  return { user, mode: "normal", message };
}

export const TOOLS_BY_NAME: ReadonlyMap<string, Tool> = new Map<string, Tool>([
  ["listMcpShopInventory", inventory],
  [BUY, buy],
  ["listMcpShopOrders", orders],
  ["getUserInfo", userInfo],
  ["setDemoMode", setMode],
  ["clearDemoMode", clearMode],
  [PRETTY_PLEASE, prettyPlease],
]);
