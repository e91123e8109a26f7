/** Spans: one tree for a call, with the decision, wherever the collector is; and nothing that nobody asked for. */

import { env } from "cloudflare:workers";
import { JsonTraceSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { audit, buy, call, openAuthServer, orderOf, post, refusal, somebody, type AuthServer } from "./world";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER = "00f067aa0ba902b7";
const traceparent = `00-${TRACE}-${CALLER}-01`;

interface Sent {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  status: { code?: number };
  attributes: Record<string, string | number>;
}

let authServer: AuthServer;
/** What came at the collector: bodies as they are, and the key of each. */
let bodies: string[];
let keys: (string | null)[];
/** What the collector answers. */
let takes: () => Response | Promise<Response>;
/** `traceparent` of each introspection. */
let asked: (string | null)[];

beforeEach(async () => {
  authServer = await openAuthServer();
  [bodies, keys, asked] = [[], [], []];
  takes = () => Response.json({});
  // To be read here; `tests/contract` reads what is sent.
  vi.spyOn(ProtobufTraceSerializer, "serializeRequest").mockImplementation((spans) =>
    JsonTraceSerializer.serializeRequest(spans),
  );
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    if (request.url.endsWith("/introspect")) asked.push(request.headers.get("traceparent"));
    if (!request.url.startsWith("https://collector.test/")) return authServer.fetch(request);
    bodies.push(new TextDecoder().decode(await request.arrayBuffer()));
    keys.push(request.headers.get("x-key"));
    return takes();
  });
  collect("https://collector.test", "x-key=a%20key");
});

afterEach(() => collect("", ""));

function collect(endpoint: string, headers: string): void {
  Object.assign(env, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers });
}

/** The spans that came, once there are so many `gates` among them. */
async function spans(gates = 1): Promise<Sent[]> {
  return vi.waitFor(() => {
    const found = bodies.flatMap((body) =>
      JSON.parse(body).resourceSpans.flatMap((resource: any) => {
        const service = resource.resource.attributes.find((one: any) => one.key === "service.name");
        expect(service.value.stringValue).toBe("mcp-shop");
        return resource.scopeSpans.flatMap((scope: any) => scope.spans.map(read));
      }),
    );
    expect(found.filter((span) => span.name === "gates").length).toBe(gates);
    expect(found.filter((span) => span.kind === SERVER).length).toBe(gates);
    return found;
  });
}

function read(span: any): Sent {
  const attributes = span.attributes.map(({ key, value }: any) => [key, value.stringValue ?? value.intValue]);
  return { ...span, attributes: Object.fromEntries(attributes) };
}

const [INTERNAL, SERVER, CLIENT] = [1, 2, 3];
const ERROR = 2;

test("a purchase is one tree below its caller, from the request to the introspection", async () => {
  const one = somebody();
  const token = await authServer.token(one);
  const order = orderOf(await buy({ token, headers: { traceparent } }));
  const found = await spans();
  const [served] = found.filter((span) => span.kind === SERVER);
  const [gates] = found.filter((span) => span.name === "gates");
  const questions = found.filter((span) => span.kind === CLIENT);
  expect([served!.name, served!.parentSpanId]).toEqual(["POST /mcp", CALLER]);
  expect([gates!.kind, gates!.parentSpanId]).toEqual([INTERNAL, served!.spanId]);
  expect(questions.length).toBe(1);
  expect(questions[0]!.parentSpanId).toBe(gates!.spanId);
  expect(new Set(found.map((span) => span.traceId))).toEqual(new Set([TRACE]));
  // The authorization server is asked below that question's span.
  expect(asked).toEqual([`00-${TRACE}-${questions[0]!.spanId}-01`]);
  expect(served!.attributes).toEqual({
    "http.request.method": "POST",
    "http.route": "/mcp",
    "http.response.status_code": 200,
  });
  const [entry] = (await audit(token)).filter((entry) => entry.order_id === order.id);
  expect(entry!.trace_id).toBe(TRACE);
  expect(gates!.attributes).toEqual({
    "openinference.span.kind": "GUARDRAIL",
    "demo.verdict": "allow",
    "demo.gate": entry!.gate,
    "demo.rule": entry!.rule,
    "demo.door": "protected",
    "demo.audit_id": entry!.audit_id,
    "demo.order_id": order.id,
    "demo.client": "demo-agent",
    "demo.consent": one.consent_id,
    "user.id": one.sub,
    "session.id": one.sid,
    "gen_ai.agent.id": one.act.sub,
    "gen_ai.tool.name": "buyMcpShopItem",
  });
  expect(keys.every((key) => key === "a key")).toBe(true);
});

