/** What comes from outside, of which nothing is certain. */

/** An object of JSON, or null. */
export function record(value: unknown): Record<string, unknown> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

/** What an error says, of a length that can be kept and shown. */
export function message(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 300);
}
