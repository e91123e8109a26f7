/** One at a time, in the order of asking. */

import { Unreadable, INTERNAL_ERROR } from "../wire/message";

/** Milliseconds that one waits for those before it. */
const TURN_MS = 15_000;

/** A line to stand in; it lives as long as the object that holds it. */
export class Turns {
  private last: Promise<unknown> = Promise.resolve();

  /**
   * Run `work` once everybody before it has finished, however they did.
   *
   * @throws Unreadable they took too long; then `work` is never run.
   */
  async take<T>(work: () => Promise<T>): Promise<T> {
    const before = this.last;
    let late: ReturnType<typeof setTimeout> | null = null;
    const mine = (async () => {
      const tooLate = new Promise<"late">((resolve) => {
        late = setTimeout(() => resolve("late"), TURN_MS);
      });
      const outcome = await Promise.race([before.then(() => "turn" as const), tooLate]);
      clearTimeout(late);
      if (outcome === "turn") return work();
      const message = "Other purchases on this consent take long. Nothing was bought; try again.";
      throw new Unreadable({ status: 503, code: INTERNAL_ERROR, message });
    })();
    // Whoever gave up waiting does not let those behind it pass the one that still works.
    this.last = Promise.allSettled([before, mine]);
    return mine;
  }
}
