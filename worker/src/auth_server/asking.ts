/** Asking the authorization server over HTTP: bounded in time and bytes, no redirects, JSON or nothing. */

import { LIMITS, say } from "../catalog";
import { isObject, text } from "../wire/values";

/** The authorization server could not be asked, or something else answered; the message is a few words. With a `fix`
 * a retry will not help: it says what who runs the shop must do. */
export class AuthServerUnavailable extends Error {
  constructor(
    message: string,
    readonly fix: string | null = null,
  ) {
    super(message);
  }
}

/** How far an issuer's clock is from ours, in milliseconds, by the `Date` of its last answer. */
const skews = new Map<string, number>();

/** The authorization server's clock minus ours in seconds, as last heard in this isolate; null before its first
 * answer. */
export function skewOf(issuer: string): number | null {
  const known = skews.get(issuer);
  return known === undefined ? null : known / 1000;
}

function heard(issuer: string, headers: Headers): void {
  // RFC 9111 section 5.1: an answer from a cache has an old date.
  const told = Date.parse(headers.get("date") ?? "") + 1000 * Number(headers.get("age") ?? 0);
  // `Date` is cut to whole seconds: half a second is the expected loss.
  if (Number.isFinite(told)) skews.set(issuer, told + 500 - Date.now());
}

/**
 * One HTTP question to an issuer; gives the response with its body read. Every question may be asked twice, and is where
 * the connection was lost before an answer began: one that was kept open may have been closed on the other side.
 *
 * @param timeout milliseconds, from connection to last byte.
 * @throws AuthServerUnavailable no answer in time, or too long a one.
 */
export async function askBounded(issuer: string, url: string, init: RequestInit, timeout: number): Promise<Response> {
  try {
    const signal = AbortSignal.timeout(timeout);
    // An authorization server is where it says it is: a redirect is an answer, and the wrong one.
    const ask = () => fetch(url, { ...init, redirect: "manual", signal });
    const response = await ask().catch((error: unknown) => {
      if (isLate(error)) throw error;
      return ask();
    });
    heard(issuer, response.headers);
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      length += part.byteLength;
      if (length > LIMITS.answer_bytes) throw new AuthServerUnavailable(say("too_long"));
      parts.push(part);
    }
    const body = response.status === 204 || response.status === 304 ? null : await new Blob(parts).text();
    return new Response(body, { status: response.status, headers: response.headers });
  } catch (error) {
    if (error instanceof AuthServerUnavailable) throw error;
    throw new AuthServerUnavailable(say(isLate(error) ? "late" : "no_connection"));
  }
}

function isLate(error: unknown): boolean {
  return error instanceof Error && /Timeout|Abort/.test(error.name);
}

/** The JSON object in a response, or null where it is none. */
export async function jsonObject(response: Response): Promise<Record<string, unknown> | null> {
  try {
    const found: unknown = JSON.parse(await response.text());
    return isObject(found) ? found : null;
  } catch {
    return null;
  }
}

/** The email address among claims, or null. One that is said not to be verified opens nothing (OpenID Connect Core 1.0
 * section 5.1, `email_verified`): an allowlist goes by it. */
export function address(claims: Record<string, unknown>): string | null {
  return claims["email_verified"] === false ? null : text(claims["email"]);
}
