/** Values that somebody else wrote: JSON and URLs. */

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A string with something in it, or null. */
export function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

/** A URL from text that somebody else wrote, or null where it is none. */
export function urlOf(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

/** The names of this very machine, as `URL.hostname` has them. */
export const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];

/** A name of an allowlist as it is compared: without the case of ASCII's letters. `toLowerCase` would make one address of
 * two: the lower case of the Kelvin sign is "k". */
export function spelled(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
