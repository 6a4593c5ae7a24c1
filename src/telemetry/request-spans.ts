/**
 * One request → its spans, once it has ended: the request itself, its waits in queues, its tries at targets, and of each of these the
 * time to the first token and the stream. Pure. The names are OpenTelemetry's for HTTP servers and for generative AI, and
 * `llm_serve.*` for what those have no name for. The times are those that the receipt is made of (core/request-trace.ts).
 */
import type { AskedOfModel } from '../core/asked-of-model.ts';
import type { Milliseconds } from '../core/clock.ts';
import { ERRORS } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import {
  type Attempt,
  type NotedTry,
  type RequestRecord,
  type SpanNotes,
  timingsOf,
  type UnservedWait,
} from '../core/request-trace.ts';
import type { TraceContext } from '../core/trace-context.ts';
import { contentAttributes } from './span-contents.ts';

export type SpanAttributes = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Of these the number is a double, also where it is whole. */
export const DOUBLES: ReadonlySet<string> = new Set([
  'gen_ai.request.temperature',
  'gen_ai.request.top_p',
  'gen_ai.request.top_k',
  'gen_ai.request.frequency_penalty',
  'gen_ai.request.presence_penalty',
  'gen_ai.response.time_to_first_chunk',
  'llm_serve.queue_ms',
  'llm_serve.upstream_ms',
  'llm_serve.gateway_ms',
]);

export interface SpanData {
  readonly name: string;
  readonly kind: 'server' | 'client' | 'internal';
  readonly traceId: string;
  readonly tracestate: string | undefined;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** The parent is a span of the caller. */
  readonly isParentRemote: boolean;
  /** Since the Unix epoch. */
  readonly startedAt: Milliseconds;
  readonly endedAt: Milliseconds;
  readonly attributes: SpanAttributes;
  readonly isError: boolean;
  /** Characters of prompts and answers in it. */
  readonly contentLength: number;
}

/** What the spans of a try say of its target; undefined where it is gone. */
export interface TracedTarget {
  /** The backend's name: `vllm`, `ollama`. */
  readonly provider: string;
  readonly embedded: boolean;
  /** The model's name there. */
  readonly upstreamModel: string;
  readonly address: { readonly host: string; readonly port: number } | undefined;
}

export interface SpanSource {
  /** What is added to a clock's time for the time since the Unix epoch. */
  readonly epochMs: Milliseconds;
  readonly targetOf: (model: ModelId, target: string) => TracedTarget | undefined;
}

type Attributes = Record<string, SpanAttributes[string]>;

interface Drafted {
  readonly name: string;
  readonly kind?: SpanData['kind'];
  readonly spanId?: string;
  readonly parentSpanId: string | undefined;
  readonly startedAt: Milliseconds;
  readonly endedAt: Milliseconds;
  readonly attributes: Attributes;
  readonly isError?: boolean;
  readonly contentLength?: number;
}

/** Empty where the request is not sampled. In the order in which they began, but for waits without a slot: these are last. */
export function spansOf(record: RequestRecord, source: SpanSource): readonly SpanData[] {
  const { traceContext, spanNotes } = record.trace;
  if (traceContext === undefined || spanNotes === undefined) return [];
  const draft = new Drafts(traceContext, source.epochMs);
  draft.add(serverSpan(record, traceContext));
  const answeredAt = Math.min(record.trace.endedAt ?? record.endedAt, record.endedAt);
  for (const [index, noted] of spanNotes.tries.entries()) {
    const last = index === spanNotes.tries.length - 1;
    addTry(draft, { noted, answeredAt, notes: spanNotes, isLast: last, source });
  }
  for (const wait of spanNotes.unserved) draft.add(unservedWait(wait, traceContext));
  return draft.spans;
}

class Drafts {
  readonly spans: SpanData[] = [];
  readonly #context: TraceContext;
  readonly #epochMs: Milliseconds;

  constructor(context: TraceContext, epochMs: Milliseconds) {
    this.#context = context;
    this.#epochMs = epochMs;
  }

  get serverSpanId(): string {
    return this.#context.spanId;
  }

