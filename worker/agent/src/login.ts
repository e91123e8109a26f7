/** The agent's login, of the Agents SDK: with the rule that no login begins unless its owner began it. */

import { DurableObjectOAuthClientProvider } from "agents";

/** Where the registration is kept beyond the connection, which the SDK forgets with all that belongs to it. */
const CLIENT = "client";
type Super = DurableObjectOAuthClientProvider;

/** What the object and its login know together, while it lives. */
export interface Asking {
  /** Whether a human may be asked now: while the owner starts the agent. */
  may: boolean;
  /** What a human was wanted for, and not asked: `renewal`, a token could not be renewed; `more`, it is not enough. */
  wanted: "renewal" | "more" | null;
}

/** The shop wants a human again, and nobody asked for a login. */
export class HumanNeeded extends Error {
  constructor() {
    super("the shop wants a human's consent, and the agent does not ask for it by itself");
  }
}

/**
 * The SDK's provider, which keeps client, verifier and tokens in the object's own storage, but for one thing: where the SDK
 * answers a refusal with a new authorization request, this one does only while the owner starts it. An agent that was
 * shut out would otherwise come back with a consent screen of its own making.
 */
export class OwnersLogin extends DurableObjectOAuthClientProvider {
  #renewing = false;

  constructor(
    storage: DurableObjectStorage,
    callback: string,
    private readonly asking: Asking,
  ) {
    super(storage, "shopper", callback);
  }

  override get clientMetadata() {
    // What the consent page says of it; the SDK would give the object's name.
    return { ...super.clientMetadata, client_name: "Night Shift Agent (Cloudflare)" };
  }

  /** One registration (RFC 7591) for all of its starts, so that a human sees one agent and not a new one each time. */
  override async clientInformation(
    ...given: Parameters<Super["clientInformation"]>
  ): ReturnType<Super["clientInformation"]> {
    const known = await super.clientInformation(...given);
    if (known !== undefined) return known;
    const kept = await this.storage.get<NonNullable<Awaited<ReturnType<Super["clientInformation"]>>>>(CLIENT);
    // At another address it is another client: this one's redirect URI is registered.
    if (kept === undefined || !("redirect_uris" in kept) || !kept.redirect_uris.includes(this.redirectUrl))
      return undefined;
    await super.saveClientInformation(kept);
    return kept;
  }

  override async saveClientInformation(...given: Parameters<Super["saveClientInformation"]>): Promise<void> {
    await this.storage.put(CLIENT, given[0]);
    return super.saveClientInformation(...given);
  }

  override async invalidateCredentials(scope: Parameters<Super["invalidateCredentials"]>[0]): Promise<void> {
    if (scope === "all" || scope === "client") await this.storage.delete(CLIENT);
    return super.invalidateCredentials(scope);
  }

  /** The SDK asks this right before it renews a token; undefined leaves the scope as it is. */
  scopeForRefresh(): undefined {
    this.#renewing = true;
  }

  override async state(): Promise<string> {
    const wanted = this.#renewing ? "renewal" : "more";
    this.#renewing = false;
    if (this.asking.may) return super.state();
    this.asking.wanted = wanted;
    throw new HumanNeeded();
  }

  override async saveTokens(...given: Parameters<Super["saveTokens"]>): Promise<void> {
    this.#renewing = false;
    return super.saveTokens(...given);
  }
}
