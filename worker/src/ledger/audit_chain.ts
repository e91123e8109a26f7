/** The audit log's hash chain, as `docs/wire.md` has it: a link is SHA-256 over the link before, 32 bytes, and the
 * canonical JSON of the entry, which holds its own place `seq`; what the first one follows is SHA-256 of the log's id.
 *
 * The platform's own hash, since what is written is hashed in the transaction that writes it: Web Crypto must be waited
 * for. */

import { createHash } from "node:crypto";

/** An entry as it is hashed, and stored: RFC 8785 of a flat object with ASCII names, which sort as their code units do. A
 * half of a surrogate pair, which is no text, is written as "?". */
export function canonical(entry: Record<string, unknown>): string {
  const flat = Object.keys(entry)
    .sort()
    .map((name) => [name, whole(entry[name])]);
  return JSON.stringify(Object.fromEntries(flat));
}

function whole(value: unknown): unknown {
  return typeof value === "string" ? value.replace(/\p{Surrogate}/gu, "?") : value;
}

/** The link of the entry with this canonical JSON, after the one with the link `previous`; both in hexadecimal. */
export function link(previous: string, entry: string): string {
  return createHash("sha256").update(previous, "hex").update(entry, "utf8").digest("hex");
}

/** What the first entry of the log with this id follows. */
export function firstLink(log: string): string {
  return createHash("sha256").update(log, "utf8").digest("hex");
}
