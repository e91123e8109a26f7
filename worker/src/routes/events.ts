/** `POST /events`: the authorization server says what it has revoked (RFC 8935). Who may push is said by the signature
 * alone. It is acknowledged when the object of the human it is about has noted it. */

import { AuthServerUnavailable } from "../auth_server/asking";
import { EVENT_TYPE, readEvent, Unfit } from "../auth_server/events";
import type { Env } from "../env";
import type { Settings } from "../settings";
import { json, unacceptable, type Answer } from "../wire/answer";
import { readBody, Unreadable } from "../wire/message";
import { ledgerOf } from "./edge";

/** Answer an event. */
export async function takeEvent(request: Request, env: Env, settings: Settings): Promise<Answer> {
  const type = (request.headers.get("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
  if (type !== `application/${EVENT_TYPE}`)
    return refused("invalid_request", `the body must be application/${EVENT_TYPE}`);
  try {
    const event = await readEvent(new TextDecoder().decode(await readBody(request)).trim(), settings);
    await ledgerOf(event.user, env, settings).hear(event);
    return { status: 202, headers: [], body: null };
  } catch (error) {
    if (error instanceof Unfit) return refused(error.err, error.message);
    if (error instanceof Unreadable) return unacceptable(error.why);
    if (error instanceof AuthServerUnavailable) return json(503, { err: "invalid_key", description: error.message });
    throw error;
  }
}

function refused(err: string, description: string): Answer {
  return json(400, { err, description });
}
