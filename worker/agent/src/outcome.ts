/** What became of a call, read from what the MCP SDK gives or throws. */

import type { CallToolResult } from "@modelcontextprotocol/client";
import type { Asking } from "./login";
import { record } from "./values";

export type Outcome =
  | { kind: "done"; order: string | null; replayed: boolean; text: string }
  /** The shop said no: to these arguments, or (`final`) to this agent until a human changes something. */
  | { kind: "refused"; rule: string; reason: string; final: boolean }
  /** Nobody can say yet: again later, with the same key. */
  | { kind: "trouble"; reason: string }
  /** The authority is over, or is not enough: only a human can give more. */
  | { kind: "over"; reason: string };

export function ofResult(result: CallToolResult): Outcome {
  const structured = record(result.structuredContent);
  if (result.isError === true) return { kind: "refused", rule: "", reason: words(result), final: false };
  const order = record(structured?.order);
  return {
    kind: "done",
    order: typeof order?.id === "string" ? order.id : null,
    replayed: order?.replayed === true,
    text: structured === null ? words(result) : JSON.stringify(structured),
  };
}

/**
 * @param wanted what a human was wanted for in this call.
 * @param renewable whether there is a refresh token still: the SDK forgets one that the authorization server refused.
 */
export function ofError(error: unknown, wanted: Asking["wanted"], renewable: boolean): Outcome {
  const said = (error instanceof Error ? error.message : String(error)).slice(0, 300);
  const { status, text } = httpOf(error);
  if (wanted !== null && !renewable) {
    return { kind: "over", reason: "The shop refuses its token, and the authorization server renews it no more." };
  }
  if (wanted === "more") return { kind: "over", reason: "The shop wants more than this agent was granted." };
  if (wanted === "renewal") return { kind: "trouble", reason: "The authorization server did not renew the token." };
  if (status === 401) return { kind: "over", reason: "The shop refuses its token, although it was renewed." };
  if (status !== null && status >= 400 && status < 500 && ![408, 425, 429].includes(status)) {
    const refusal = decision(text);
    return { kind: "refused", rule: refusal?.rule ?? "", reason: refusal?.reason ?? `HTTP ${status}`, final: true };
  }
  return { kind: "trouble", reason: decision(text)?.reason ?? (said || "no answer") };
}

function httpOf(error: unknown): { status: number | null; text: string } {
  const data = record(record(error)?.data);
  return {
    status: typeof data?.status === "number" ? data.status : null,
    text: typeof data?.text === "string" ? data.text : "",
  };
}

/** The decision in a refusal's body (docs/wire.md: a JSON-RPC error with `data.decision`). */
function decision(body: string): { rule: string; reason: string } | null {
  try {
    const found = record(record(record(record(JSON.parse(body))?.error)?.data)?.decision);
    if (typeof found?.rule !== "string" || typeof found.reason !== "string") return null;
    return { rule: found.rule.slice(0, 100), reason: found.reason.slice(0, 300) };
  } catch {
    return null;
  }
}

function words(result: CallToolResult): string {
  const texts = result.content.map((part) => (part.type === "text" ? part.text : ""));
  return texts.join(" ").slice(0, 300);
}
