/** The one MCP server that the agent knows: logging in there, calls within bounds, and handing the authority back. */

import type { Agent } from "agents";
import { discoverAuthorizationServerMetadata, type CallToolResult } from "@modelcontextprotocol/client";
import type { Call, Tool } from "./deciding";
import { OwnersLogin, type Asking } from "./login";
import { ofError, ofResult, type Outcome } from "./outcome";
import type { Env } from "./settings";
import { message } from "./values";

/** By the SDK's id. */
const SHOP = "shop";
export const CALLBACK = "/callback";
const CALL_MS = 20_000;

/** Where a human has to consent before anything; or why nobody is asked. */
type Asked = { authorize: string } | { authorize: null; why: string };

export class Shop {
  readonly asking: Asking = { may: false, wanted: null };

  constructor(private readonly agent: Pick<Agent<Env>, "mcp" | "addMcpServer" | "removeMcpServer" | "getMcpServers">) {}

  /** Ask for authority: whatever was granted before is forgotten. */
  async logIn(url: string, callbackHost: string): Promise<Asked> {
    await this.forget();
    this.asking.may = true;
    let why = "This shop asks nobody who they are: there is no authority to act with.";
    try {
      const added = await within(
        CALL_MS,
        this.agent.addMcpServer(SHOP, url, {
          id: SHOP,
          callbackHost,
          callbackPath: CALLBACK,
          transport: { type: "streamable-http" },
          retry: { maxAttempts: 1 },
        }),
      );
      if (added.state === "authenticating") return { authorize: added.authUrl };
    } catch (error) {
      why = `The shop cannot be reached: ${message(error)}`;
    } finally {
      this.asking.may = false;
    }
    await this.forget();
    return { authorize: null, why };
  }

  /** Whether a consent that was asked for has failed, by the way back that names this server. */
  failed(serverId: string | undefined): boolean {
    return serverId !== undefined && this.agent.mcp.mcpConnections[serverId]?.connectionState === "failed";
  }

  /** Where a human has to consent now, if that was asked for. */
  get authorize(): string | null {
    return this.agent.getMcpServers().servers[SHOP]?.auth_url ?? null;
  }

  /** What it offers, once it is connected; an idempotency key is not for a model to choose. */
  tools(): Tool[] {
    return this.agent.mcp.listTools().map((tool) => {
      const parameters = structuredClone(tool.inputSchema) as Record<string, unknown> & {
        properties?: Record<string, unknown>;
      };
      delete parameters.properties?.idempotencyKey;
      return { name: tool.name, description: tool.description ?? "", parameters };
    });
  }

  /** One call, within bounds. */
  async call(call: Call): Promise<Outcome> {
    try {
      const ready = await this.connect();
      if (ready !== null) return ready;
      const given = { ...call, serverId: SHOP };
      const result = await within(CALL_MS, this.agent.mcp.callTool(given, { timeout: CALL_MS }));
      return ofResult(result as CallToolResult);
    } catch (error) {
      return this.#failure(error);
    }
  }

  /** See that the connection stands; gives what is wrong where it does not. */
  async connect(): Promise<Outcome | null> {
    const { mcp } = this.agent;
    this.asking.wanted = null;
    try {
      await mcp.waitForConnections({ timeout: CALL_MS });
      if (mcp.mcpConnections[SHOP]?.connectionState === "ready") return null;
      const connected = await within(CALL_MS, mcp.connectToServer(SHOP));
      if (connected.state !== "connected")
        return await this.#failure(new Error(connected.state === "failed" ? connected.error : ""));
      const found = await within(CALL_MS, mcp.discoverIfConnected(SHOP));
      return found?.success === true
        ? null
        : await this.#failure(new Error(found?.error ?? "its tools cannot be listed"));
    } catch (error) {
      return this.#failure(error);
    }
  }

  /** Whether there is a login to hand back. */
  get loggedIn(): boolean {
    return this.#login() !== null;
  }

  /** End the grant at the authorization server (RFC 7009), where that can be done, and forget it here. */
  async handBack(): Promise<void> {
    try {
      const tokens = await this.#login()?.tokens();
      const token = tokens?.refresh_token ?? tokens?.access_token;
      const metadata = tokens?.issuer
        ? await within(CALL_MS, discoverAuthorizationServerMetadata(tokens.issuer))
        : undefined;
      const endpoint =
        metadata !== undefined && "revocation_endpoint" in metadata ? metadata.revocation_endpoint : undefined;
      if (token !== undefined && endpoint !== undefined) {
        const body = new URLSearchParams({ token, client_id: this.#login()!.clientId });
        await fetch(endpoint, {
          method: "POST",
          body,
          redirect: "manual",
          signal: AbortSignal.timeout(CALL_MS),
        });
      }
    } catch (error) {
      console.warn("the token was not handed back; it ends by itself", message(error));
    }
    await this.forget();
  }

  async forget(): Promise<void> {
    if (this.agent.mcp.listServers().some(({ id }) => id === SHOP)) await this.agent.removeMcpServer(SHOP);
  }

  async #failure(error: unknown): Promise<Outcome> {
    const tokens = await this.#login()?.tokens();
    return ofError(error, this.asking.wanted, tokens?.refresh_token !== undefined);
  }

  #login(): OwnersLogin | null {
    const login = this.agent.mcp.mcpConnections[SHOP]?.options.transport.authProvider;
    return login instanceof OwnersLogin ? login : null;
  }
}

/** What a promise gives, within a time; the SDK's own waits have no end where nothing answers. */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds / 1000} s`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer ?? null);
  }
}
