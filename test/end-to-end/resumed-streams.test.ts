/** Streams that break in the middle, over sockets: they go on exactly, or end with their error; in every protocol. */
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Answer, ask, eventsOf, metric, openAnswer, stream } from '../support/http-client.ts';
import type { LogLine } from '../support/log-lines.ts';
import { whenReady } from '../support/readiness.ts';
import { type ComposedServer, type EndsWith, endingAfterAll, startServer } from '../support/server.ts';
import { type Break, BreakingStandIns } from '../support/stand-ins/breaking-stand-in.ts';
import { streamEnd } from '../support/stream-ends.ts';

const WITHIN = { timeout: 60_000, interval: 20 };
const TEXT = 'Der Bär 🐻 sagt „schön“, zählt 1, 2, 3 und 日本語 👍🏽 — dann\n\n  geht er heim. \n';
const MESSAGES = [{ role: 'user', content: 'a story' }];
const GREEDY = { temperature: 0 };

const endsWith = endingAfterAll();
let standIns: BreakingStandIns;
let targets: readonly object[];
let server: ComposedServer;

/** None of its targets has failed yet. */
async function startFresh(
  flags: readonly string[],
  endsWithTest: EndsWith = onTestFinished,
  itsTargets: readonly object[] = targets,
) {
  const models = JSON.stringify([{ id: 'm', targets: itsTargets }]);
  const started = await startServer({
    flags: ['--models', models, '--rate-limit.enabled', 'false', ...flags],
    endsWith: endsWithTest,
  });
  await whenReady(started);
  return started;
}

beforeAll(async () => {
  standIns = new BreakingStandIns();
  targets = await Promise.all(
    ['one', 'two', 'three'].map(async (name) => ({
      name,
      backend: 'vllm',
      url: await standIns.start(),
      model: 'smollm2',
      // Longer than this process is silent by itself on a busy machine.
      idle_timeout_ms: 10_000,
      slots: 4,
    })),
  );
  // Nearly every request fails somewhere.
  server = await startFresh(['--retry.budget-per-second', '1000'], endsWith);
  return () => standIns.close();
});

beforeEach(() => {
  standIns.fates.length = 0;
  standIns.asked.length = 0;
  standIns.answer = { text: TEXT };
});

async function expectNothingHeld(): Promise<void> {
  await expect.poll(() => metric(server, 'llm_serve_slots_used'), WITHIN).toBe(0);
  await expect.poll(() => metric(server, 'llm_serve_requests_waiting'), WITHIN).toBe(0);
}

interface Protocol {
  readonly path: string;
  readonly body: (sampling: object) => object;
}

const PROTOCOLS: Readonly<Record<string, Protocol>> = {
  native: { path: '/stream', body: (sampling) => ({ messages: MESSAGES, ...sampling }) },
  'OpenAI chat': {
    path: '/v1/chat/completions',
    body: (sampling) => ({
      messages: MESSAGES,
      stream: true,
      stream_options: { include_usage: true },
      ...sampling,
    }),
  },
  'OpenAI completions': {
    path: '/v1/completions',
    body: (sampling) => ({ prompt: 'a story: ', max_tokens: 500, stream: true, ...sampling }),
  },
  'OpenAI responses': {
    path: '/v1/responses',
    body: (sampling) => ({ input: 'a story', stream: true, ...sampling }),
  },
  Anthropic: {
    path: '/v1/messages',
    body: (sampling) => ({ messages: MESSAGES, max_tokens: 500, stream: true, ...sampling }),
  },
  'Ollama chat': { path: '/api/chat', body: (options) => ({ messages: MESSAGES, options }) },
  'Ollama generate': { path: '/api/generate', body: (options) => ({ prompt: 'a story', options }) },
};

interface Piece {
  readonly type?: string;
  readonly token?: string;
  readonly response?: unknown;
  readonly delta?: unknown;
  readonly message?: { readonly content?: string };
  readonly choices?: readonly { readonly text?: string; readonly delta?: { readonly content?: string } }[];
}

function piecesOf({ text }: Answer): Piece[] {
  return text
    .split('\n')
    .map((line) => line.replace(/^data: /, ''))
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Piece);
}

/** All text of a stream, in whatever protocol. */
function saidIn(answer: Answer): string {
  return piecesOf(answer)
    .map(({ type, token, response, delta, message, choices }) => {
      if (choices !== undefined) return choices[0]?.delta?.content ?? choices[0]?.text ?? '';
      if (type === 'response.output_text.delta') return String(delta);
      if (type === 'content_block_delta') return (delta as { readonly text?: string }).text ?? '';
      if (type !== undefined) return '';
      return token ?? message?.content ?? (typeof response === 'string' ? response : '');
    })
    .join('');
}

