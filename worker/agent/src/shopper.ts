/**
 * The agent: one Durable Object. What it was asked to do, the authority that a human gave it, its schedule and what it
 * bought are in the object's own storage, so that no process takes them along.
 */

import { Agent } from "agents";
import { BUY, SCRIPT, decide, script, workersAi, type Call, type Model } from "./deciding";
import { OwnersLogin } from "./login";
import type { Outcome } from "./outcome";
import { Purchases, type Purchase } from "./purchases";
import { readSettings, type Env, type Settings } from "./settings";
import { Shop } from "./shop";
import { message } from "./values";

/** How often one purchase is tried where nobody can say what became of it, and how long is waited before: up to that. */
const ATTEMPTS = 8;
const BACKOFF_MS = 1000;
const LONGEST_BACKOFF_MS = 5 * 60_000;

/** `new`: never started. `asking`: a human has to consent. `working`: it buys by its alarm. The others are ends. */
export type Phase = "new" | "asking" | "working" | "done" | "stopped" | "over" | "failed";

export interface Life {
  phase: Phase;
  why: string;
  /** Which start this is: part of each purchase's idempotency key, so that no start repeats another's. */
  round: string;
  /** How many consents it was given since it was made. */
  logins: number;
  /** How often it was brought into memory: by a first request, a deployment, a crash. */
  starts: number;
  /** When the next purchase is due, in milliseconds since 1970; null where there is none. */
  due: number | null;
}

export class Shopper extends Agent<Env, Life> {
  // Nobody connects to it by a WebSocket, and its name is nobody's business.
  static override options = { sendIdentityOnConnect: false };
  override initialState: Life = { phase: "new", why: "", round: "", logins: 0, starts: 0, due: null };

  /** Of this process alone: another one after a crash. */
  readonly #process = crypto.randomUUID();
  readonly #shop = new Shop(this);
  readonly #purchases = new Purchases(this);
  #busy = false;

  override async onStart(): Promise<void> {
    this.#purchases.prepare();
    // The pinned workerd does not tell an object that an alarm wakes what it is called (Cloudflare does, since March 2026):
    // the SDK then looks here.
    await this.ctx.storage.put("__ps_name", this.name);
    this.setState({ ...this.state, starts: this.state.starts + 1 });
    this.mcp.configureOAuthCallback({
      customHandler: ({ serverId, authSuccess, authError }) => {
        if (authSuccess) this.ctx.waitUntil(this.#begin());
        // Who comes with a made-up `state` changes nothing: while a human is asked, the SDK fails the connection for an answer
        // to its own question only. Later a connection has failed where the shop is down, and anybody may come here then.
        else if (this.state.phase === "asking" && this.#shop.failed(serverId)) {
          this.ctx.waitUntil(this.#end("stopped", `Nobody consented: ${(authError ?? "").slice(0, 300)}`));
        }
        return new Response(null, { status: 303, headers: { location: "/" } });
      },
    });
    // A crash between a purchase's note and the next alarm would else leave it asleep for ever.
    if (this.state.phase === "working") await this.#arm(this.state.due ?? Date.now());
  }

  override createMcpOAuthProvider(callback: string): OwnersLogin {
    return new OwnersLogin(this.ctx.storage, callback, this.#shop.asking);
  }

  /**
   * Begin, or begin again: gives where the human consents, or null where nobody is to be asked.
   *
   * @param round names this start, and with that its purchases: begun again with the same name it finds the orders of the
   *     first time, and buys nothing twice.
   */
  async begin(origin: string, round: string): Promise<string | null> {
    if (this.state.phase === "working") return null;
    const settings = readSettings(this.env);
    this.#purchases.forget(round);
    const asked = await this.#shop.logIn(settings.shop, settings.base ?? origin);
    if (asked.authorize === null) await this.#end("failed", asked.why);
    else this.setState({ ...this.state, phase: "asking", why: "", due: null, round });
    return asked.authorize;
  }

  /** Its owner stops it: it buys no more, and hands back what it was given. */
  async stop(): Promise<void> {
    // What has ended by itself says why, and has nothing left to hand back.
    if (this.state.phase !== "working" && this.state.phase !== "asking" && !this.#shop.loggedIn) return;
    await this.#end("stopped", "Its owner stopped it.");
    await this.#shop.handBack();
  }

  /** Its owner does not want to wait so long: the next purchase is due in so many seconds. */
  async hurry(seconds: number): Promise<void> {
    if (this.state.phase !== "working") return;
    const due = Date.now() + seconds * 1000;
    this.setState({ ...this.state, due });
    await this.#arm(due);
  }

  /** All that its owner may see; no token is in it. */
  status() {
    const { phase, why, logins, starts, due, round } = this.state;
    const { model, shop, task, purchases } = readSettings(this.env);
    return {
      phase,
      why,
      shop,
      task,
      decides: model || SCRIPT,
      process: this.#process,
      starts,
      logins,
      authorize: phase === "asking" ? this.#shop.authorize : null,
      due: due === null ? null : new Date(due).toISOString(),
      planned: purchases,
      purchases: this.#purchases.of(round).map((one) => ({
        ...one,
        args: one.args === "" ? null : (JSON.parse(one.args) as unknown),
        replayed: one.replayed === 1,
      })),
    };
  }

  /** The alarm: make the purchase that is due. Called once or more for each; what it does, it does once. */
  async buyNext(): Promise<void> {
    if (this.#busy) return; // two alarms at once: the other one also arms the next
    this.#busy = true;
    try {
      await this.#buyNext(readSettings(this.env));
    } catch (error) {
      await this.#later(message(error));
    } finally {
      this.#busy = false;
    }
  }

  async #buyNext(settings: Settings): Promise<void> {
    const { phase, due, round } = this.state;
    if (phase !== "working") return;
    if (due !== null && due > Date.now()) return this.#arm(due);
    const known = this.#purchases.of(round);
    let purchase = known.find((one) => one.status === "planned");
    // A deployment may have set a lower number since.
    if (purchase === undefined && known.length >= settings.purchases) return this.#done(known.length);
    // Written down before it is sent: whatever happens in between, it is sent again with the same key and finds its order.
    if (purchase !== undefined && purchase.attempts >= ATTEMPTS) {
      return this.#end("failed", `Gave up after ${ATTEMPTS} attempts: ${purchase.reason}`);
    }
    purchase ??= this.#purchases.plan(round);
    this.#purchases.attempt(purchase.key);
    if (purchase.args === "") {
      const decided = await this.#decide(settings);
      if ("kind" in decided) return this.#note(purchase, decided, settings);
      purchase.args = JSON.stringify({ ...decided.purchase, idempotencyKey: purchase.key });
      this.#purchases.decided(purchase.key, purchase.args, decided.says);
    }
    if (this.state.phase !== "working") return; // stopped while it thought
    const given = JSON.parse(purchase.args) as Record<string, unknown>;
    await this.#note(purchase, await this.#shop.call({ name: BUY, arguments: given }), settings);
  }

  /** What to buy; or why that cannot be decided. */
  async #decide(settings: Settings): Promise<{ says: string; purchase: Record<string, unknown> } | Outcome> {
    let stopped: Outcome | null = null;
    const read = async (call: Call): Promise<string> => {
      const outcome = await this.#shop.call(call);
      if (outcome.kind === "done") return outcome.text;
      if (outcome.kind === "refused" && !outcome.final) return outcome.reason;
      stopped = outcome;
      throw new Error(outcome.reason);
    };
    try {
      const ready = await this.#shop.connect();
      if (ready !== null) return ready;
      const decided = await decide(this.#model(settings), settings.task, this.#shop.tools(), read);
      if (decided.purchase !== null) return { says: decided.says, purchase: decided.purchase };
      return { kind: "refused", rule: "", reason: `Nothing was bought: ${decided.says}`, final: true };
    } catch (error) {
      return stopped ?? { kind: "trouble", reason: message(error) };
    }
  }

  #model(settings: Settings): Model {
    return settings.model !== "" && this.env.AI !== undefined ? workersAi(this.env.AI, settings.model) : script;
  }

