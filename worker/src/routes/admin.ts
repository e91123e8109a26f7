/** `POST /admin/revoke` and `/admin/reinstate`: the human takes authority back at this shop, and gives it again.
 *
 * The shape is the local account API's (`docs/wire.md`). The token is another than the agent's: its audience is
 * `BASE/admin`, its scope `sessions:manage`, its client a console of the settings, and it names no agent. */

import { isObject } from "../authority/asking";
import { ADMIN_SCOPE } from "../catalog";
import type { Kind } from "../policy/facts";
import type { Env, Settings } from "../settings";
import { json, plainError, unacceptable, type Answer } from "../wire/answer";
import { readBody, Unreadable } from "../wire/message";
import { ledgerOf, presented } from "./edge";

const MOST_BYTES = 16 * 1024;
const LONGEST = 300;

interface Target {
  kind: Kind;
  id: string;
  /** Whose; an admin may name somebody else. */
  user: string | null;
}

/** Answer a request to take back or to give back. */
export async function administer(
  what: "revoke" | "reinstate",
  request: Request,
  env: Env,
  settings: Settings,
  origin: string,
): Promise<Answer> {
  const known = await presented(request, settings);
  const petition = { origin, resource: settings.adminResource, scope: ADMIN_SCOPE, own: true, ...known };
  const heard = await ledgerOf(known.facts.user, env, settings).hear(petition);
  if ("refused" in heard) return heard.refused;
  const target = await targetOf(request);
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

async function targetOf(request: Request): Promise<Target | Answer> {
  let given: unknown;
  try {
    given = JSON.parse(new TextDecoder().decode(await readBody(request, MOST_BYTES)));
  } catch (error) {
    if (error instanceof Unreadable) return unacceptable(error.why);
    return plainError(400, "invalid_request", "the body is not JSON");
  }
  const { kind, id, user = null } = isObject(given) ? given : {};
  if (!isName(id) || !(user === null || isName(user))) {
    return plainError(400, "invalid_request", 'the body is {"kind": ..., "id": ...}');
  }
  if (kind !== "session" && kind !== "agent" && kind !== "user") {
    return plainError(400, "invalid_request", "kind is session, agent or user");
  }
  return { kind, id, user };
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= LONGEST;
}
