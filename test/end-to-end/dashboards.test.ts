/** The dashboards and alerts, against a real Prometheus that scrapes the real executable under some load: every query is answered. */
import { beforeAll, describe, expect, it } from 'vitest';
import { startExecutable } from '../support/executable.ts';
import { ask, openAnswer, send } from '../support/http-client.ts';
import { DASHBOARDS, operandsOf, queriesOf, RULES } from '../support/observability.ts';
import { missingProgram, type Prometheus, startPrometheus } from '../support/prometheus.ts';
import { scripted } from '../support/scripted-server.ts';
import { endingAfterAll, TEST_WORKERS } from '../support/server.ts';

/** What nothing in this load brings about: a server that reports its cache, an unreadable event, a budget that is used up. */
const EMPTY = [
  'llm_serve_target_kv_cache_usage',
  'llm_serve_malformed_events_total',
  'llm_serve_retry_budget_exhausted_total',
  'llm_serve_connections_refused_total',
  'code="too_many_attempts"',
  'llm_serve_limit_store_up',
  'llm_serve_slot_lease_',
  ...(TEST_WORKERS > 1 ? [] : ['llm_serve_worker']),
];
const WITHIN = { timeout: 120_000, interval: 500 };

const missing = missingProgram('prometheus');
const endsWith = endingAfterAll();

describe.skipIf(missing !== undefined)(
  `under Prometheus${missing === undefined ? '' : `: ${missing}`}`,
  () => {
    let prometheus: Prometheus;

    beforeAll(async () => {
      const target = { backend: 'scripted', model: 'demo', slots: 2, token_delay_ms: 3 };
      const models = [
        {
          id: 'demo',
          targets: [
            { name: 'one', ...target },
            { name: 'two', ...target, fail: 'error' },
          ],
        },
        { id: 'other', targets: [{ name: 'alone', ...target, slots: 1 }] },
      ];
      const flags = [
        ...['--models', JSON.stringify(models), '--rate-limit.enabled', 'true'],
        ...['--rate-limit.requests', '25', '--rate-limit.window-seconds', '1'],
        ...['--scheduler.max-queue', '3', '--objectives.ttft-ms', '1000'],
      ];
      const server = await startExecutable({ flags, endsWith });
      endsWith(keepLoading(server.url));
      prometheus = await startPrometheus(server.port, endsWith);
    });

    describe.each([...DASHBOARDS])('%s', (_, dashboard) => {
      it.each(queriesOf(dashboard))('$panel: $expr', async ({ expr }) => {
        const query = withoutVariables(expr);
        if (isEmpty(query)) expect(await prometheus.count(query)).toBe(0);
        else await expect.poll(() => prometheus.count(query), WITHIN).toBeGreaterThan(0);
      });

      it('its variables have values', async () => {
        for (const { definition } of dashboard.templating.list) {
          const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec(definition ?? '') ?? [];
          if (selector === undefined) continue;
          const query = `count by (${label}) (${withoutVariables(selector)})`;
          await expect.poll(() => prometheus.count(query), WITHIN).toBeGreaterThan(0);
        }
      });
    });

    describe('the alerts', () => {
      it('are all loaded, and evaluated without an error', async () => {
        const states = async () =>
          (await prometheus.rules()).map(({ name, health, lastError }) => [name, health, lastError]);
        await expect.poll(states, WITHIN).toEqual(RULES.map(({ alert }) => [alert, 'ok', undefined]));
      });

      it.each(RULES.flatMap((rule) => operandsOf(rule).map((operand) => ({ alert: rule.alert, operand }))))(
        '$alert compares something that is there: $operand',
        async ({ operand }) => {
          if (isEmpty(operand)) expect(await prometheus.count(operand)).toBe(0);
          else await expect.poll(() => prometheus.count(operand), WITHIN).toBeGreaterThan(0);
        },
      );
    });
  },
);

function isEmpty(query: string): boolean {
  return EMPTY.some((part) => query.includes(part));
}

/** As Grafana would put them in, over a range that fits the quick scrapes; alerts look back over minutes. */
function withoutVariables(expr: string): string {
  return expr.replaceAll('$__rate_interval', '20s').replaceAll(/\$(?:job|model|target)\b/g, '.*');
}

/** Requests of all kinds, a few at a time and now and then more than fit into the queue, until the returned function is called. */
function keepLoading(url: string): () => Promise<void> {
  let isOver = false;
  const requests = [
    { path: '/generate', body: { prompt: 'one two three', model: 'demo' } },
    { path: '/stream', body: { prompt: 'one two three', model: 'demo' } },
    { path: '/stream', body: { prompt: scripted({ fail: 'mid-stream' }), model: 'other' } },
    { path: '/generate', body: { prompt: 'one', model: 'other' } },
    // Sampled and with log-probabilities: it cannot go on.
    {
      path: '/stream',
      body: { prompt: scripted({ fail: 'mid-stream' }), model: 'other', temperature: 1, logprobs: true },
    },
    { path: '/generate', body: { prompt: 1 } },
  ];
  const worker = async (first: number) => {
    for (let turn = first; !isOver; turn += 1) {
      const { path, body } = requests[turn % requests.length] ?? { path: '/', body: {} };
      const answer = await openAnswer(url + path, { body }).catch(() => undefined);
      await answer?.whole.catch(() => {});
      if (turn % 10 === 0) await leave(url);
      if (turn % 20 === 0) await Promise.all(Array.from({ length: 6 }, () => crowd(url)));
    }
  };
  const workers = [0, 1, 2, 3].map(worker);
  return async () => {
    isOver = true;
    await Promise.all(workers);
  };
}

/** One of so many at the same time that the queue of the model is full. */
async function crowd(url: string): Promise<void> {
  const body = { prompt: scripted({ tokens: 20, token_delay_ms: 5 }), model: 'other' };
  await ask(`${url}/generate`, { body }).catch(() => {});
}

/** A client that goes away before its answer. */
async function leave(url: string): Promise<void> {
  const request = send(`${url}/generate`, { body: { prompt: scripted({ fail: 'hang' }), model: 'other' } });
  await new Promise<void>((resolve) => {
    request.once('close', () => resolve());
    request.once('socket', (socket) => socket.once('connect', () => setImmediate(() => request.destroy())));
  });
}
