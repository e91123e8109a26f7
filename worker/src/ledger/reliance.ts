/** What the authorization server said of one human's grants, for as long as it may be relied on, and what it has
 * revoked since.
 *
 * It answers no revocation before this object has acknowledged the event about it, or its own lease is over, which is
 * longer than `LEASE_SECONDS`. So what it said a moment ago holds until an event comes, and for no longer than that.
 * All of it is in the object's memory: when the object ends, so does every request that relied on it. */

import type { Kind, Standing, TokenFacts } from "../policy/facts";

/** How long what was said is relied on, in seconds (docs/wire.md). */
export const LEASE_SECONDS = 5;

/** How long an event is remembered: nothing is relied on that was asked for before it. */
const REMEMBERED_SECONDS = 60;

/** Grants kept of one human, at most. */
const MOST_GRANTS = 1000;

/** How often a request asks again whose grant changes, or whose lease ends, while it is being served. */
export const TRIES = 5;

/** What the authorization server said, and since when it is relied on; `since` is null where it was not asked. */
export interface Relied {
  standing: Standing;
  since: Since | null;
}

/** `heard`: the last event that had come when it was asked; `at`: milliseconds. */
export interface Since {
  heard: number;
  at: number;
}

/** What was said before may not be acted on any more: ask again. */
export class StandingChanged extends Error {}

export class Reliance {
  private heard = 0;
  private readonly events = new Map<string, { number: number; at: number }>();
  private readonly grants = new Map<string, { standing: Standing; since: Since; token: TokenFacts }>();

  /** To be called before the authorization server is asked. */
  since(): Since {
    return { heard: this.heard, at: Date.now() };
  }

  /** Note that something of a session, an agent or a user changed. */
  note(kind: Kind, id: string): void {
    const now = Date.now();
    for (const [name, { at }] of this.events) if (now - at > 1000 * REMEMBERED_SECONDS) this.events.delete(name);
    this.heard += 1;
    this.events.set(`${kind} ${id}`, { number: this.heard, at: now });
    for (const [grant, { since, token }] of this.grants) {
      if (this.changed(token, since) !== null) this.grants.delete(grant);
    }
  }

  /** What of this token's grant has changed since: the narrowest kind of it, or null. */
  changed(token: TokenFacts, since: Since): Kind | null {
    const named: [Kind, string | null][] = [
      ["session", token.session],
      ...token.chain.map((agent): [Kind, string] => ["agent", agent]),
      ["user", token.user],
    ];
    const found = named.find(([kind, id]) => (this.events.get(`${kind} ${id}`)?.number ?? 0) > since.heard);
    return found?.[0] ?? null;
  }

  /** Whether more time has gone by than what was said is good for; or the clock went back, and nobody knows. */
  over(since: Since): boolean {
    const gone = Date.now() - since.at;
    return gone < 0 || gone > 1000 * LEASE_SECONDS;
  }

  /**
   * See that what was said may be acted on now, in the block that acts.
   *
   * @throws StandingChanged it may not.
   */
  check(token: TokenFacts, since: Since | null): void {
    if (since !== null && (this.over(since) || this.changed(token, since) !== null)) throw new StandingChanged();
  }

  /** What was said of this token's grant, where it may be relied on; null: ask. */
  kept(token: TokenFacts): Relied | null {
    const found = this.grants.get(nameOf(token));
    if (found === undefined) return null;
    const same = (["user", "client", "organization"] as const).every((one) => found.token[one] === token[one]);
    return same && !this.over(found.since) ? { standing: found.standing, since: found.since } : null;
  }

  /** Keep what was said. A no is never kept. */
  keep(token: TokenFacts, standing: Standing, since: Since): void {
    if (token.session === null || !standing.active || this.changed(token, since) !== null) return;
    this.grants.delete(nameOf(token));
    this.grants.set(nameOf(token), { standing, since, token });
    const [oldest] = this.grants.keys();
    if (this.grants.size > MOST_GRANTS && oldest !== undefined) this.grants.delete(oldest);
  }
}

/** What a grant is kept by: sub-agents act in the session of the agent above them. */
function nameOf({ session, chain }: TokenFacts): string {
  return JSON.stringify([session, ...chain]);
}
