/** Who may start, see and stop the agent: its owner, by a secret (HTTP Basic, RFC 7617, which browsers and curl both know). */

export const CHALLENGE = 'Basic realm="the agent\'s owner", charset="UTF-8"';

/** Whether a request comes from the owner. */
export async function isOwner(request: Request, secret: string): Promise<boolean> {
  const [scheme, given] = (request.headers.get("authorization") ?? "").split(" ", 2);
  if (scheme?.toLowerCase() !== "basic" || given === undefined) return false;
  try {
    const bytes = Uint8Array.from(atob(given), (character) => character.charCodeAt(0));
    const password = new TextDecoder().decode(bytes).split(":").slice(1).join(":");
    const [left, right] = await Promise.all([digest(password), digest(secret)]);
    return crypto.subtle.timingSafeEqual(left, right);
  } catch {
    return false;
  }
}

/** Whether a page of somebody else's sent it: a browser adds the owner's secret to such a request, too. */
export function isForeign(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  const origin = request.headers.get("origin");
  return (
    (site !== null && site !== "same-origin" && site !== "none") ||
    (origin !== null && origin !== new URL(request.url).origin)
  );
}

/** Of one length, so that comparing takes one time. */
function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
