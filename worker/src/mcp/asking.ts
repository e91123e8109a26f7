/** Asking the human by way of the client, where that can send no authorization details: MCP's own way (2026-07-28,
 * elicitation, URL mode, in an `input_required` result) to the approval page of the authorization server.
 *
 * What is asked is kept there, not here, so a client that goes away while the human decides finds the answer when it
 * calls again. A confirmation in the client's window decides nothing: it only says that the page was opened. */

import { inputRequired, type InputRequiredResult } from "@modelcontextprotocol/server";
import { AuthServerUnavailable } from "../auth_server/asking";
import { askToApprove, type Question } from "../auth_server/purchases";
import { LIMITS, say } from "../catalog";
import type { Decision } from "../evidence";
import type { Gatehouse } from "../gatehouse/gatehouse";
import type { DoorRequest } from "../gatehouse/requests";
import { ratedOf } from "../policy/facts";
import type { Call } from "../wire/message";
import { isObject } from "../wire/values";

/** Where a request of MCP 2026-07-28 says what its client can do. */
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
const NAME = "approval";
const WAIT_MS = 1000 * LIMITS.approval_wait_seconds;
const LOOK_MS = 1000 * LIMITS.approval_look_seconds;

/** The humans that calls of one object wait for. */
export class Asking {
  private readonly waiting = new Map<string, number>();

  /** Where a call comes again with the state of a question, give the human time to answer. */
  async wait(house: Gatehouse, visit: DoorRequest): Promise<void> {
    const { call, facts } = visit;
    const state = found(call, "requestState");
    if (typeof state !== "string" || !takesUrls(call) || declined(call)) return;
    // The gates come after the wait. A client that has a copy of a token, and not its key, is not waited for.
    if (!house.holds(visit)) return;
    const caller = ratedOf(facts);
    const before = this.waiting.get(caller) ?? 0;
    if (before >= LIMITS.most_waiting) return; // calls that wait are not counted before they have waited
    this.waiting.set(caller, before + 1);
    try {
      for (const until = Date.now() + WAIT_MS; Date.now() < until;) {
        const asked = await ask(house, visit, state);
        if (asked === null || asked.decision !== null || asked.id !== state) return;
        await scheduler.wait(LOOK_MS);
      }
    } finally {
      const left = (this.waiting.get(caller) ?? 1) - 1;
      if (left > 0) this.waiting.set(caller, left);
      else this.waiting.delete(caller);
    }
  }
}

/** The result that sends a human to the page; null where the refusal stands: this client opens no pages, nobody can be
 * asked, or the human has said no, or did not open the page. */
export async function askTheHuman(
  house: Gatehouse,
  visit: DoorRequest,
  decision: Decision,
): Promise<InputRequiredResult | null> {
  const { call } = visit;
  if (decision.rule !== "limits.approval" || !takesUrls(call) || declined(call)) return null;
  const asked = await ask(house, visit, null);
  if (asked === null || asked.decision !== null) return null;
  const message = say("approve", { reason: decision.reason });
  const page = inputRequired.elicitUrl({ message, url: asked.url });
  return inputRequired({ inputRequests: { [NAME]: page }, requestState: asked.id });
}

async function ask(house: Gatehouse, visit: DoorRequest, known: string | null): Promise<Question | null> {
  const [detail] = visit.facts.approval === null ? house.approvable(visit) : [];
  if (detail === undefined || visit.token === null) return null;
  try {
    return await askToApprove(visit.token, detail, known, house.settings);
  } catch (error) {
    if (error instanceof AuthServerUnavailable) return null;
    throw error;
  }
}

/** Whether the client says that its human did not open the page. */
function declined(call: Call): boolean {
  return ["decline", "cancel"].includes(String(found(call, "inputResponses", NAME, "action")));
}

/** Whether the client says that it opens pages for its human. */
function takesUrls(call: Call): boolean {
  return isObject(found(call, "_meta", CAPABILITIES, "elicitation", "url"));
}

function found(call: Call, ...names: string[]): unknown {
  return ["params", ...names].reduce<unknown>((at, name) => (isObject(at) ? at[name] : undefined), call.message);
}
