import { expect, it } from 'vitest';
import { statusText } from '../../../src/cli/status-text.ts';
import type { LiveSnapshot } from '../../../src/core/live-snapshot.ts';
import { textWidth } from '../../../src/core/text-columns.ts';

const request = { model: '模型', received_at_ms: 1000, target: '模型/scripted/0' };
const SNAPSHOT = {
  ...{ at_ms: 3500, version: '1.2.3', scope: 'own' },
  models: [
    { id: '模型', running: 2, waiting: 3 },
    { id: 'qwen', running: 0, waiting: 0 },
  ],
  targets: [
    {
      name: '模型/scripted/0',
      model: '模型',
      backend: 'scripted',
      status: 'ready',
      health: 'ejected',
      slots: 2,
      slots_used: 2,
    },
    {
      name: 'qwen/ollama/0',
      model: 'qwen',
      backend: 'ollama',
      status: 'unreachable',
      health: 'down',
      slots: 4,
      slots_used: 0,
    },
  ],
  running: [
    { ...request, request_id: 'one', first_token_at_ms: null, completion_tokens: 0 },
    { ...request, request_id: 'two', first_token_at_ms: 2000, completion_tokens: 1 },
  ],
  queue: [1, 2, 3].map((position) => ({
    ...{ ...request, request_id: `waiting-${position}`, position },
    reason: position === 1 ? 'no_free_slot' : 'turn_of_others',
  })),
  sums: {
    ...{ window_seconds: 10, finished: 25, completion_tokens: 1000, failed: 1, cancelled: 2 },
    ...{ rejected: { queue_full: 4 }, ttft_ms: { p50: 96.4, p99: 1250 } },
  },
} as unknown as LiveSnapshot;
const WIDE = { address: 'http://host', width: Number.POSITIVE_INFINITY, watches: false };

it('shows models, targets, rates, and requests with what they wait for', () => {
  expect(statusText(SNAPSHOT, WIDE).split('\n')).toEqual([
    'llm-serve 1.2.3 at http://host (only your own requests)',
    '',
    'MODEL  RUNNING  WAITING',
    '模型   2        3',
    'qwen   0        0',
    '',
    'TARGET           MODEL  BACKEND   STATE           SLOTS',
    '模型/scripted/0  模型   scripted  ready, ejected  2/2',
    'qwen/ollama/0    qwen   ollama    unreachable     0/4',
    '',
    'Last 10 s: 2.5 answers/s, 100.0 tokens/s, first token p50 96 ms, p99 1.25 s, 1 failed, 2 cancelled, 4 queue_full',
    '',
    'AGE     MODEL  STATE                    WHAT                                 REQUEST',
    '2.50 s  模型   runs at 模型/scripted/0  reads the prompt                     one',
    '2.50 s  模型   runs at 模型/scripted/0  1 token                              two',
    '2.50 s  模型   waits, place 1           all slots that it may use are taken  waiting-1',
    '2.50 s  模型   waits, place 2           others are before it                 waiting-2',
    '2.50 s  模型   waits, place 3           others are before it                 waiting-3',
  ]);
});

it('has no line longer than the screen, and no more requests than it has room for', () => {
  const lines = statusText(SNAPSHOT, { ...WIDE, width: 40, height: 18 }).split('\n');
  expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(40);
  expect(lines.length).toBeLessThan(18);
  expect(lines.at(-1)).toBe('and 2 more');
});

it.each([
  [false, 'Rates: --watch shows them.'],
  [true, 'Rates follow with the next requests.'],
])('before a second has passed there are no rates (watched: %s)', (watches, text) => {
  const sums = { ...SNAPSHOT.sums, window_seconds: 0 };
  expect(statusText({ ...SNAPSHOT, sums }, { ...WIDE, watches })).toContain(text);
});

it.each([
  [{ store: 'up', replicas: 1 }, 'Limits: shared, 1 server'],
  [{ store: 'up', replicas: 3 }, 'Limits: shared, 3 servers'],
  [
    { store: 'away', replicas: 3 },
    'Limits: their store is away, this server admits its share of each, one of 3',
  ],
  [{ store: 'away', on_failure: 'open' }, 'Limits: their store is away, everything is admitted'],
  [
    { store: 'away', on_failure: 'closed' },
    'Limits: their store is away, nothing that is limited is admitted',
  ],
] as const)('shows limits that are shared: %j', (changes, line) => {
  const shared_limits = { on_failure: 'local', replicas: 2, ...changes } as const;
  expect(statusText({ ...SNAPSHOT, shared_limits }, WIDE).split('\n')).toContain(line);
});

it('shows by what right slots are given that other servers use too', () => {
  const [first, second] = SNAPSHOT.targets;
  const lease = { slots: 4, basis: 'lease', replicas: 2, target_slots: 8, even_share: 4 } as const;
  const snapshotOf = (changes: Partial<typeof lease> | { basis: 'even_share' | 'none' }) =>
    ({ ...SNAPSHOT, targets: [{ ...first, lease: { ...lease, ...changes } }, second] }) as LiveSnapshot;
  const lines = (changes: Parameters<typeof snapshotOf>[0]) =>
    statusText(snapshotOf(changes), WIDE).split('\n');
  expect(lines({}).slice(6, 9)).toEqual([
    'TARGET           MODEL  BACKEND   STATE           SLOTS  LEASED',
    '模型/scripted/0  模型   scripted  ready, ejected  2/2    4 of 8, 2 servers',
    'qwen/ollama/0    qwen   ollama    unreachable     0/4',
  ]);
  expect(lines({ basis: 'even_share' })[7]).toContain('4 of 8, the even share, 2 servers');
  expect(lines({ basis: 'none' })[7]).toMatch(/none now$/);
});
