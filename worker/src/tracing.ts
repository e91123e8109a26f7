/** What the shop does, as spans (OpenTelemetry), where a variable says to which collector.
 *
 * Off by default. A span has ids, rules and statuses, and the same attributes as the local shop's (`demo/tracing`); never a
 * token, an argument, an address, a name, or a path that a client chose. Nobody waits for a collector: spans are sent
 * once, while the answer goes its way, and are dropped where that fails.
 *
 * Cloudflare's own tracing is no substitute: a custom span has no id to tell others, and joins no caller's trace
 * (developers.cloudflare.com/workers/observability/traces: custom-spans, known-limitations). */

import { waitUntil } from "cloudflare:workers";
import { AsyncLocalStorage } from "node:async_hooks";
import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
  type Context,
  type Span,
} from "@opentelemetry/api";
import { parseTraceParent } from "@opentelemetry/core";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, type ReadableSpan } from "@opentelemetry/sdk-trace-base";
import type { Decision } from "./evidence";
import type { Collector } from "./settings";

/** `service.name`, as the local shop's. */
const SERVICE = "mcp-shop";
/** Spans that wait to be sent, at most: of more the oldest are dropped. */
const MOST = 256;
/** Milliseconds that a collector has to take them. */
const TIMEOUT = 3000;

/** Ended spans of this isolate that were not sent yet. */
const waiting: ReadableSpan[] = [];
const tracer = new BasicTracerProvider({
  resource: resourceFromAttributes({ "service.name": SERVICE }),
  spanProcessors: [
    {
      onStart: () => undefined,
      onEnd: (span) => void (waiting.push(span) > MOST && waiting.shift()),
      forceFlush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(),
    },
  ],
}).getTracer("shop");
/** The span that lasts, for what is done within it. */
const lasting = new AsyncLocalStorage<Span>();

/** A span: few names, never an id or what others chose; within the caller's `traceparent`. */
export interface Spanned {
  name: string;
  kind: "server" | "client" | "internal";
  within?: string | null;
  attributes?: Record<string, string>;
}

/** What can be said of a span while it lasts. */
export type Told = (attributes: Record<string, string | number | null>) => void;

/** A span around `work`, a child of the one that lasts, else of the caller's (W3C Trace Context); without a collector
 * nothing but `work`. */
export async function spanned<T>(
  collector: Collector | null,
  { name, kind, within = null, attributes = {} }: Spanned,
  work: (told: Told) => Promise<T>,
): Promise<T> {
  if (collector === null) return work(() => undefined);
  const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL };
  const span = tracer.startSpan(name, { kind: kinds[kind], attributes }, contextOf(within));
  const told: Told = (attributes) => {
    span.setAttributes(
      Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== null)) as Attributes,
    );
    if (typeof attributes["error.type"] === "string") span.setStatus({ code: SpanStatusCode.ERROR });
  };
  try {
    return await lasting.run(span, () => work(told));
  } catch (error) {
    // Its words may hold what must not be in a trace.
    told({ "error.type": error instanceof Error ? error.name : "unknown" });
    throw error;
  } finally {
    span.end();
  }
}

/** The `traceparent` of the span that lasts, where there is none the one that was given: for what is asked of others. */
export function carried(given: string | null): string | null {
  const span = lasting.getStore()?.spanContext();
  if (span === undefined) return given;
  return `00-${span.traceId}-${span.spanId}-0${span.traceFlags & TraceFlags.SAMPLED}`;
}

/** Send what has ended, and hold nothing back for it. */
export function sendSpans(collector: Collector | null): void {
  if (collector === null || waiting.length === 0) return;
  waitUntil(send(waiting.splice(0), collector));
}

async function send(spans: ReadableSpan[], { url, headers }: Collector): Promise<void> {
  try {
    const body = ProtobufTraceSerializer.serializeRequest(spans);
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "content-type": "application/x-protobuf" },
      body: body ?? null,
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    await response.body?.cancel();
    if (!response.ok) console.warn(`the collector took no spans: HTTP ${response.status}`);
  } catch (error) {
    console.warn(`the collector took no spans: ${error instanceof Error ? error.name : "no answer"}`);
  }
}

/** A decision as attributes, by the names of `demo.tracing.about`. */
export function about(decision: Decision): Record<string, string | null> {
  return {
    "demo.verdict": decision.verdict,
    "demo.gate": decision.gate,
    "demo.rule": decision.rule,
    "demo.door": decision.door,
    "demo.audit_id": decision.audit_id || null,
    "demo.order_id": decision.order_id,
    "demo.client": decision.client,
    "demo.consent": decision.consent,
    "user.id": decision.user,
    "session.id": decision.session,
    "gen_ai.agent.id": decision.agent,
    "gen_ai.tool.name": decision.tool,
  };
}

function contextOf(traceparent: string | null): Context {
  const span = lasting.getStore();
  if (span !== undefined) return trace.setSpan(ROOT_CONTEXT, span);
  const caller = traceparent === null ? null : parseTraceParent(traceparent);
  return caller === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...caller, isRemote: true });
}
