/** `/mcp` and `/open/mcp`: read the request at the edge, then let the caller's own object decide and answer. */

import type { Door } from "../evidence";
import { NO_FACTS } from "../policy/facts";
import { NO_POSSESSION } from "../policy/proof";
import type { Env } from "../env";
import type { Settings } from "../settings";
import { unacceptable, type Answer } from "../wire/answer";
import { NO_CALL, parse, readBody, Unreadable, type Call, type Unacceptable } from "../wire/message";
import { addressOf, knownBy, ledgerOf, presented } from "./edge";

/** The headers that an MCP server reads, beside those that tell it where it is. */
const PASSED = /^(accept|mcp-.*|last-event-id)$/;

/** Answer a request to a door. */
export async function enter(
  door: Door,
  request: Request,
  env: Env,
  settings: Settings,
  origin: string,
): Promise<Answer> {
  let call: Call = NO_CALL;
  let fault: Unacceptable | null = null;
  try {
    const body = await readBody(request);
    if (request.method === "POST") {
      try {
        call = await parse(body);
        if (!isJson(request)) fault = NOT_JSON;
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        fault = error.why;
      }
    }
  } catch (error) {
    if (error instanceof Unreadable) return unacceptable(error.why);
    throw error;
  }
  call = { ...call, known: knownBy(request.headers, call.meta) };
  const headers = [...request.headers].filter(([name]) => PASSED.test(name)) as [string, string][];
  const common = { origin, door, address: addressOf(request), method: request.method, headers, call, fault };
  if (door === "open") {
    const visit = {
      ...common,
      token: null,
      facts: NO_FACTS,
      possession: NO_POSSESSION,
      unavailable: null,
      skew: null,
    };
    return ledgerOf(null, env, settings).enter(visit);
  }
  const known = await presented(request, settings);
  return ledgerOf(known.facts.user, env, settings).enter({ ...common, ...known });
}

const NOT_JSON: Unacceptable = {
  status: 400,
  code: -32600,
  message: "The body's Content-Type must be application/json.",
};

function isJson(request: Request): boolean {
  return /^\s*application\/json\s*(;|$)/i.test(request.headers.get("content-type") ?? "");
}
