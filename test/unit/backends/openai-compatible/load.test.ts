import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openAiCompatible } from '../../../../src/backends/openai-compatible/definition.ts';
import { responseError } from '../../../../src/backends/openai-compatible/errors.ts';
import { loadOfHeader, loadOfMetrics, loadOfSlots } from '../../../../src/backends/openai-compatible/load.ts';
import type { LoadReport } from '../../../../src/core/backend.ts';
import { chatRequest, generateAll, neverAborted } from '../../../support/stand-ins/generate.ts';
import { type PlayedLoad, vllmMetrics } from '../../../support/stand-ins/openai-load.ts';
import { recording } from '../../../support/stand-ins/recording.ts';
import { runningOpenAi } from '../../../support/stand-ins/running-openai.ts';
import type { StandIn } from '../../../support/stand-ins/stand-in-server.ts';

const asked = (standIn: StandIn, path: string) =>
  standIn.seen().filter((request) => request.path === path).length;

const TARGET = {
  model: 'm',
  url: 'http://127.0.0.1:1',
  flavor: 'vllm',
  check_listed: 'auto',
  reasoning_field: 'auto',
  whole_answers: 'auto',
  connect_timeout_ms: 1,
  first_token_timeout_ms: 1,
  idle_timeout_ms: 1,
} as const;

describe('the metrics of vLLM', () => {
  it('as recorded from 0.32.0 are of a server with nothing to do', () => {
    const recorded = readFileSync(
      new URL('../../../fixtures/vllm/metrics-excerpt.txt', import.meta.url),
      'utf8',
    );
    expect(loadOfMetrics(recorded)).toEqual({ running: 0, waiting: 0, kvCacheUsed: 0 });
  });

  it.each([{}, { olderNames: true }])('tell requests and KV cache by either name: %o', (names) => {
    const text = vllmMetrics({ running: 7, waiting: 3, kvCacheUsed: 0.42, ...names });
    expect(loadOfMetrics(text)).toEqual({ running: 7, waiting: 3, kvCacheUsed: 0.42 });
  });

  describe('with two data-parallel ranks, as recorded from 0.32.0', () => {
    const recorded = readFileSync(
      new URL('../../../fixtures/vllm/metrics-two-ranks.txt', import.meta.url),
      'utf8',
    );

    it('are summed, and the fullest KV cache counts', () => {
      expect(loadOfMetrics(recorded)).toEqual({ running: 4, waiting: 6, kvCacheUsed: 0.005371749481137833 });
    });

    it('are of one rank for a target that is one', () => {
      expect(loadOfMetrics(recorded, 0)).toEqual({ running: 0, waiting: 0, kvCacheUsed: 0 });
      expect(loadOfMetrics(recorded, 1)).toEqual({
        running: 4,
        waiting: 6,
        kvCacheUsed: 0.005371749481137833,
      });
      expect(loadOfMetrics(recorded, 2)).toBeUndefined();
    });

    it('are labelled by the whole deployment’s numbers at a server that has only its last ranks', () => {
      const last = recorded.replaceAll('engine="0"', 'engine="9"').replaceAll('engine="1"', 'engine="10"');
      expect(loadOfMetrics(last, 0)).toMatchObject({ running: 0, waiting: 0 });
      expect(loadOfMetrics(last, 1)).toMatchObject({ running: 4, waiting: 6 });
    });

    it('are, before the first request, not there', () => {
      expect(loadOfMetrics('vllm:prompt_tokens_total{engine="0",model_name="m"} 0.0\n', 0)).toBeUndefined();
    });
  });

  it.each<[string, LoadReport | undefined]>([
    ['', undefined],
    ['# HELP vllm:num_requests_running Number of requests.\n', undefined],
    ['vllm:num_requests_running NaN\nvllm:num_requests_waiting +Inf\n', undefined],
    ['vllm:num_requests_running{model_name="a } b"} 2.0 1795394780\n', { running: 2 }],
    ['vllm:num_requests_running 3', { running: 3 }],
    ['vllm:num_requests_waiting_by_reason{reason="capacity"} 3\n', undefined],
    ['vllm:kv_cache_usage_perc 42\nvllm:num_requests_waiting -1\n', undefined],
    ['x vllm:num_requests_running 3\n<html>', undefined],
  ])('in %j: %o', (text, load) => {
    expect(loadOfMetrics(text)).toEqual(load);
  });
});

