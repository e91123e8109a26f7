/** A host on Cloudflare's Agents SDK under workerd: `addMcpServer`, the SDK's own login, one call. Nothing is overridden. */

import { Agent, routeAgentRequest } from "agents";

const SHIRT = { company: "Acme", mailingAddress: "1 Main St", tshirtSize: "M" };

export class Shopper extends Agent {
  async onRequest(request) {
    const url = new URL(request.url);
    if (url.pathname.endsWith("/connect")) {
      const { state, id, authUrl } = await this.addMcpServer("shop", url.searchParams.get("shop"), {
        callbackHost: url.origin,
      });
      return Response.json({ state, id, open: authUrl ?? null });
    }
    const [[serverId, connection] = []] = Object.entries(this.mcp.mcpConnections);
    if (url.pathname.endsWith("/buy")) {
      const bought = await this.mcp.callTool({ serverId, name: "buyMcpShopItem", arguments: SHIRT });
      return Response.json(bought.structuredContent ?? bought);
    }
    const tools = this.mcp.listTools().map((tool) => tool.name);
    return Response.json({ state: connection?.connectionState ?? null, tools });
  }
}

export default {
  async fetch(request, env) {
    return (await routeAgentRequest(request, env)) ?? new Response("This tab can be closed.");
  },
};
