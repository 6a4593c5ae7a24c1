import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadOfHeader, loadOfMetrics, loadOfSlots } from '../../../../src/backends/openai-compatible/load.ts';
import type { LoadReport } from '../../../../src/core/backend.ts';
import { chatRequest, generateAll, neverAborted } from '../../../support/stand-ins/generate.ts';
import { type PlayedLoad, vllmMetrics } from '../../../support/stand-ins/openai-load.ts';
import { recording } from '../../../support/stand-ins/recording.ts';
import { runningOpenAi } from '../../../support/stand-ins/running-openai.ts';
import type { StandIn } from '../../../support/stand-ins/stand-in-server.ts';

const asked = (standIn: StandIn, path: string) =>
  standIn.seen().filter((request) => request.path === path).length;

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

  it('of several engines are summed, the part of their KV caches averaged', () => {
    const engine = (index: number, load: PlayedLoad) =>
      vllmMetrics(load).replaceAll('engine="0"', `engine="${index}"`);
    const text =
      engine(0, { running: 7, waiting: 3, kvCacheUsed: 0.5 }) + engine(1, { running: 1, kvCacheUsed: 0.1 });
    expect(loadOfMetrics(text)).toEqual({ running: 8, waiting: 3, kvCacheUsed: 0.3 });
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