describe('the load header', () => {
  it.each<[string | undefined, LoadReport | undefined]>([
    [
      'TEXT named_metrics.kv_cache_usage_perc=0.4, named_metrics.num_requests_waiting=2.0',
      { waiting: 2, kvCacheUsed: 0.4 },
    ],
    // Two data-parallel ranks, as recorded from vLLM 0.32.0.
    [
      'TEXT named_metrics.num_requests_waiting=0.0, named_metrics.num_requests_waiting=6.0, named_metrics.kv_cache_usage_perc=0.0, named_metrics.kv_cache_usage_perc=0.005860090343059454',
      { waiting: 6, kvCacheUsed: 0.005860090343059454 },
    ],
    [
      'TEXT named_metrics.num_requests_waiting=5.0, named_metrics.num_requests_waiting=0.0, named_metrics.kv_cache_usage_perc=0.9, named_metrics.kv_cache_usage_perc=0.1',
      { waiting: 5, kvCacheUsed: 0.9 },
    ],
    // Without its first word: vLLM's frontend in Rust.
    [
      'named_metrics.kv_cache_usage_perc=0.4,named_metrics.num_requests_waiting=2',
      { waiting: 2, kvCacheUsed: 0.4 },
    ],
    [
      'JSON {"named_metrics": {"kv_cache_usage_perc": 0.4, "num_requests_waiting": 2.0}}',
      { waiting: 2, kvCacheUsed: 0.4 },
    ],
    ['JSON {"named_metrics": 3}', undefined],
    ['JSON {', undefined],
    ['TEXT cpu_utilization=0.3, mem_utilization', undefined],
    ['TEXT named_metrics.num_requests_waiting=', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j tells %o', (header, load) => {
    expect(loadOfHeader({ 'endpoint-load-metrics': header })).toEqual(load);
  });

  it('is asked for with whole answers of vLLM, and never with streams', async () => {
    const load = { waiting: 2, kvCacheUsed: 0.25 };
    const { backend, standIn } = await runningOpenAi({ load });
    const reports: LoadReport[] = [];
    const onLoad = (report: LoadReport) => void reports.push(report);
    await generateAll(backend, chatRequest('hello'), neverAborted(), { delivery: 'whole', onLoad });
    expect(standIn.seen().at(-1)?.headers['endpoint-load-metrics-format']).toBe('TEXT');
    expect(reports).toEqual([{ waiting: 2, kvCacheUsed: 0.25 }]);
    await generateAll(backend, chatRequest('hello'), neverAborted(), { delivery: 'stream', onLoad });
    expect(standIn.seen().at(-1)?.headers['endpoint-load-metrics-format']).toBeUndefined();
    expect(reports).toHaveLength(1);
  });

  it('is not asked for at servers that do not know it', async () => {
    const { backend, standIn } = await runningOpenAi({ server: 'llama-server' });
    await generateAll(backend, chatRequest('hello'), neverAborted(), { delivery: 'whole' });
    expect(standIn.seen().at(-1)?.headers['endpoint-load-metrics-format']).toBeUndefined();
  });
});

describe('a target that is one data-parallel rank', () => {
  it('names it in every request, and reads the load of that rank alone', async () => {
    const { backend, standIn } = await runningOpenAi(
      { load: { running: 2, waiting: 1, ranks: 2 } },
      { data_parallel_rank: 1 },
    );
    // What the stand-in plays is on rank 0; the other ranks have nothing to do.
    expect((await backend.probe({ signal: neverAborted() })).load).toEqual({
      running: 0,
      waiting: 0,
      kvCacheUsed: 0,
    });
    for (const delivery of ['stream', 'whole'] as const) {
      await generateAll(backend, chatRequest('hello'), neverAborted(), { delivery });
      expect(standIn.seen().at(-1)?.headers['x-data-parallel-rank']).toBe('1');
      // It would tell of all ranks.
      expect(standIn.seen().at(-1)?.headers['endpoint-load-metrics-format']).toBeUndefined();
    }
  });

  it('leaves the choice to vLLM where none is named', async () => {
    const { backend, standIn } = await runningOpenAi({ load: { running: 2, waiting: 1, ranks: 2 } });
    expect((await backend.probe({ signal: neverAborted() })).load).toMatchObject({ running: 2, waiting: 1 });
    await generateAll(backend, chatRequest('hello'));
    expect(standIn.seen().at(-1)?.headers['x-data-parallel-rank']).toBeUndefined();
  });

  it('that the server does not have is a fault of the configuration, not of the request', () => {
    const { status, headers, body } = recording('vllm/error-rank');
    const error = responseError(
      { status, headers, body: JSON.parse(body) },
      { model: 'smollm2', wallNowMs: 0, request: chatRequest('hello') },
    );
    expect(error).toMatchObject({ code: 'backend_error', failure: 'misconfigured' });
    expect(error.message).toContain('data_parallel_rank');
  });

  it.each(['llama-server', 'generic'] as const)('is refused for flavor %s', (flavor) => {
    const target = { url: 'http://127.0.0.1:1', model: 'm', flavor, data_parallel_rank: 0 };
    expect(() => openAiCompatible.checkTarget?.({ ...TARGET, ...target })).toThrow(
      `data_parallel_rank is for vLLM, but flavor is ${flavor}. Remove one of them.`,
    );
    expect(() => openAiCompatible.checkTarget?.({ ...TARGET, ...target, flavor: 'vllm' })).not.toThrow();
  });

  it('is refused behind a router, which chooses the server', () => {
    const target = { ...TARGET, data_parallel_rank: 0, router: 'llm-d' } as const;
    expect(() => openAiCompatible.checkTarget?.(target)).toThrow('a router chooses between several');
  });

  it('has a load of its own beside the other ranks of its server', () => {
    const server = (rank?: number) =>
      openAiCompatible.server?.({ ...TARGET, ...(rank !== undefined && { data_parallel_rank: rank }) });
    expect(new Set([server(), server(0), server(1)]).size).toBe(3);
    expect(server(1)).toBe(server(1));
  });
});

describe('the slots of llama-server', () => {
  it('as recorded are four that are free', () => {
    expect(loadOfSlots(recording('llama-server/slots').body)).toEqual({ running: 0 });
  });

  it.each(['', '[]', '{}', '[{"id":0}]', 'null', '[null]'])(
    'that are not a list of slots tell nothing: %s',
    (text) => {
      expect(loadOfSlots(text)).toBeUndefined();
    },
  );
});

describe('a probe', () => {
  it('brings the load of vLLM', async () => {
    const { backend } = await runningOpenAi({ load: { running: 5, waiting: 1, kvCacheUsed: 0.5 } });
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({
      state: 'ready',
      load: { running: 5, waiting: 1, kvCacheUsed: 0.5 },
    });
  });

  it.each<[PlayedLoad, LoadReport | undefined]>([
    [
      { running: 3, waiting: 2, withMetrics: true },
      { running: 3, waiting: 2 },
    ],
    [{ running: 3, waiting: 2 }, { running: 3 }],
    [{ running: 3, waiting: 2, withoutSlots: true }, undefined],
  ])('brings the load of a llama-server as far as it is switched on: %o', async (played, load) => {
    const { backend, standIn } = await runningOpenAi({ server: 'llama-server', load: played });
    for (let probes = 0; probes < 3; probes += 1) {
      const status = await backend.probe({ signal: neverAborted() });
      expect(status.state).toBe('ready');
      expect(status.load).toEqual(load);
    }
    // A route that is switched off is asked for once.
    expect(asked(standIn, '/metrics')).toBe(played.withMetrics ? 3 : 1);
    expect(asked(standIn, '/slots')).toBe(played.withMetrics ? 0 : load === undefined ? 1 : 3);
  });

  it('finds a server ready that reports no load', async () => {
    const { backend } = await runningOpenAi();
    const status = await backend.probe({ signal: neverAborted() });
    expect(status.state).toBe('ready');
    expect(status.load).toBeUndefined();
  });
});
