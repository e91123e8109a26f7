/** An HTTP answer of the shop's own: plain data, which crosses from a user's object to the Worker as it is. */

import { LIMITS, say } from "../catalog";
import { INTERNAL_ERROR, INVALID_REQUEST, type Unacceptable } from "./message";

export interface Answer {
  status: number;
  /** Names and values, two strings each. */
  headers: string[][];
  body: string | null;
}

/** JSON that no cache may keep. */
export function json(status: number, body: unknown, headers: string[][] = []): Answer {
  const fixed = [
    ["content-type", "application/json"],
    ["cache-control", "no-store"],
  ];
  return { status, headers: [...fixed, ...headers], body: JSON.stringify(body) };
}

/** A JSON-RPC error response. */
export function rpcError(
  status: number,
  id: string | number | null,
  error: { code: number; message: string; data?: unknown },
  headers: string[][] = [],
): Answer {
  return json(status, { jsonrpc: "2.0", id, error }, headers);
}

/** An error of a route that speaks no JSON-RPC, in OAuth's shape (RFC 6749 section 5.2). */
export function plainError(status: number, error: string, description: string, headers: string[][] = []): Answer {
  return json(status, { error, error_description: description }, headers);
}

/** The answer to a body that is no JSON-RPC message. */
export function unacceptable({ status, code, message }: Unacceptable): Answer {
  return rpcError(status, null, { code, message });
}

/** The answer to another HTTP method than POST (RFC 9110 section 15.5.6). */
export function postOnly(): Answer {
  return rpcError(405, null, { code: INVALID_REQUEST, message: say("post_only") }, [["allow", "POST"]]);
}

/** The answer when the ledger or the audit log cannot be written: nothing may happen unrecorded. */
export function unwritable(id: string | number | null): Answer {
  return rpcError(503, id, { code: INTERNAL_ERROR, message: say("no_audit") }, [
    ["retry-after", String(LIMITS.retry_seconds)],
  ]);
}

/** What goes to the client. */
export function toResponse({ status, headers, body }: Answer): Response {
  return new Response(body, { status, headers });
}
