/** A URL from text that somebody else wrote, or null where it is none. */
export function urlOf(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

/** The names of this very machine, as `URL.hostname` has them. */
export const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];
