/** The JSON-RPC message in a request's body: read once, bounded, and passed on exactly as it was understood. */

import { LIMITS, say } from "../catalog";
import { isObject } from "./values";

export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const INTERNAL_ERROR = -32603;
export const REFUSED = -32003;
export const TOO_MANY = -32029;

/** Why a body is no single JSON-RPC message: the HTTP status and the JSON-RPC error to answer. */
export interface Unacceptable {
  status: number;
  code: number;
  message: string;
}

/** A body that cannot be read; thrown where it is read, answered where the request is. */
export class Unreadable extends Error {
  constructor(readonly why: Unacceptable) {
    super(why.message);
  }
}

/** A JSON-RPC message as the gates see it. All null for a request without one (GET, DELETE). */
export interface Call {
  id: string | number | null;
  method: string | null;
  /** The tool's name, from the body; a header that says otherwise is not believed. */
  tool: string | null;
  arguments: Record<string, unknown>;
  /** A digest of the arguments for the audit log; they themselves may hold a postal address. */
  digest: string | null;
  message: Record<string, unknown> | null;
  /** `_meta` of its parameters. */
  meta: Record<string, unknown>;
  /** What the request is called in the records of others; null where it is not a request of a client's. */
  known: Known | null;
}

/** What a request is known by: `correlation` always, `trace_id` where it is part of a trace, with what it was told by. */
export interface Known {
  correlation: string;
  trace_id: string | null;
  traceparent: string | null;
}

export const NO_CALL: Call = {
  id: null,
  method: null,
  tool: null,
  arguments: {},
  digest: null,
  message: null,
  meta: {},
  known: null,
};

/**
 * The whole body of a request, up to `most` bytes and ten seconds.
 *
 * @throws Unreadable too long (413) or too slow (408).
 */
export async function readBody(request: Request, most: number = LIMITS.message_bytes): Promise<Uint8Array> {
  const tooLong = new Unreadable({
    status: 413,
    code: INVALID_REQUEST,
    message: say("message_too_long", { bytes: most }),
  });
  if (Number(request.headers.get("content-length") ?? 0) > most) throw tooLong;
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  let late: ReturnType<typeof setTimeout> | null = null;
  const tooSlow = new Promise<never>((_, reject) => {
    const message = say("message_too_slow", { seconds: LIMITS.message_seconds });
    late = setTimeout(
      () => reject(new Unreadable({ status: 408, code: INVALID_REQUEST, message })),
      1000 * LIMITS.message_seconds,
    );
  });
  try {
    const parts: Uint8Array[] = [];
    for (let length = 0; ;) {
      const { done, value } = await Promise.race([reader.read(), tooSlow]);
      if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
      length += value.byteLength;
      if (length > most) throw tooLong;
      parts.push(value);
    }
  } catch (error) {
    await reader.cancel().catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(late);
  }
}

/**
 * The JSON-RPC message in a POST's body.
 *
 * @throws Unreadable it is not JSON, or not one JSON object (batches are gone from MCP since 2025-06-18).
 */
export async function parse(body: Uint8Array): Promise<Call> {
  let message: unknown;
  let again: string;
  try {
    message = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
    again = canonical(message); // A message nested too deep for this is nested too deep for what comes after.
  } catch {
    throw new Unreadable({ status: 400, code: PARSE_ERROR, message: say("not_json") });
  }
  if (Array.isArray(message)) {
    throw new Unreadable({ status: 400, code: INVALID_REQUEST, message: say("batch") });
  }
  if (!isObject(message) || again === "") {
    throw new Unreadable({ status: 400, code: INVALID_REQUEST, message: say("not_a_message") });
  }
  const { id, method, params } = message;
  const call: Call = {
    ...NO_CALL,
    id: typeof id === "string" || Number.isInteger(id) ? (id as string | number) : null,
    method: typeof method === "string" ? method : null,
    message,
    meta: isObject(params) && isObject(params["_meta"]) ? params["_meta"] : {},
  };
  if (method !== "tools/call") return call;
  const given = isObject(params) && isObject(params["arguments"]) ? params["arguments"] : {};
  const name = isObject(params) ? params["name"] : null;
  return { ...call, tool: typeof name === "string" ? name : null, arguments: given, digest: await digest(given) };
}

/** The first 16 hexadecimal digits of the SHA-256 of a value's canonical JSON. */
export async function digest(value: unknown): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonical(value)));
  const hex = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `sha256:${hex.slice(0, 16)}`;
}

/** JSON with sorted names, no spaces and ASCII only: the same text, no matter who wrote it. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (isObject(value)) {
    const members = Object.keys(value)
      .sort()
      .map((name) => `${canonical(name)}:${canonical(value[name])}`);
    return `{${members.join(",")}}`;
  }
  const escape = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, escape);
}

/** The purchase's idempotency key, or null where there is none that could have been used. */
export function idempotencyKey(call: Call): string | null {
  const key = call.arguments["idempotencyKey"];
  return typeof key === "string" && key.isWellFormed() ? key : null;
}