test("a refusal has its rule, and is no failure of the shop's", async () => {
  const token = await authServer.token({ ...somebody(), scope: "openid" });
  const refused = refusal(await call("getUserInfo", {}, { token, headers: { traceparent } }));
  const found = await spans();
  const [gates] = found.filter((span) => span.name === "gates");
  expect(gates!.attributes).toMatchObject({
    "demo.verdict": "deny",
    "demo.rule": "scope.insufficient",
    "demo.audit_id": refused.audit_id,
  });
  expect(found.map((span) => span.status.code).filter((code) => code === ERROR)).toEqual([]);
  expect(found.find((span) => span.kind === SERVER)!.attributes["http.response.status_code"]).toBe(403);
});

test("no token, no argument and no person is in any span, nor a path that a client chose", async () => {
  const token = await authServer.token(somebody());
  await buy({ token, headers: { traceparent } });
  await call("a-tool-of-theirs", {}, { token });
  await spans(2);
  await post("tools/list", {}, { path: "/s3cr3t/mcp" });
  await vi.waitFor(() => expect(bodies.join("")).toContain('"intValue":404'));
  const sent = bodies.join("");
  for (const told of [token, token.split(".")[1]!, "ACME", "1 Main St", "alice@example.com", "Alice Ito", "s3cr3t"]) {
    expect(sent).not.toContain(told);
  }
});

test("where a caller names its trace in _meta alone, the gates are in that one", async () => {
  const token = await authServer.token(somebody());
  const _meta = { traceparent };
  await post("tools/call", { name: "getUserInfo", arguments: {}, _meta }, { token, revision: "2025-11-25" });
  const found = await spans();
  const [gates] = found.filter((span) => span.name === "gates");
  expect([gates!.traceId, gates!.parentSpanId]).toEqual([TRACE, CALLER]);
});

test("a caller that is not sampled is not", async () => {
  const token = await authServer.token(somebody());
  await call("getUserInfo", {}, { token, headers: { traceparent: `00-${TRACE}-${CALLER}-00` } });
  expect(asked.at(-1)?.slice(0, 36)).toBe(`00-${TRACE}-`);
  expect(asked.at(-1)?.endsWith("-00")).toBe(true);
  // What would have been sent of it would have been by the time at which the next one is there.
  const other = "a".repeat(32);
  await call("getUserInfo", {}, { token, headers: { traceparent: `00-${other}-${CALLER}-01` } });
  expect(new Set((await spans()).map((span) => span.traceId))).toEqual(new Set([other]));
});

test("without a collector nothing is sent, and a trace is passed on as it came", async () => {
  collect("", "");
  const token = await authServer.token(somebody());
  await call("getUserInfo", {}, { token, headers: { traceparent } });
  expect(asked).toEqual([traceparent]);
  expect(bodies).toEqual([]);
});

test.each<[string, () => Response | Promise<Response>]>([
  ["refuses", () => new Response("no", { status: 401 })],
  ["is not there", () => Promise.reject(new TypeError("nobody listens"))],
  ["never answers", () => new Promise<Response>(() => undefined)],
])("a collector that %s changes no answer", async (_, answer) => {
  takes = answer;
  const token = await authServer.token(somebody());
  orderOf(await buy({ token }));
  expect((await call("listMcpShopOrders", {}, { token })).status).toBe(200);
  await vi.waitFor(() => expect(bodies.length).toBeGreaterThan(1));
});