/** The kinds of events in their order, each row of one kind once. */
function shapeOf(answer: Answer): string[] {
  const kinds = piecesOf(answer).map((piece) => piece.type ?? Object.keys(piece).sort().join());
  return kinds.filter((kind, at) => kind !== kinds[at - 1]);
}

function post({ path, body }: Protocol, sampling: object): Promise<Answer> {
  return ask(`${server.url}${path}`, { body: body(sampling) });
}

const BREAKS: readonly Break[] = ['cut', 'end', 'garbage', 'error'];

describe.each(Object.entries(PROTOCOLS))('%s', (_, protocol) => {
  const endOf = (answer: Answer) =>
    streamEnd(String(answer.headers['content-type']).split(';')[0] ?? '', answer.text);

  test('a greedy stream goes on byte for byte, however often and wherever it breaks', async () => {
    const undisturbed = await post(protocol, GREEDY);
    expect(saidIn(undisturbed)).toBe(TEXT);
    for (const [at, breaks] of BREAKS.entries()) {
      standIns.fates.push(
        { breaks, after: 1 + 3 * at, pieceLength: 3 },
        { breaks: BREAKS[(at + 1) % BREAKS.length] ?? 'cut', after: 2 + at, pieceLength: 5 },
        { pieceLength: 7 },
      );
      const answer = await post(protocol, GREEDY);
      expect(saidIn(answer)).toBe(TEXT);
      expect(shapeOf(answer).map(withoutRetries)).toEqual(shapeOf(undisturbed));
      expect(endOf(answer)).toBe('success');
      expect(standIns.fates).toEqual([]);
    }
    await expectNothingHeld();
  });

  test('a greedy stream ends with its error where the other answer differs', async () => {
    standIns.fates.push({ breaks: 'cut', after: 4 }, { says: TEXT.replace('Bär', 'Bor') });
    const answer = await post(protocol, GREEDY);
    expect(saidIn(answer)).toBe(TEXT.slice(0, [...TEXT].slice(0, 12).join('').length));
    expect(endOf(answer)).toBe('failure');
    await expectNothingHeld();
  });

  test('a sampled stream is continued from its text', async () => {
    standIns.fates.push({ breaks: 'cut', after: 5 }, { breaks: 'end', after: 3, pieceLength: 4 });
    const answer = await post(protocol, { temperature: 0.9 });
    expect(saidIn(answer)).toBe(TEXT);
    expect(endOf(answer)).toBe('success');
    expect(standIns.asked).toHaveLength(3);
    await expectNothingHeld();
  });
});

/** An answer that went on tells of it in the last event of the native API. */
function withoutRetries(kind: string): string {
  return kind
    .split(',')
    .filter((key) => key !== 'resumed' && key !== 'attempts')
    .join();
}

