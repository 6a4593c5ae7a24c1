/**
 * How servers with the OpenAI API report their load. `/metrics` of vLLM and `/slots` of llama-server are as recorded from vLLM 0.32.0
 * and a llama-server of 2026, with other numbers. The older name of the KV cache's metric, the load header (vLLM 0.11) and
 * llama-server's `/metrics` are written after their servers' sources; none was recorded.
 */
import { readFileSync } from 'node:fs';
import { recordedJson } from './recording.ts';
import type { Reply, SeenRequest } from './stand-in-server.ts';

/** Read at each request, so a test may change it. */
export interface PlayedLoad {
  running?: number;
  waiting?: number;
  kvCacheUsed?: number;
  /** vLLM: so many data-parallel ranks, of which the first has all that there is to do. */
  ranks?: number;
  /** As before vLLM 0.10. */
  olderNames?: boolean;
  /** llama-server: started with --metrics. */
  withMetrics?: boolean;
  /** llama-server: started with --no-slots. */
  withoutSlots?: boolean;
}

const RECORDED_METRICS = readFileSync(
  new URL('../../fixtures/vllm/metrics-excerpt.txt', import.meta.url),
  'utf8',
);

/** Undefined where the server has no such route. */
export function loadReply(path: string, server: string, load: PlayedLoad): Reply | undefined {
  if (server === 'vllm' && path === '/metrics') return { status: 200, body: metricsOfRanks(load) };
  if (server !== 'llama-server') return undefined;
  if (path === '/metrics') return load.withMetrics ? { status: 200, body: llamaMetrics(load) } : disabled();
  if (path === '/slots') return load.withoutSlots ? disabled() : { status: 200, body: slots(load) };
  return undefined;
}

/** Only if the request asks for it. */
export function loadHeader({ headers }: SeenRequest, load: PlayedLoad): Readonly<Record<string, string>> {
  if (headers['endpoint-load-metrics-format'] !== 'TEXT') return {};
  const { waiting = 0, kvCacheUsed = 0 } = load;
  const metrics = [
    `named_metrics.num_requests_waiting=${waiting.toFixed(1)}`,
    `named_metrics.kv_cache_usage_perc=${kvCacheUsed}`,
  ];
  return { 'endpoint-load-metrics': `TEXT ${metrics.join(', ')}` };
}

function metricsOfRanks(load: PlayedLoad): string {
  const { ranks = 1, olderNames = false } = load;
  const idle = Array.from({ length: ranks - 1 }, (_, index) =>
    vllmMetrics({ olderNames }).replaceAll('engine="0"', `engine="${index + 1}"`),
  );
  return [vllmMetrics(load), ...idle].join('');
}

export function vllmMetrics({ running = 0, waiting = 0, kvCacheUsed = 0, olderNames }: PlayedLoad): string {
  const values = { running, waiting, kv_cache_usage_perc: kvCacheUsed };
  const played = RECORDED_METRICS.replace(
    /^(vllm:(?:num_requests_)?(running|waiting|kv_cache_usage_perc)\{.*\}) .*$/gm,
    (_, name: string, fact: keyof typeof values) => `${name} ${values[fact]}`,
  );
  return olderNames ? played.replaceAll('vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc') : played;
}

function llamaMetrics({ running = 0, waiting = 0 }: PlayedLoad): string {
  const sample = (name: string, value: number) =>
    `# HELP llamacpp:${name} Number of requests.\n# TYPE llamacpp:${name} gauge\nllamacpp:${name} ${value}\n`;
  return sample('requests_processing', running) + sample('requests_deferred', waiting);
}

function slots({ running = 0 }: PlayedLoad): string {
  const recorded = recordedJson('llama-server/slots') as unknown as readonly Record<string, unknown>[];
  return JSON.stringify(recorded.map((slot, index) => ({ ...slot, is_processing: index < running })));
}

function disabled(): Reply {
  const error = { code: 501, message: 'This server does not support it.', type: 'not_supported_error' };
  return { status: 501, body: JSON.stringify({ error }) };
}
