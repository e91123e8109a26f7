/** The tools' arguments, checked as their schemas say and a little more: nothing that could forge what is displayed. */

import { SIZES, type Size } from "../catalog";

/** Arguments that do not fit: which ones and why, without the values themselves. */
export class BadArguments extends Error {
  constructor(faults: string[]) {
    super(`Nothing was done. The arguments do not fit: ${faults.join("; ")}.`);
  }
}

export interface Wish {
  company: string;
  address: string;
  size: Size;
  key: string | null;
}

/** Control characters, line separators, halves of characters, and what turns the writing direction around. */
const FORGING = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;

type Checked<T> = { value: T } | { fault: string };

/** @throws BadArguments */
export function wishOf(given: Record<string, unknown>): Wish {
  const company = textOf(given["company"], 100, (text) => text.trim());
  const address = textOf(given["mailingAddress"], 300, oneLine);
  const size = oneOf(given["tshirtSize"], SIZES);
  const key = keyOf(given["idempotencyKey"] ?? null);
  const named = { company, mailingAddress: address, tshirtSize: size, idempotencyKey: key };
  if ("value" in company && "value" in address && "value" in size && "value" in key) {
    return { company: company.value, address: address.value, size: size.value, key: key.value };
  }
  throw new BadArguments(
    Object.entries(named).flatMap(([name, one]) => ("fault" in one ? [`${name}: ${one.fault}`] : [])),
  );
}

/** @throws BadArguments */
export function modeOf(given: Record<string, unknown>): "normal" | "banned" {
  const mode = oneOf(given["mode"], ["normal", "banned"] as const);
  if ("fault" in mode) throw new BadArguments([`mode: ${mode.fault}`]);
  return mode.value;
}

/** An address may come in lines; it is kept in one. */
function oneLine(text: string): string {
  const lines = text
    .split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/)
    .map((line) => line.replace(/^[ ,]+|[ ,]+$/g, ""));
  return lines
    .filter((line) => line !== "")
    .join(", ")
    .trim();
}

function textOf(given: unknown, most: number, tidy: (text: string) => string): Checked<string> {
  if (given === undefined) return { fault: "Field required" };
  if (typeof given !== "string") return { fault: "must be a string" };
  const length = [...given].length;
  if (length === 0) return { fault: "must have at least 1 character" };
  if (length > most) return { fault: `must have at most ${most} characters` };
  const text = tidy(given);
  if (FORGING.test(text)) return { fault: "must not contain control characters" };
  return text === "" ? { fault: "must not be empty" } : { value: text };
}

function keyOf(given: unknown): Checked<string | null> {
  if (given === null) return { value: null };
  if (typeof given !== "string") return { fault: "must be a string" };
  if ([...given].length > 200) return { fault: "must have at most 200 characters" };
  return FORGING.test(given) ? { fault: "must not contain control characters" } : { value: given };
}

function oneOf<T extends string>(given: unknown, allowed: readonly T[]): Checked<T> {
  if (given === undefined) return { fault: "Field required" };
  const found = allowed.find((one) => one === given);
  return found === undefined ? { fault: `must be one of ${allowed.join(", ")}` } : { value: found };
}
