import { expect, it } from 'vitest';
import { RemoteError, type RemoteServer } from '../../../src/cli/remote.ts';
import { type WatchOptions, watchStatus } from '../../../src/cli/status-watch.ts';
import type { LiveSnapshot } from '../../../src/core/live-snapshot.ts';
import { NO_SUMS } from '../../support/live-snapshots.ts';

/** What the server does each time that it is asked: the states that it sends before the failure, or before it ends the stream. */
type Answer = { readonly states?: readonly string[]; readonly failure?: RemoteError };

const refused = (status: number, message: string) => new RemoteError('refused', message, { status });
const ENDED = { states: ['demo'] };

it.each([
  [
    'the first question fails',
    [{ failure: new RemoteError('unreachable', 'No server answers.') }],
    'No server answers.',
  ],
  [
    'the first question is rejected for now',
    [{ failure: refused(503, 'The server drains.') }],
    'The server drains.',
  ],
  ['the key is revoked', [ENDED, { failure: refused(401, 'The key is wrong.') }], 'The key is wrong.'],
  ['the address may not ask', [ENDED, { failure: refused(403, 'Not from here.') }], 'Not from here.'],
  [
    'the server has no such route',
    [ENDED, { failure: refused(404, 'There is no /live.') }],
    'There is no /live.',
  ],
])('it ends with the words of the server where %s', async (_what, answers: Answer[], message) => {
  const { ended } = watching(answers);
  await expect(ended).rejects.toThrow(message);
});

it.each([
  ['sends nothing', undefined, 'http://host does not answer.'],
  ['is gone', new RemoteError('unreachable', 'No server answers.'), 'http://host does not answer.'],
  ['breaks the stream off', new RemoteError('broken', 'Lost.'), 'http://host does not answer.'],
  ['has too many readers', refused(503, 'Too many programs read /live.'), 'Too many programs read /live.'],
  ['limits the rate', refused(429, 'Too many requests.'), 'Too many requests.'],
  [
    'is behind a proxy that answers instead',
    new RemoteError('foreign', 'What answers is no llm-serve (HTTP 502).'),
    'What answers is no llm-serve (HTTP 502).',
  ],
])('it asks again where the server %s later, and says so once', async (_what, failure, trouble) => {
  const again = failure === undefined ? {} : { failure };
  const { ended, events } = watching([ENDED, again, again, { states: ['other'] }]);
  await ended;
  expect(events.slice(0, 3)).toEqual([
    expect.stringContaining('demo'),
    `${trouble} It is asked again every second.`,
    expect.stringContaining('other'),
  ]);
});

it('a stream that ends, as after a reload, is asked for again without a word', async () => {
  const { ended, events } = watching([ENDED, { states: ['other'] }]);
  await ended;
  expect(events).toEqual([expect.stringContaining('demo'), expect.stringContaining('other')]);
});

it('a pipe gets whole lines, one state after the other', async () => {
  const { ended, written } = watching([{ states: ['a'.repeat(200), 'demo'] }]);
  await ended;
  const [first = '', second = ''] = written;
  expect(first).toContain('a'.repeat(200));
  expect(first.endsWith('\n') && second.startsWith('\nllm-serve 1.2.3 at http://host')).toBe(true);
  expect(written.join('')).not.toContain('\u001b');
});

it('JSON is one line each, as the server sent it', async () => {
  const { ended, written } = watching([{ states: ['demo', 'other'] }], { asJson: true });
  await ended;
  expect(written.map((text) => JSON.parse(text).models[0].id)).toEqual(['demo', 'other']);
  expect(written.every((text) => text.endsWith('}\n'))).toBe(true);
});