  /** Write down what came of a purchase, and arm the next alarm; or end. */
  async #note(purchase: Purchase, outcome: Outcome, settings: Settings): Promise<void> {
    this.#purchases.note(purchase.key, outcome);
    switch (outcome.kind) {
      case "trouble":
        return this.#later(outcome.reason);
      case "over":
        await this.#end("over", outcome.reason);
        return this.#shop.forget();
      case "refused":
        if (outcome.final)
          return this.#end("stopped", outcome.rule ? `${outcome.rule}: ${outcome.reason}` : outcome.reason);
    }
    if (this.state.phase !== "working") return; // stopped meanwhile
    if (purchase.n >= settings.purchases) return this.#done(purchase.n);
    const due = Date.now() + settings.everySeconds * 1000;
    this.setState({ ...this.state, due });
    await this.#arm(due);
  }

  async #done(made: number): Promise<void> {
    await this.#end("done", `It made the ${made} purchases that it was asked for.`);
    return this.#shop.handBack();
  }

  /** Try again, later each time. */
  async #later(why: string): Promise<void> {
    if (this.state.phase !== "working") return;
    const attempts = this.#purchases.of(this.state.round).at(-1)?.attempts ?? ATTEMPTS;
    if (attempts >= ATTEMPTS) return this.#end("failed", `Gave up after ${attempts} attempts: ${why}`);
    const due = Date.now() + Math.min(BACKOFF_MS * 2 ** attempts, LONGEST_BACKOFF_MS);
    this.setState({ ...this.state, due, why });
    await this.#arm(due);
  }

  async #begin(): Promise<void> {
    // The browser may come to the callback twice; only the first time something begins.
    if (this.state.phase !== "asking") return;
    this.setState({ ...this.state, phase: "working", why: "", logins: this.state.logins + 1, due: Date.now() });
    await this.#arm(Date.now());
  }

  async #end(phase: Phase, why: string): Promise<void> {
    this.setState({ ...this.state, phase, why, due: null });
    for (const { id } of await this.listSchedules()) await this.cancelSchedule(id);
  }

  /** One alarm, and at no instant none: the new one first, then the old ones go. */
  async #arm(at: number): Promise<void> {
    const old = await this.listSchedules();
    const made = await this.schedule(new Date(at), "buyNext", undefined, { idempotent: false });
    for (const { id } of old) if (id !== made.id) await this.cancelSchedule(id);
  }
}