  // Every field by its name: those that follow a spread, or are collected, cost a microsecond each on Node 20 (decision 0036).
  add(drafted: Drafted): void {
    const { traceId, tracestate } = this.#context;
    const { name, kind = 'internal', spanId, parentSpanId } = drafted;
    const { startedAt, endedAt, attributes, isError = false, contentLength = 0 } = drafted;
    this.spans.push({
      name,
      kind,
      traceId,
      tracestate,
      spanId: spanId ?? this.#context.newSpanId(),
      parentSpanId,
      isParentRemote: kind === 'server' && parentSpanId !== undefined,
      startedAt: startedAt + this.#epochMs,
      endedAt: Math.max(startedAt, endedAt) + this.#epochMs,
      attributes,
      isError,
      contentLength,
    });
  }
}

const UNKNOWN_ROUTE = 'unknown';

/** A 4xx is the client's fault, so by OpenTelemetry's rules no error of a server's span. */
function serverSpan(record: RequestRecord, context: TraceContext): Drafted {
  const { method, path, route, status, clientAddress, trace, endedAt } = record;
  const isKnown = route !== UNKNOWN_ROUTE;
  const { errorCode, droppedFields } = trace;
  // One that is told within a 200 counts by its own status.
  const failedStatus = status < 400 && errorCode !== undefined ? ERRORS[errorCode].status : status;
  const isError = failedStatus >= 500;
  const attributes: Attributes = {
    'http.request.method': method,
    'url.path': path,
    'url.scheme': 'http',
    'http.response.status_code': status,
    'client.address': clientAddress,
    'llm_serve.request_id': trace.requestId,
  };
  set(attributes, 'http.route', isKnown ? route : undefined);
  if (isError) attributes['error.type'] = errorCode ?? String(status);
  else set(attributes, 'llm_serve.error_code', errorCode);
  set(attributes, 'llm_serve.model', trace.model);
  set(attributes, 'llm_serve.served_model', trace.servedModel);
  set(attributes, 'llm_serve.priority', trace.priority);
  set(attributes, 'llm_serve.attempts', trace.attempts?.length);
  set(attributes, 'llm_serve.resumptions', trace.resumptions);
  set(attributes, 'llm_serve.not_resumed', trace.notResumed);
  set(attributes, 'llm_serve.cancel_phase', trace.cancelPhase);
  if (droppedFields?.length) attributes['llm_serve.dropped_fields'] = droppedFields;
  if (trace.enqueuedAt !== undefined) {
    const { queueMs, upstreamMs, gatewayMs } = timingsOf(trace, endedAt);
    attributes['llm_serve.queue_ms'] = queueMs;
    attributes['llm_serve.upstream_ms'] = upstreamMs;
    attributes['llm_serve.gateway_ms'] = gatewayMs;
  }
  return {
    name: isKnown ? `${method} ${route}` : method,
    kind: 'server',
    spanId: context.spanId,
    parentSpanId: context.parentSpanId,
    startedAt: trace.receivedAt,
    endedAt,
    attributes,
    isError,
  };
}

function unservedWait({ model, enqueuedAt, endedAt, code }: UnservedWait, { spanId }: TraceContext): Drafted {
  return {
    name: 'queue',
    parentSpanId: spanId,
    startedAt: enqueuedAt,
    endedAt,
    attributes: { 'llm_serve.model': model, 'error.type': code },
    isError: ERRORS[code].status >= 500,
  };
}

interface TracedTry {
  readonly noted: NotedTry;
  readonly answeredAt: Milliseconds;
  readonly notes: SpanNotes;
  readonly isLast: boolean;
  readonly source: SpanSource;
}

function addTry(draft: Drafts, traced: TracedTry): void {
  const { attempt } = traced.noted;
  const { enqueuedAt, startedAt, firstTokenAt, model, batch, spanId } = attempt;
  // As in the receipt: a try ends when its answer does, not when its slot is free.
  const endedAt = Math.max(startedAt, Math.min(attempt.endedAt ?? traced.answeredAt, traced.answeredAt));
  draft.add({
    name: 'queue',
    parentSpanId: draft.serverSpanId,
    startedAt: enqueuedAt,
    endedAt: startedAt,
    attributes: {
      'llm_serve.model': model,
      'llm_serve.batch.id': batch.id,
      'llm_serve.batch.size': batch.size,
    },
  });
  if (spanId === undefined) return;
  draft.add(attemptSpan(traced, { spanId, parentSpanId: draft.serverSpanId, startedAt, endedAt }));
  if (firstTokenAt === undefined) return;
  const parentSpanId = spanId;
  draft.add({ name: 'first token', parentSpanId, startedAt, endedAt: firstTokenAt, attributes: {} });
  draft.add({ name: 'stream', parentSpanId, startedAt: firstTokenAt, endedAt, attributes: {} });
}

