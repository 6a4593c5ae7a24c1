/** Receipts over the real executable: whole and streamed answers of every protocol say where their time went, in the header, body and log alike. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Executable, startExecutable } from '../support/executable.ts';
import { type Answer, ask } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll } from '../support/server.ts';

type Times = Readonly<Record<string, number>>;

let server: Executable;
const endsWith = endingAfterAll();
beforeAll(async () => {
  // One slot: requests that are sent together wait for each other.
  server = await startExecutable({ flags: scriptedFlags({ target: { slots: 1 } }), endsWith });
});

/** Takes longer than two requests that are sent together come apart on a busy machine. */
const PROMPT = scripted({ tokens: 3, first_token_delay_ms: 200, token_delay_ms: 5 });
const messages = [{ role: 'user', content: PROMPT }];

/** Path and body of a whole answer, and where the last events of a stream have the times. */
const PROTOCOLS: readonly {
  readonly path: string;
  readonly streamPath?: string;
  readonly body: object;
  readonly inStream: RegExp | 'durations';
  readonly inBody: boolean;
}[] = [
  {
    path: '/generate',
    streamPath: '/stream',
    body: { prompt: PROMPT },
    inStream: /"finish_reason":"stop".*"timings":/,
    inBody: true,
  },
  {
    path: '/v1/chat/completions',
    body: { messages },
    inStream: /"finish_reason":"stop".*"timings":/,
    inBody: false,
  },
  {
    path: '/v1/chat/completions',
    body: { messages, n: 2, stream_options: { include_usage: true } },
    inStream: /"choices":\[\],"usage":\{.*"timings":/,
    inBody: false,
  },
  {
    path: '/v1/completions',
    body: { prompt: PROMPT, n: 2 },
    inStream: /"finish_reason":"stop".*"timings":/,
    inBody: false,
  },
  {
    path: '/v1/responses',
    body: { input: PROMPT },
    inStream: /"type":"response\.completed".*"timings":/,
    inBody: false,
  },
  {
    path: '/v1/messages',
    body: { messages, max_tokens: 3 },
    inStream: /"type":"message_delta".*"timings":/,
    inBody: false,
  },
  { path: '/api/chat', body: { messages }, inStream: 'durations', inBody: false },
  { path: '/api/generate', body: { prompt: PROMPT }, inStream: 'durations', inBody: false },
];

/** Two at once, of which the second waits; every receipt is checked. */
async function askTwice(path: string, body: object): Promise<readonly Answer[]> {
  const sent = 'input' in body ? body : { max_tokens: 3, ...body };
  const answers = await Promise.all([1, 2].map(() => ask(server.url + path, { body: sent })));
  for (const { status, text } of answers) expect([status, text]).toEqual([200, text]);
  return answers;
}

function headerOf({ headers }: Answer): Times {
  const pairs = String(headers['server-timing'])
    .split(', ')
    .map((entry) => entry.split(';dur='));
  return Object.fromEntries(pairs.map(([name, value]) => [name, Number(value)]));
}

async function logOf({ headers }: Answer): Promise<Times> {
  const line = await server.requestLine(String(headers['x-request-id']));
  return line as unknown as Times;
}

/** Within a millisecond; the parts of upstream within what rounding makes of them. */
function expectSum(
  { queue = Number.NaN, upstream = Number.NaN, gateway = Number.NaN, ttft = 0, generate = 0 }: Times,
  total: number,
) {
  expect(Math.abs(queue + upstream + gateway - total)).toBeLessThan(1);
  expect(ttft + generate).toBeLessThan(upstream + 0.05);
}

function shortNames(times: Times): Times {
  return Object.fromEntries(
    Object.entries(times).map(([name, value]) => [name.replace(/_ms$|Ms$/, ''), value]),
  );
}

async function expectLog(answer: Answer, shown: Times): Promise<void> {
  const line = shortNames(await logOf(answer));
  expectSum(line, Number(line.latency));
  const { queue, upstream, ttft, generate } = shown;
  const { queue: q, upstream: u, ttft: t, generate: g } = line;
  expect({ queue: q, upstream: u, ttft: t, generate: g }).toEqual({ queue, upstream, ttft, generate });
}

describe.each(PROTOCOLS)('$path $inStream', ({ path, streamPath = path, body, inStream, inBody }) => {
  it('a whole answer has the receipt in its header, and the same in its body and the log', async () => {
    const answers = await askTwice(path, {
      ...body,
      stream: undefined,
      ...(inStream === 'durations' && { stream: false }),
      stream_options: undefined,
    });
    for (const answer of answers) {
      const times = headerOf(answer);
      const total = (times.queue ?? 0) + (times.upstream ?? 0) + (times.gateway ?? 0);
      expect(Object.keys(times)).toEqual(['queue', 'upstream', 'ttft', 'generate', 'gateway']);
      expectSum(times, total);
      expect(times.ttft).toBeGreaterThan(0);
      expect(times.generate).toBeGreaterThan(0);
      await expectLog(answer, times);
      if (inBody) {
        const { total: totalInBody, ...shown } = shortNames(answer.json<{ timings: Times }>().timings);
        expect(shown).toEqual(times);
        expectSum(shown, Number(totalInBody));
      }
      if (inStream === 'durations') expectDurations(answer.json(), times);
    }
    const waits = answers.map((answer) => headerOf(answer).queue ?? 0);
    const work = answers.map((answer) => headerOf(answer).upstream ?? 0);
    expect(Math.max(...waits), 'the second waited for the first').toBeGreaterThan(Math.min(...work) / 20);
  });

  it('a stream has in its header what is known when it begins, and all of it at its end', async () => {
    const isNative = streamPath === '/stream';
    const answers = await askTwice(streamPath, isNative ? body : { ...body, stream: true });
    for (const answer of answers) {
      const header = headerOf(answer);
      const last = answer.text
        .trimEnd()
        .split('\n')
        .findLast((line) => line.includes(inStream === 'durations' ? '"done":true' : '"timings":'));
      const event = JSON.parse(String(last).replace(/^data: /, ''));
      if (inStream === 'durations') {
        const line = shortNames(await logOf(answer));
        expect(header.queue).toBe(line.queue);
        expectDurations(event, line);
        continue;
      }
      expect(last).toMatch(inStream);
      const { total, ...times } = shortNames(event.timings as Times);
      expectSum(times, Number(total));
      await expectLog(answer, times);
      // Of several choices the header has the one that began.
      if (!('n' in body)) expect(header).toEqual({ queue: times.queue, ttft: times.ttft });
    }
  });
});

/** Ollama's own fields, in nanoseconds. */
function expectDurations(fields: Times, { ttft, generate }: Times): void {
  expect(fields.prompt_eval_duration).toBe(Math.round(Number(ttft) * 1_000_000));
  expect(fields.eval_duration).toBe(Math.round(Number(generate) * 1_000_000));
  expect(Number(fields.total_duration) / 1_000_000).toBeGreaterThanOrEqual(Number(ttft) + Number(generate));
}

it('a failed answer has a receipt of the try that failed', async () => {
  const answer = await ask(`${server.url}/generate`, {
    body: { prompt: scripted({ fail: 'error', first_token_delay_ms: 10 }) },
  });
  expect(answer.status).toBeGreaterThanOrEqual(500);
  const times = headerOf(answer);
  expect(times.upstream).toBeGreaterThan(0);
  await expectLog(answer, times);
});

it('a request that asked no model has none', async () => {
  for (const answer of [
    await ask(`${server.url}/health`),
    await ask(`${server.url}/generate`, { body: { prompt: 1 } }),
  ])
    expect(answer.headers['server-timing']).toBeUndefined();
});