it('a screen is written over, never beyond its last line, and anew when its size changes', async () => {
  const { ended, written, output } = watching([{ states: ['demo', 'x'.repeat(200)] }, {}], {
    isScreen: true,
    size: { columns: 30, rows: 6 },
    atPause: () => {
      output.size = { columns: 12, rows: 40 };
      output.resized();
    },
  });
  await ended;
  const [clear, ...drawn] = written;
  expect(clear).toBe('\u001b[2J');
  expect(drawn.every((text) => text.startsWith('\u001b[H') && text.endsWith('\u001b[J'))).toBe(true);
  const lines = drawn.map((text) => text.slice('\u001b[H'.length).split('\u001b[K\n').slice(0, -1));
  expect(lines[1]).toHaveLength(5);
  expect(lines[1]?.some((line) => line.length === 30 && line.endsWith('…'))).toBe(true);
  expect(lines[2]?.[0]).toBe('llm-serve 1…');
  expect(lines[2]?.length).toBeGreaterThan(5);
  // The trouble, then the same for the size as it is.
  const trouble = ['http://host does not answer. It is asked again every second.'];
  expect(lines.slice(3)).toEqual([trouble, trouble]);
  expect(output.listeners).toBe(0);
});

it('repeats a state that stays the same, as only a write finds out that nobody reads a pipe', async () => {
  let repeat = () => {};
  let isStopped = false;
  let seen: readonly string[] = [];
  const { ended, written } = watching([ENDED], {
    asJson: true,
    repeating: (call) => {
      repeat = call;
      return () => {
        isStopped = true;
      };
    },
    atPause: () => {
      // Nothing was sent: the trouble that is told meanwhile is not repeated either.
      repeat();
      repeat();
      repeat();
      seen = [...written];
    },
  });
  await ended;
  expect(seen).toHaveLength(3);
  expect(new Set(seen).size).toBe(1);
  expect(isStopped).toBe(true);
});

function watching(
  answers: readonly Answer[],
  {
    size = undefined,
    atPause = () => {},
    ...options
  }: Partial<WatchOptions> & {
    readonly size?: { columns: number; rows: number };
    readonly atPause?: () => void;
  } = {},
) {
  const written: string[] = [];
  /** What is written, and the complaints. */
  const events: string[] = [];
  const leaving = new AbortController();
  const left = [...answers];
  let listener: (() => void) | undefined;
  const output = {
    size,
    get columns() {
      return this.size?.columns;
    },
    get rows() {
      return this.size?.rows;
    },
    get listeners() {
      return listener === undefined ? 0 : 1;
    },
    write: (text: string) => {
      written.push(text);
      events.push(text);
    },
    on: (_event: string, added: () => void) => {
      listener = added;
    },
    off: () => {
      listener = undefined;
    },
    resized: () => listener?.(),
  };
  const server: RemoteServer = {
    address: 'http://host',
    json: () => Promise.reject(new Error('not asked')),
    events: async () => {
      const { states = [], failure } = left.shift() ?? {};
      if (states.length === 0 && failure !== undefined) throw failure;
      return Object.assign(sending(states, failure), { headers: {} });
    },
  };
  const ended = watchStatus({
    ...{ server, isScreen: false, asJson: false, signal: leaving.signal },
    output: output as unknown as WatchOptions['output'],
    complain: (text) => void events.push(text),
    repeating: () => () => {},
    // A person leaves when nothing more comes.
    pause: async () => {
      atPause();
      if (left.length > 0) return;
      leaving.abort();
      leaving.signal.throwIfAborted();
    },
    ...options,
  });
  return { ended, written, events, output };
}

async function* sending(states: readonly string[], failure: RemoteError | undefined) {
  for (const id of states) yield { event: 'snapshot', data: JSON.stringify(stateOf(id)) };
  if (failure !== undefined) throw failure;
}

function stateOf(id: string): LiveSnapshot {
  return {
    ...{ sequence: 1, at_ms: 0, version: '1.2.3', scope: 'all', targets: [], queue: [], running: [] },
    ...{ ended: [], ended_omitted: 0, models: [{ id, waiting: 0, running: 0 }] },
    sums: { ...NO_SUMS, window_seconds: 0 },
  } as LiveSnapshot;
}
