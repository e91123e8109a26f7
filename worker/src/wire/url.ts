/** A URL from text that somebody else wrote, or null where it is none. */
export function urlOf(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}
