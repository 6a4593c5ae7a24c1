import { describe, expect, it } from 'vitest';
import type { AskedOfModel } from '../../../src/core/asked-of-model.ts';
import type { Attempt, RequestRecord, RequestTrace, SpanNotes } from '../../../src/core/request-trace.ts';
import { timingsOf } from '../../../src/core/request-trace.ts';
import { joinTrace, readCallerContext } from '../../../src/core/trace-context.ts';
import { type SpanSource, spansOf } from '../../../src/telemetry/request-spans.ts';
import { attemptOf } from '../../support/attempt.ts';
import { spanTree } from '../../support/span-tree.ts';

const EPOCH = 1_700_000_000_000;
const CALLER = readCallerContext('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'vendor=1');

const source: SpanSource = {
  epochMs: EPOCH,
  targetOf: (_, id) =>
    id === 'gone'
      ? undefined
      : {
          provider: id === 'engine' ? 'llama-cpp' : 'openai-compatible',
          embedded: id === 'engine',
          upstreamModel: 'org/Large-1B',
          address: id === 'engine' ? undefined : { host: 'gpu-1', port: 8000 },
        },
};

function askedOf(changes: Partial<AskedOfModel> = {}): AskedOfModel {
  return {
    operation: 'chat',
    responseId: 'gen_1',
    isStreamed: true,
    choices: 1,
    sampling: { temperature: 0.5, topP: 0.9, seed: 7 },
    limits: { maxTokens: 64, stop: ['\n\n'] },
    output: undefined,
    contents: undefined,
    ...changes,
  };
}

const USED = { promptTokens: 12, cachedTokens: 8, answerTokens: 5 };

interface Asked {
  readonly asked?: AskedOfModel;
  readonly attempts?: readonly Partial<Attempt>[];
  readonly trace?: Partial<RequestTrace>;
  readonly record?: Partial<RequestRecord>;
  readonly notes?: (notes: SpanNotes) => void;
}

/** A request to /v1/chat/completions that arrived at 100 and ended at 200. */
function recordOf({ asked = askedOf(), attempts = [], trace, record, notes }: Asked): RequestRecord {
  const spanNotes: SpanNotes = { asked, tries: [], unserved: [] };
  const traceContext = joinTrace(CALLER, { ratio: 1, randomDigits: () => '00000000000000a0' });
  const tried = attempts.map((attempt) =>
    attemptOf({ target: 'remote', model: 'large', spanId: traceContext.newSpanId(), ...attempt }),
  );
  const full: RequestTrace = {
    requestId: 'req_1',
    receivedAt: 100,
    traceContext,
    spanNotes,
    model: 'large',
    priority: 'normal',
    enqueuedAt: 101,
    endedAt: 195,
    attempts: tried,
    finishReason: 'stop',
    ...trace,
  };
  for (const attempt of tried) spanNotes.tries.push({ attempt, trace: full, used: USED });
  notes?.(spanNotes);
  return {
    method: 'POST',
    path: '/v1/chat/completions',
    route: '/v1/chat/completions',
    status: 200,
    clientAddress: '192.0.2.7',
    trace: full,
    endedAt: 200,
    ...record,
  };
}

const treeOf = (asked: Asked) => spanTree(spansOf(recordOf(asked), source));

describe('the spans of a request', () => {
  it('are its wait, its try, the time to the first token, and the stream', () => {
    const attempts = [{ enqueuedAt: 101, startedAt: 111, firstTokenAt: 141, endedAt: 194 }];
    expect(treeOf({ attempts })).toBe(
      `
POST /v1/chat/completions [server] 0–100 ms
  · http.request.method: "POST"
  · url.path: "/v1/chat/completions"
  · url.scheme: "http"
  · http.response.status_code: 200
  · client.address: "192.0.2.7"
  · llm_serve.request_id: "req_1"
  · http.route: "/v1/chat/completions"
  · llm_serve.model: "large"
  · llm_serve.priority: "normal"
  · llm_serve.attempts: 1
  · llm_serve.queue_ms: 10
  · llm_serve.upstream_ms: 83
  · llm_serve.gateway_ms: 7
  queue [internal] 1–11 ms
    · llm_serve.model: "large"
    · llm_serve.batch.id: "batch_1"
    · llm_serve.batch.size: 1
  chat large [client] 11–94 ms
    · gen_ai.operation.name: "chat"
    · gen_ai.provider.name: "openai-compatible"
    · gen_ai.request.model: "large"
    · llm_serve.target: "remote"
    · gen_ai.response.model: "org/Large-1B"
    · server.address: "gpu-1"
    · server.port: 8000
    · gen_ai.request.stream: true
    · gen_ai.request.max_tokens: 64
    · gen_ai.request.temperature: 0.5
    · gen_ai.request.top_p: 0.9
    · gen_ai.request.seed: 7
    · gen_ai.request.stop_sequences: ["\\n\\n"]
    · gen_ai.usage.input_tokens: 12
    · gen_ai.usage.output_tokens: 5
    · gen_ai.usage.cache_read.input_tokens: 8
    · gen_ai.response.id: "gen_1"
    · gen_ai.response.finish_reasons: ["stop"]
    · gen_ai.response.time_to_first_chunk: 0.03
    first token [internal] 11–41 ms
    stream [internal] 41–94 ms`.slice(1),
    );
  });

  it('show each try, what it failed with, and why there was another', () => {
    const tree = treeOf({
      asked: askedOf({ sampling: {}, limits: { stop: [] } }),
      attempts: [
        { enqueuedAt: 101, startedAt: 102, endedAt: 120, failure: 'unreachable', outcome: 'unreachable' },
        {
          target: 'gone',
          enqueuedAt: 121,
          startedAt: 125,
          firstTokenAt: 130,
          endedAt: 150,
          kind: 'elsewhere',
          after: 'unreachable',
          failure: 'cut',
          outcome: 'cut',
        },
        {
          target: 'engine',
          enqueuedAt: 150,
          startedAt: 151,
          firstTokenAt: 160,
          endedAt: 190,
          kind: 'resumed',
          after: 'cut',
        },
      ],
      trace: { resumptions: 1 },
    });
    expect(tree.slice(tree.indexOf('  · llm_serve.attempts'))).toBe(
      `
  · llm_serve.attempts: 3
  · llm_serve.resumptions: 1
  · llm_serve.queue_ms: 6
  · llm_serve.upstream_ms: 82
  · llm_serve.gateway_ms: 12
  queue [internal] 1–2 ms
    · llm_serve.model: "large"
    · llm_serve.batch.id: "batch_1"
    · llm_serve.batch.size: 1
  chat large [client] 2–20 ms ERROR
    · gen_ai.operation.name: "chat"
    · gen_ai.provider.name: "openai-compatible"
    · gen_ai.request.model: "large"
    · llm_serve.target: "remote"
    · gen_ai.response.model: "org/Large-1B"
    · server.address: "gpu-1"
    · server.port: 8000
    · gen_ai.request.stream: true
    · error.type: "unreachable"
  queue [internal] 21–25 ms
    · llm_serve.model: "large"
    · llm_serve.batch.id: "batch_1"
    · llm_serve.batch.size: 1
  chat large [client] 25–50 ms ERROR
    · gen_ai.operation.name: "chat"
    · gen_ai.provider.name: "unknown"
    · gen_ai.request.model: "large"
    · llm_serve.target: "gone"
    · gen_ai.request.stream: true
    · gen_ai.response.time_to_first_chunk: 0.005
    · llm_serve.retry.kind: "elsewhere"
    · llm_serve.retry.after: "unreachable"
    · error.type: "cut"
    first token [internal] 25–30 ms
    stream [internal] 30–50 ms
  queue [internal] 50–51 ms
    · llm_serve.model: "large"
    · llm_serve.batch.id: "batch_1"
    · llm_serve.batch.size: 1
  chat large [internal] 51–90 ms
    · gen_ai.operation.name: "chat"
    · gen_ai.provider.name: "llama-cpp"
    · gen_ai.request.model: "large"
    · llm_serve.target: "engine"
    · gen_ai.request.stream: true
    · gen_ai.usage.input_tokens: 12
    · gen_ai.usage.output_tokens: 5
    · gen_ai.usage.cache_read.input_tokens: 8
    · gen_ai.response.id: "gen_1"
    · gen_ai.response.finish_reasons: ["stop"]
    · gen_ai.response.time_to_first_chunk: 0.009
    · llm_serve.retry.kind: "resumed"
    · llm_serve.retry.after: "cut"
    first token [internal] 51–60 ms
    stream [internal] 60–90 ms`.slice(1),
    );
  });

  it('of one that the queue rejects are the request and its wait', () => {
    const tree = treeOf({
      trace: { attempts: undefined as never, errorCode: 'queue_timeout', unservedWaitMs: 90 },
      record: { status: 503 },
      notes: ({ unserved }) =>
        unserved.push({ model: 'large', enqueuedAt: 101, endedAt: 191, code: 'queue_timeout' }),
    });
    expect(tree).toContain('POST /v1/chat/completions [server] 0–100 ms ERROR\n');
    expect(tree).toContain('  · error.type: "queue_timeout"\n');
    expect(tree.slice(tree.indexOf('  queue'))).toBe(
      `
  queue [internal] 1–91 ms ERROR
    · llm_serve.model: "large"
    · error.type: "queue_timeout"`.slice(1),
    );
  });

  it('of one that is the client’s fault are no error', () => {
    const [span] = spansOf(
      recordOf({ trace: { errorCode: 'invalid_request' }, record: { status: 400, route: 'unknown' } }),
      source,
    );
    expect(span).toMatchObject({ name: 'POST', isError: false });
    expect(span?.attributes).toMatchObject({ 'llm_serve.error_code': 'invalid_request' });
    expect(span?.attributes).not.toHaveProperty('error.type');
  });

  it('of a stream that failed after its 200 are an error', () => {
    const [span] = spansOf(recordOf({ trace: { errorCode: 'backend_error' } }), source);
    expect(span).toMatchObject({ isError: true, attributes: { 'error.type': 'backend_error' } });
  });

  it('of one that its client left are none, and say so', () => {
    const attempts = [{ startedAt: 110, outcome: 'cancelled' as const, endedAt: 150 }];
    const [span, , attempt] = spansOf(
      recordOf({
        attempts,
        trace: { errorCode: 'client_gone', cancelPhase: 'waiting' },
        record: { status: 499 },
      }),
      source,
    );
    expect(span).toMatchObject({ isError: false, attributes: { 'llm_serve.cancel_phase': 'waiting' } });
    expect(attempt).toMatchObject({ isError: false, attributes: { 'llm_serve.outcome': 'cancelled' } });
  });

  it('of an embedding have no answer', () => {
    const attempts = [{ startedAt: 110, endedAt: 150 }];
    const asked = askedOf({ operation: 'embeddings', isStreamed: false, responseId: undefined });
    const attempt = spansOf(recordOf({ attempts, asked }), source)[2];
    expect(attempt?.name).toBe('embeddings large');
    expect(attempt?.attributes).toMatchObject({ 'gen_ai.usage.input_tokens': 12 });
    expect(Object.keys(attempt?.attributes ?? {}).join(' ')).not.toMatch(/output_tokens|max_tokens|stream/);
  });

  it('belong to the caller’s trace, each with an id of its own', () => {
    const attempts = [
      { startedAt: 110, firstTokenAt: 120, endedAt: 150 },
      { startedAt: 160, firstTokenAt: 170, endedAt: 190 },
    ];
    const spans = spansOf(recordOf({ attempts }), source);
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(9);
    expect(spans.every(({ traceId }) => traceId === CALLER?.traceId)).toBe(true);
    expect(spans.every(({ tracestate }) => tracestate === 'vendor=1')).toBe(true);
    expect(spans[0]).toMatchObject({ parentSpanId: CALLER?.spanId, isParentRemote: true });
    expect(spans[0]?.startedAt).toBe(EPOCH + 100);
  });

  it('are none of a request that is not sampled', () => {
    const record = recordOf({});
    expect(spansOf({ ...record, trace: { requestId: 'r', receivedAt: 0 } }, source)).toEqual([]);
  });

  it('last as long as the receipt says', () => {
    const attempts = [
      { enqueuedAt: 101, startedAt: 103.5, endedAt: 120.25, failure: 'cut', outcome: 'cut' } as const,
      // Its slot was free only after the answer had ended.
      { enqueuedAt: 121, startedAt: 125, firstTokenAt: 133.3, endedAt: 199, kind: 'elsewhere' } as const,
    ];
    const record = recordOf({ attempts, trace: { endedAt: 195 } });
    const receipt = timingsOf(record.trace, record.endedAt);
    const sum = (name: string) =>
      spansOf(record, source)
        .filter((span) => span.name === name)
        .reduce((total, { startedAt, endedAt }) => total + endedAt - startedAt, 0);
    expect(sum('queue')).toBeCloseTo(receipt.queueMs, 2);
    expect(sum('chat large')).toBeCloseTo(receipt.upstreamMs, 2);
    expect(sum('first token')).toBeCloseTo(receipt.ttftMs ?? 0, 2);
    expect(sum('stream')).toBeCloseTo(receipt.generateMs ?? 0, 2);
    expect(sum('POST /v1/chat/completions')).toBeCloseTo(receipt.totalMs, 2);
  });
});

describe('contents', () => {
  const contents = {
    inputs: [
      {
        kind: 'chat' as const,
        messages: [
          { role: 'system' as const, content: 'Be brief.' },
          {
            role: 'user' as const,
            content: 'Look.',
            images: [{ mediaType: 'image/png', base64: 'AAAA', at: 0 }],
          },
          {
            role: 'assistant' as const,
            content: '',
            toolCalls: [{ id: 'c1', name: 'see', arguments: '{}' }],
          },
          { role: 'tool' as const, content: 'a cat', toolCallId: 'c1' },
        ],
      },
    ],
    tools: { tools: [{ name: 'see', parameters: { type: 'object' } }], choice: 'auto' as const },
    results: [
      {
        text: 'A cat.',
        reasoning: 'Hm.',
        toolCalls: [],
        logprobs: [],
        finishReason: 'stop' as const,
        usage: { promptTokens: 1, completionTokens: 1, cachedTokens: 0 },
      },
    ],
  };

  it('are on the last try, as the conventions have them, images without their bytes', () => {
    const attempts = [
      { startedAt: 110, endedAt: 120, outcome: 'cut' } as const,
      { startedAt: 130, endedAt: 190 },
    ];
    const spans = spansOf(recordOf({ attempts, asked: askedOf({ contents }) }), source);
    const [first, last] = spans.filter(({ name }) => name === 'chat large');
    expect(first?.attributes).not.toHaveProperty('gen_ai.input.messages');
    const read = (name: string) => JSON.parse(String(last?.attributes[name]));
    expect(read('gen_ai.input.messages')).toEqual([
      { role: 'system', parts: [{ type: 'text', content: 'Be brief.' }] },
      {
        role: 'user',
        parts: [
          { type: 'text', content: 'Look.' },
          { type: 'image', mime_type: 'image/png', size_bytes: 3 },
        ],
      },
      { role: 'assistant', parts: [{ type: 'tool_call', id: 'c1', name: 'see', arguments: '{}' }] },
      { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c1', response: 'a cat' }] },
    ]);
    expect(read('gen_ai.output.messages')).toEqual([
      {
        role: 'assistant',
        parts: [
          { type: 'reasoning', content: 'Hm.' },
          { type: 'text', content: 'A cat.' },
        ],
        finish_reason: 'stop',
      },
    ]);
    expect(read('gen_ai.tool.definitions')).toEqual([
      { type: 'function', name: 'see', parameters: { type: 'object' } },
    ]);
    expect(last?.contentLength).toBeGreaterThan(100);
  });

  it('that are long are cut, and stay JSON', () => {
    const long = { ...contents, inputs: [{ kind: 'text' as const, prompt: 'x'.repeat(100_000) }] };
    const attempts = [{ startedAt: 110, endedAt: 120 }];
    const span = spansOf(recordOf({ attempts, asked: askedOf({ contents: long }) }), source)[2];
    const [{ parts }] = JSON.parse(String(span?.attributes['gen_ai.input.messages']));
    expect(parts[0].content).toHaveLength(32_768 + '… (cut)'.length);
  });
});