describe('the native stream', () => {
  const greedy = { messages: MESSAGES, ...GREEDY };

  test('tells how often it went on, and counts its usage once', async () => {
    const whole = eventsOf((await stream(server, greedy)).text).at(-1);
    standIns.fates.push({ breaks: 'cut', after: 6 });
    const resumed = eventsOf((await stream(server, greedy)).text).at(-1);
    expect(whole).not.toHaveProperty('resumed');
    expect(resumed).toMatchObject({
      resumed: 1,
      usage: (whole as { usage?: object } | undefined)?.usage ?? {},
    });
    await expect.poll(() => metric(server, 'llm_serve_resumptions_total'), WITHIN).toBeGreaterThanOrEqual(1);
  });

  test('with events between its own that are no part of the answer is whole; they are counted, and logged once', async () => {
    const fresh = await startFresh([]);
    standIns.fates.push({ pings: true });
    const { text } = await stream(fresh, greedy);
    expect(saidIn({ text } as Answer)).toBe(TEXT);
    expect(standIns.asked).toHaveLength(1);
    expect(await metric(fresh, 'llm_serve_malformed_events_total')).toBe(Math.ceil([...TEXT].length / 3));
    const isOfIt = ({ msg }: LogLine) => msg === 'the backend sent an event that cannot be read';
    await fresh.logged(isOfIt);
    expect(fresh.logs().filter(isOfIt)).toHaveLength(1);
  });

  test('shows its client heartbeats while it waits to go on', async () => {
    const fresh = await startFresh(['--server.heartbeat-seconds', '1'], onTestFinished, [
      { ...(targets[0] as object), idle_timeout_ms: 2500 },
      ...targets.slice(1),
    ]);
    standIns.fates.push({ breaks: 'stall', after: 6 });
    const { text } = await stream(fresh, greedy);
    expect(saidIn({ text } as Answer)).toBe(TEXT);
    expect(text.slice(text.indexOf('"token"'))).toMatch(/^:/m);
  });

  test('goes on after its server fell silent', async () => {
    const impatient = targets.map((target) => ({ ...target, idle_timeout_ms: 1000 }));
    const fresh = await startFresh([], onTestFinished, impatient);
    standIns.fates.push({ breaks: 'stall', after: 6 });
    const { text } = await stream(fresh, greedy);
    const said = eventsOf(text).map(({ token = '' }) => token);
    expect(said.join('')).toBe(TEXT);
    expect(text).toContain('[DONE]');
  });

  test('is not counted as resumed where no other target answered it', async () => {
    standIns.fates.push(
      { breaks: 'cut', after: 3 },
      { breaks: 'error', after: 0 },
      { breaks: 'error', after: 0 },
    );
    const { text } = await stream(server, greedy);
    expect(eventsOf(text).at(-1)?.error?.message).toMatch(
      /closed the connection before its answer was complete/,
    );
    expect(text).not.toContain('[DONE]');
    await expectNothingHeld();
  });

  test('of structured output goes on exactly where it is greedy, and ends with its error where it is sampled', async () => {
    standIns.answer = { text: '{"name":"Bär","legs":4}' };
    const format = { type: 'object' };
    standIns.fates.push({ breaks: 'cut', after: 3 });
    const exact = await stream(server, { ...greedy, format });
    expect(
      eventsOf(exact.text)
        .map(({ token = '' }) => token)
        .join(''),
    ).toBe(standIns.answer.text);
    standIns.fates.push({ breaks: 'cut', after: 3 });
    const sampled = await stream(server, { messages: MESSAGES, temperature: 0.9, format });
    expect(eventsOf(sampled.text).at(-1)?.error?.code).toBe('backend_error');
  });

  test('that its client leaves while it is compared leaves nothing behind', async () => {
    standIns.fates.push({ breaks: 'cut', after: 6 }, { breaks: 'stall', after: 2 });
    const answer = await openAnswer(`${server.url}/stream`, { body: greedy });
    await expect.poll(() => standIns.asked.length, WITHIN).toBe(2);
    answer.leave();
    await expectNothingHeld();
  });
});

test('a tool call goes on with the id that was sent: its arguments are whole', async () => {
  standIns.answer = { text: 'I look. ', call: { name: 'weather', arguments: '{"city":"Köln","days":3}' } };
  const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }];
  standIns.fates.push({ breaks: 'cut', after: 7 }, { pieceLength: 5 });
  const answer = await ask(`${server.url}/v1/chat/completions`, {
    body: { messages: MESSAGES, stream: true, tools, ...GREEDY },
  });
  interface Delta {
    readonly id?: string;
    readonly function?: { readonly name?: string; readonly arguments?: string };
  }
  const deltas = piecesOf(answer).flatMap(
    ({ choices }) => (choices?.[0]?.delta as { tool_calls?: readonly Delta[] } | undefined)?.tool_calls ?? [],
  );
  expect(deltas.map(({ function: called }) => called?.arguments ?? '').join('')).toBe(
    '{"city":"Köln","days":3}',
  );
  expect(new Set(deltas.flatMap(({ id }) => id ?? [])).size).toBe(1);
  expect(deltas.filter(({ function: called }) => called?.name !== undefined)).toHaveLength(1);
  expect(saidIn(answer)).toBe('I look. ');
  expect(answer.text).toContain('[DONE]');
});

test('each of several choices goes on by itself', async () => {
  standIns.fates.push({ breaks: 'cut', after: 4 }, { breaks: 'end', after: 9 });
  const answer = await ask(`${server.url}/v1/chat/completions`, {
    body: { messages: MESSAGES, stream: true, n: 2, ...GREEDY },
  });
  const said = ['', ''];
  for (const { choices = [] } of piecesOf(answer)) {
    const [choice] = choices as readonly { index: number; delta?: { content?: string } }[];
    if (choice !== undefined) said[choice.index] += choice.delta?.content ?? '';
  }
  expect(said).toEqual([TEXT, TEXT]);
});

test('resume: off ends a broken stream with its error', async () => {
  const off = await startFresh(['--resume', 'off']);
  standIns.fates.push({ breaks: 'cut', after: 3 });
  const { text } = await stream(off, { messages: MESSAGES, ...GREEDY });
  expect(eventsOf(text).at(-1)?.error?.code).toBe('backend_error');
  expect(standIns.asked).toHaveLength(1);
});
