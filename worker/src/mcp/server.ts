/** The MCP server behind both doors: the SDK's, one for each request, at every revision that the SDK speaks. */

import {
  createMcpHandler,
  INVALID_PARAMS,
  isLegacyRequest,
  preloadSchemas,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  WebStandardStreamableHTTPServerTransport,
  type CallToolResult,
  type InputRequiredResult,
  type Tool,
} from "@modelcontextprotocol/server";
import { say, SERVER, TOOLS } from "../catalog";
import type { LimitUse } from "../evidence";
import type { DoorRequest } from "../gatehouse/requests";
import { rpcError, type Answer } from "../wire/answer";
import { METHOD_NOT_FOUND } from "../wire/message";
import { BadArguments, readArguments } from "../wire/arguments";
import { TOOLS_BY_NAME, ToolError, type Admission } from "./tools";

const VERSION = "0.1.0";

// While the isolate starts, and not in its first request.
preloadSchemas();

const { instructions, ...NAMES } = SERVER;

/** What a tool call runs for, with the caller's limits as they are once it ran. */
export type Serving = Admission & { limits: () => LimitUse[] };

/** The answer to a refused purchase that sends its human to a page; null where this client cannot be told so, as at an
 * older revision. */
export async function answerByAsking(
  visit: DoorRequest,
  base: string,
  result: InputRequiredResult,
): Promise<Answer | null> {
  const { message } = visit.call;
  const request = requestOf(visit, base, new Headers(visit.headers));
  if (await isLegacyRequest(request(), message)) return null;
  const asking = () => {
    const server = new Server({ ...NAMES, version: VERSION }, { capabilities: { tools: {} }, instructions });
    server.setRequestHandler("tools/call", () => result);
    return server;
  };
  const handler = createMcpHandler(asking, { legacy: "reject" });
  const answer = await answerOf(await handler.fetch(request(), { parsedBody: message }));
  return answer.status === 200 ? answer : null;
}

/** Hand a message that passed its door to the MCP server; what the gates read of it is all that it gets. */
export async function answerMcp(visit: DoorRequest, serving: Serving): Promise<Answer> {
  const { message, id, method } = visit.call;
  const headers = new Headers(visit.headers);
  const request = requestOf(visit, serving.settings.base, headers);
  if (await isLegacyRequest(request(), message)) {
    // The SDK wants both types to be accepted; a client that takes JSON is given JSON.
    if (/application\/json|\*\/\*/.test(headers.get("accept") ?? "")) {
      headers.set("accept", "application/json, text/event-stream");
    }
    const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true });
    await build(serving).connect(transport);
    return answerOf(await transport.handleRequest(request(), { parsedBody: message }));
  }
  if (method === "subscriptions/listen") {
    // Nothing here ever changes unasked, and a stream would stay open after its grant was revoked.
    return rpcError(404, id, { code: METHOD_NOT_FOUND, message: "Method not found", data: method });
  }
  const handler = createMcpHandler(() => build(serving), { legacy: "reject" });
  const answer = await answerOf(await handler.fetch(request(), { parsedBody: message }));
  // What a handler calls bad parameters is a bad request too: the local shop answers so, and with it its contract.
  return answer.status === 200 && errorCode(answer) === INVALID_PARAMS ? { ...answer, status: 400 } : answer;
}

/** Makes the request that the SDK gets; each reads its body once. */
function requestOf({ call }: DoorRequest, base: string, headers: Headers): () => Request {
  headers.set("content-type", "application/json");
  return () => new Request(`${base}/mcp`, { method: "POST", headers, body: JSON.stringify(call.message) });
}

function errorCode({ body }: Answer): number | null {
  const { error = null } = JSON.parse(body ?? "{}") as { error?: { code: number } | null };
  return error?.code ?? null;
}

/** A response of the SDK's as plain data. */
async function answerOf(response: Response): Promise<Answer> {
  const body = response.body === null ? null : await response.text();
  const type = response.headers.get("content-type");
  return { status: response.status, headers: type === null ? [] : [["content-type", type]], body };
}

function build(serving: Serving): Server {
  const capabilities = {
    tools: { listChanged: false },
    prompts: { listChanged: false },
    resources: { listChanged: false, subscribe: false },
  };
  const server = new Server({ ...NAMES, version: VERSION }, { capabilities, instructions });
  server.setRequestHandler("tools/list", () => ({ tools: TOOLS as unknown as Tool[] }));
  server.setRequestHandler("tools/call", (request) => callTool(request.params.name, serving));
  server.setRequestHandler("prompts/list", () => ({ prompts: [] }));
  server.setRequestHandler("prompts/get", (request) => {
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, say("unknown_prompt", { name: request.params.name }));
  });
  server.setRequestHandler("resources/list", () => ({ resources: [] }));
  server.setRequestHandler("resources/templates/list", () => ({ resourceTemplates: [] }));
  server.setRequestHandler("resources/read", (request) => {
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown resource: ${request.params.uri}`, {
      uri: request.params.uri,
    });
  });
  return server;
}

/** Run a tool; its result says in `_meta` what was decided about the call, and how much of its limits is left. */
async function callTool(name: string, serving: Serving): Promise<CallToolResult> {
  const result = await run(name, serving);
  const { admitted, shop } = serving;
  if (admitted.due) Object.assign(admitted, { decision: shop.record(admitted.decision), due: false });
  const meta = { "demo/decision": serving.admitted.decision, "demo/limits": serving.limits() };
  return { ...result, _meta: meta };
}

async function run(name: string, serving: Serving): Promise<CallToolResult> {
  const tool = TOOLS_BY_NAME.get(name);
  if (tool === undefined) return failed(say("unknown_tool", { name }));
  try {
    const structuredContent = await tool(serving, readArguments(name, serving.visit.call.arguments));
    const text = JSON.stringify(structuredContent, null, 2);
    return { content: [{ type: "text", text }], structuredContent, isError: false };
  } catch (error) {
    if (error instanceof ToolError || error instanceof BadArguments) return failed(error.message);
    console.error(`tool ${name} failed`, error);
    return failed(say("failed"));
  }
}

function failed(text: string): CallToolResult {
  return { content: [{ type: "text", text }], isError: true };
}
