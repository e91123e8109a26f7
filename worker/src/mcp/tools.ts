/** The seven tools, the same at both doors. */

import { ITEM, SAMPLE_ADDRESSES, say, SCOPES, type ToolName } from "../catalog";
import { now, type Decision } from "../evidence";
import { whose } from "../ledger/outbox";
import { PurchaseRefused, type Purchase } from "../ledger/orders";
import type { Admitted } from "../gatehouse/gatehouse";
import type { DoorRequest } from "../gatehouse/requests";
import { accountOf, agentOf, callerOf } from "../policy/facts";
import { deny } from "../policy/gates";
import type { Settings } from "../settings";
import { digest } from "../wire/message";
import type { Relied } from "../ledger/reliance";
import type { Arguments } from "../wire/arguments";
import type { Shop } from "./shop";

/** What a tool may know of the request that it runs for. */
export interface Admission {
  shop: Shop;
  settings: Settings;
  visit: DoorRequest;
  /** Its decision grows with what the tool does. */
  admitted: Admitted;
  /** What the authorization server says of the grant now. */
  again: () => Promise<Relied | null>;
}

/** A tool's refusal, in words that a model can act on: an `isError` result. */
export class ToolError extends Error {}

/** A tool: from its arguments to its structured result. */
type Tool = (admission: Admission, given: Arguments) => Promise<Record<string, unknown>>;

/** The account of everybody who comes through the open door: nobody can tell one from another. */
const OPEN_ACCOUNT = "open";

async function inventory({ shop, settings, visit }: Admission) {
  const { stock, description } = await shop.shelf(visit.door, settings.open.stockAtFirst);
  return { items: [{ id: ITEM.id, name: ITEM.name, description, sizes: ITEM.sizes, price: settings.price, stock }] };
}

async function buy(admission: Admission, given: Arguments) {
  const { shop, admitted, settings, visit, again } = admission;
  const wanted = await purchaseOf(admission, given);
  // Until here the decision is not on record: it goes there once, with what came of it.
  const onRecord = (decision: Decision) => Object.assign(admitted, { decision, due: false });
  try {
    const bought =
      visit.door === "open"
        ? shop.buyOpen(wanted, admitted.decision, settings.open.stockAtFirst)
        : await shop.buy(wanted, visit.facts, admitted.decision, admitted.relied, again);
    onRecord(bought.decision);
    if ("soldOut" in bought) throw new ToolError(say("sold_out"));
    if ("revoked" in bought) throw new ToolError(say("revoked", { reason: bought.revoked.reason }));
    return { order: bought.order };
  } catch (error) {
    if (!(error instanceof PurchaseRefused)) throw error;
    if (error.fault === "key_reused" || error.fault === "sold_out") throw new ToolError(say(error.fault));
    // The gate let it through and the ledger's guard did not: the record must not say that it was allowed.
    const ruling = deny(error.fault, "ledger");
    onRecord(shop.record({ ...admitted.decision, ...ruling }));
    throw new ToolError(ruling.reason);
  }
}

async function purchaseOf({ settings, visit, admitted }: Admission, given: Arguments): Promise<Purchase> {
  const [company, address, size] = [given["company"]!, given["mailingAddress"]!, given["tshirtSize"]!];
  const { facts, door } = visit;
  const protectedDoor = door === "protected";
  const dear = settings.approveAbove !== null && settings.price.amount > settings.approveAbove;
  return {
    door,
    account: protectedDoor ? accountOf(facts) : OPEN_ACCOUNT,
    caller: protectedDoor ? callerOf(facts) : OPEN_ACCOUNT,
    size,
    company,
    address,
    arguments: await digest([company, address, size]),
    price: settings.price,
    at: now(),
    key: given["idempotencyKey"] ?? null,
    user: facts.user,
    agent: agentOf(facts),
    subAgents: protectedDoor ? facts.chain.slice(0, -1) : [],
    client: facts.client,
    consent: facts.consent,
    quota: protectedDoor ? settings.purchasesPerConsent : null,
    spendingLimits: protectedDoor ? facts.spendingLimits : [],
    toBeApproved: protectedDoor && (facts.approval !== null || dear),
    approval: admitted.approval,
    told: protectedDoor && settings.warehouse !== null ? whose(facts) : null,
  };
}

async function orders({ shop, visit, admitted }: Admission) {
  const { facts, door } = visit;
  // What another agent of the same human bought, and where it goes, is theirs to see and not this one's.
  const all = door === "open" || (admitted.standing?.permissions ?? facts.scopes).includes(SCOPES.everyOrder);
  const found = await shop.orders(door, all ? null : { agent: agentOf(facts), client: facts.client });
  if (door === "protected") return { orders: found };
  const told = (to: string) => (SAMPLE_ADDRESSES.has(to) ? to : say("withheld"));
  return { orders: found.map((order) => ({ ...order, mailingAddress: told(order.mailingAddress) })) };
}

async function userInfo({ shop, visit, admitted }: Admission) {
  const { user, client, session, scopes } = visit.facts;
  const { username = null, name = null, roles = [] } = admitted.standing ?? {};
  const mode = shop.isBanned(callerOf(visit.facts)) ? "banned" : "normal";
  const known = { user, username: username ?? (user === null ? "anonymous" : user), name, roles };
  return { ...known, agent: agentOf(visit.facts), client, session, scopes: [...scopes].sort(), mode };
}

async function setMode({ shop, visit }: Admission, given: Arguments) {
  const { user } = visit.facts;
  if (user === null) throw new ToolError(say("nobody_to_ban"));
  if (given["mode"] === "banned") shop.ban(callerOf(visit.facts));
  else shop.liftBan(callerOf(visit.facts));
  return { user, mode: given["mode"] };
}

async function clearMode({ shop, visit }: Admission) {
  const { user } = visit.facts;
  if (user !== null) shop.liftBan(callerOf(visit.facts));
  return { user, mode: "normal" };
}

async function prettyPlease({ shop, visit }: Admission) {
  const { user } = visit.facts;
  if (user === null) return { user, mode: "normal", message: say("nobody_banned") };
  const lifted = shop.liftBan(callerOf(visit.facts));
  const message = say(lifted ? "welcome_back" : "not_banned");
  return { user, mode: "normal", message };
}

const TOOLS: Record<ToolName, Tool> = {
  listMcpShopInventory: inventory,
  buyMcpShopItem: buy,
  listMcpShopOrders: orders,
  getUserInfo: userInfo,
  setDemoMode: setMode,
  clearDemoMode: clearMode,
  prettyPlease,
};

export const TOOLS_BY_NAME: ReadonlyMap<string, Tool> = new Map(Object.entries(TOOLS));
