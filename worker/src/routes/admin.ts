/** `POST /admin/revoke` and `/admin/reinstate`: the human revokes at this shop, and reinstates. And `POST
 * /admin/door`: an admin restocks a door, sets the text of its listing, or switches the open one off and on.
 *
 * The shape is the local account API's (`docs/wire.md`). The token is another than the agent's: its audience is
 * `BASE/admin`, its scope `sessions:manage`, its client a console of the settings, and it names no agent. */

import { LIMITS, say, SCOPES } from "../catalog";
import type { Kind } from "../policy/facts";
import type { Env } from "../env";
import type { Settings } from "../settings";
import { json, plainError, unacceptable, type Answer } from "../wire/answer";
import { readBody, Unreadable } from "../wire/message";
import { isObject } from "../wire/values";
import type { DoorChange, DoorState } from "../user_ledger";
import { SHOP } from "../ledger/stock";
import { ledgerOf, presented } from "./edge";

const MOST_BYTES = 16 * 1024;

const LONGEST = 300;

interface Target {
  kind: Kind;
  id: string;
  /** Whose; an admin may name somebody else. */
  user: string | null;
}

/** Answer a request to revoke or to reinstate. */
export async function administer(
  what: "revoke" | "reinstate",
  request: Request,
  env: Env,
  settings: Settings,
  origin: string,
): Promise<Answer> {
  // Before the gates: how long the body takes is for who sends it to say, and its authority may end meanwhile.
  const target = await targetOf(request);
  const known = await presented(request, settings);
  const wanted = { origin, resource: settings.adminResource, scope: SCOPES.manage, own: true, ...known };
  const heard = await ledgerOf(known.facts.user, env, settings).admit(wanted);
  if ("refused" in heard) return heard.refused;
  if ("status" in target) return target;
  const { kind, id } = target;
  const whose = target.user ?? (kind === "user" ? id : heard.user);
  if ((kind === "user" && whose !== id) || (whose !== heard.user && !heard.admin)) {
    // What does not exist and what is somebody else's in the same words: neither is theirs to know of.
    return plainError(404, "not_found", `you have no such ${kind}`);
  }
  const ledger = ledgerOf(whose, env, settings);
  if (what === "revoke") return json(200, { kind, id, revoked_at: await ledger.revoke(kind, id, heard, origin) });
  if (kind === "session") {
    return plainError(409, "invalid_request", "a revoked session stays dead; log in again");
  }
  return json(200, { kind, id, revoked_at: null, lifted: await ledger.reinstate(kind, id, heard, origin) });
}

/** Answer an admin who restocks a door or switches the open one. */
export async function setDoor(request: Request, env: Env, settings: Settings, origin: string): Promise<Answer> {
  const given = await bodyOf(request);
  const known = await presented(request, settings);
  const entered = { origin, resource: settings.adminResource, scope: SCOPES.manage, own: true, ...known };
  const own = ledgerOf(known.facts.user, env, settings);
  const heard = await own.admit(entered);
  if ("refused" in heard) return heard.refused;
  if (!heard.admin) return plainError(403, "access_denied", say("no_admin"));
  if ("status" in given) return given;
  const { door, stock, open, description } = given.body;
  const counted = Number.isSafeInteger(stock) && (stock as number) >= 0 && (stock as number) <= LIMITS.most_stock;
  const written = description === undefined || isText(description);
  const wanted = (stock === undefined || counted) && (open === undefined || typeof open === "boolean") && written;
  const nothing = stock === undefined && open === undefined && description === undefined;
  if ((door !== "open" && door !== "protected") || !wanted || nothing) {
    const limits = { most: LIMITS.most_stock, longest: LIMITS.description_characters };
    return plainError(400, "invalid_request", say("door_shape", limits));
  }
  if (door === "protected" && open !== undefined) {
    return plainError(400, "invalid_request", say("door_gates"));
  }
  const change: DoorChange = {
    ...(counted && { stock: stock as number }),
    ...(typeof open === "boolean" && { open }),
    ...(typeof description === "string" && { description }),
  };
  const state: DoorState =
    door === "open"
      ? await ledgerOf(null, env, settings).setOpenDoor(change, origin)
      : { door, open: true, ...(await env.STOCK.getByName(SHOP).setShelf(change)) };
  await own.noteDoor(change, state, heard, origin);
  return json(200, state);
}

/** Whether it is a text to list: within bounds, of characters alone, none of which a terminal obeys. */
function isText(value: unknown): value is string {
  if (typeof value !== "string" || [...value].length > LIMITS.description_characters) return false;
  return !/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ud800-\udfff]/u.test(value);
}

async function targetOf(request: Request): Promise<Target | Answer> {
  const given = await bodyOf(request);
  if ("status" in given) return given;
  const { kind, id, user = null } = given.body;
  if (!isName(id) || !(user === null || isName(user))) {
    return plainError(400, "invalid_request", 'the body is {"kind": ..., "id": ...}');
  }
  if (kind !== "session" && kind !== "agent" && kind !== "user") {
    return plainError(400, "invalid_request", "kind is session, agent or user");
  }
  return { kind, id, user };
}

/** The JSON object in a request's body; empty where it is another value. */
async function bodyOf(request: Request): Promise<{ body: Record<string, unknown> } | Answer> {
  try {
    const given: unknown = JSON.parse(new TextDecoder().decode(await readBody(request, MOST_BYTES)));
    return { body: isObject(given) ? given : {} };
  } catch (error) {
    if (error instanceof Unreadable) return unacceptable(error.why);
    return plainError(400, "invalid_request", say("body_not_json"));
  }
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= LONGEST;
}