const NO_ERROR: ReadonlySet<Attempt['outcome']> = new Set(['completed', 'cancelled', undefined]);

function attemptSpan(
  { noted, notes, isLast, source }: TracedTry,
  place: Required<Pick<Drafted, 'spanId' | 'parentSpanId' | 'startedAt' | 'endedAt'>>,
): Drafted {
  const { attempt } = noted;
  const { model, target, kind, after, outcome, firstTokenAt, startedAt } = attempt;
  const { asked } = notes;
  const operation = asked?.operation ?? 'chat';
  const at = source.targetOf(model, target);
  const attributes: Attributes = {
    'gen_ai.operation.name': operation,
    'gen_ai.provider.name': at?.provider ?? 'unknown',
    'gen_ai.request.model': model,
    'llm_serve.target': target,
  };
  set(attributes, 'gen_ai.response.model', at?.embedded ? undefined : at?.upstreamModel);
  set(attributes, 'server.address', at?.address?.host);
  set(attributes, 'server.port', at?.address?.port);
  if (asked !== undefined) addRequest(attributes, asked);
  addAnswer(attributes, noted, asked);
  if (asked?.isStreamed && firstTokenAt !== undefined)
    attributes['gen_ai.response.time_to_first_chunk'] = (firstTokenAt - startedAt) / 1000;
  set(attributes, 'llm_serve.retry.kind', kind);
  set(attributes, 'llm_serve.retry.after', after);
  const isError = !NO_ERROR.has(outcome);
  if (outcome !== undefined && isError) attributes['error.type'] = outcome;
  else if (outcome === 'cancelled') attributes['llm_serve.outcome'] = outcome;
  const contents = isLast && asked?.contents !== undefined ? contentAttributes(asked.contents) : undefined;
  return {
    name: `${operation} ${model}`,
    kind: at?.embedded ? 'internal' : 'client',
    attributes: contents === undefined ? attributes : { ...attributes, ...contents.attributes },
    isError,
    contentLength: contents?.length ?? 0,
    spanId: place.spanId,
    parentSpanId: place.parentSpanId,
    startedAt: place.startedAt,
    endedAt: place.endedAt,
  };
}

function addRequest(attributes: Attributes, asked: AskedOfModel): void {
  const { sampling, limits, operation, isStreamed, output, choices } = asked;
  if (operation === 'embeddings') return;
  attributes['gen_ai.request.stream'] = isStreamed;
  set(attributes, 'gen_ai.request.choice.count', choices === 1 ? undefined : choices);
  set(attributes, 'gen_ai.request.max_tokens', limits.maxTokens);
  set(attributes, 'gen_ai.request.temperature', sampling.temperature);
  set(attributes, 'gen_ai.request.top_p', sampling.topP);
  set(attributes, 'gen_ai.request.top_k', sampling.topK);
  set(attributes, 'gen_ai.request.seed', sampling.seed);
  set(attributes, 'gen_ai.request.frequency_penalty', sampling.frequencyPenalty);
  set(attributes, 'gen_ai.request.presence_penalty', sampling.presencePenalty);
  if (limits.stop.length > 0) attributes['gen_ai.request.stop_sequences'] = limits.stop;
  set(attributes, 'gen_ai.output.type', output);
}

/** Tokens of a try that failed are estimates, and are left out. */
function addAnswer(
  attributes: Attributes,
  { attempt, trace, used }: NotedTry,
  asked: AskedOfModel | undefined,
): void {
  if (attempt.outcome !== 'completed') return;
  attributes['gen_ai.usage.input_tokens'] = used.promptTokens;
  if (asked?.operation === 'embeddings') return;
  attributes['gen_ai.usage.output_tokens'] = used.answerTokens;
  if (used.cachedTokens > 0) attributes['gen_ai.usage.cache_read.input_tokens'] = used.cachedTokens;
  // Of a request with several choices, the first one's usage is that of all.
  if (asked?.choices === 1)
    set(attributes, 'gen_ai.usage.reasoning.output_tokens', trace.usage?.reasoningTokens);
  set(attributes, 'gen_ai.response.id', asked?.responseId);
  if (trace.finishReason !== undefined) attributes['gen_ai.response.finish_reasons'] = [trace.finishReason];
}

function set(attributes: Attributes, name: string, value: SpanAttributes[string] | undefined): void {
  if (value !== undefined) attributes[name] = value;
}
