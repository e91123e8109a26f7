/** A tool's arguments, checked as its schema says and a little more: nothing that could forge what is displayed. */

import { say, TOOLS } from "../catalog";

/** Arguments that do not fit: which ones and why, without the values themselves. */
export class BadArguments extends Error {}

/** Arguments by name, tidied; an optional one that is absent is null, and what the schema requires never is. */
export type Arguments = Record<string, string | null>;

interface Schema {
  anyOf?: readonly Schema[];
  enum?: readonly string[];
  minLength?: number;
  maxLength?: number;
}

/** Control characters, line separators, halves of characters, and what turns the writing direction around. */
const FORGING = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;

/** @throws BadArguments naming each argument at fault. */
export function readArguments(tool: string, given: Record<string, unknown>): Arguments {
  const schema = TOOLS.find(({ name }) => name === tool)?.inputSchema;
  const required: readonly string[] = schema !== undefined && "required" in schema ? schema.required : [];
  const found: Arguments = {};
  const faults: string[] = [];
  for (const [name, one] of Object.entries<Schema>(schema?.properties ?? {})) {
    try {
      if (given[name] === undefined && required.includes(name)) throw new BadArguments(say("missing"));
      found[name] = read(name, one, given[name] ?? null);
    } catch (error) {
      if (!(error instanceof BadArguments)) throw error;
      faults.push(`${name}: ${error.message}`);
    }
  }
  if (faults.length > 0) throw new BadArguments(say("bad_arguments", { faults: faults.join("; ") }));
  return found;
}

function read(name: string, schema: Schema, value: unknown): string | null {
  if (schema.anyOf !== undefined) return value === null ? null : read(name, schema.anyOf[0] ?? {}, value);
  if (schema.enum?.includes(value as string) === false) {
    throw new BadArguments(say("not_one_of", { words: schema.enum.join(", ") }));
  }
  if (typeof value !== "string") throw new BadArguments(say("not_text"));
  const { length } = [...value];
  const { minLength: least = 0, maxLength: most = length } = schema;
  if (length < least) throw new BadArguments(say("too_short"));
  if (length > most) throw new BadArguments(say("too_many", { most }));
  const text = least === 0 ? value : (name === "mailingAddress" ? oneLine(value) : value).trim();
  if (FORGING.test(text)) throw new BadArguments(say("control"));
  if (least > 0 && text === "") throw new BadArguments(say("empty"));
  return text;
}

/** An address may come in lines; it is kept in one. */
function oneLine(address: string): string {
  return address
    .split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/)
    .map((line) => line.replace(/^[ ,]+|[ ,]+$/g, ""))
    .filter((line) => line !== "")
    .join(", ");
}
