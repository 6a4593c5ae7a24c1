/**
 * The main series once more under the names and labels of vLLM, so that dashboards and autoscalers made for it work unchanged. A model's
 * targets are one engine to them. Names as vLLM 0.32 has them, and those of earlier versions that dashboards still ask for.
 */
import type { Counter, Histogram, MetricFamily, Sample } from './prometheus.ts';

/** The families that are shown again. */
export interface AliasedFamilies {
  readonly timeToFirstToken: Histogram;
  readonly interTokenLatency: Histogram;
  readonly latency: Histogram;
  readonly queueTime: Histogram;
  readonly upstreamTime: Histogram;
  readonly promptTokens: Counter;
  readonly generationTokens: Counter;
  /** With the labels `model` and `reason`. */
  readonly ended: Counter;
}

interface AliasedGauges {
  loads(): readonly { readonly model: string; readonly waiting: number; readonly running: number }[];
  targets(): readonly {
    readonly model: string;
    readonly kvCacheUsed: number | undefined;
    readonly kvCacheTokens: number | undefined;
  }[];
}

/** vLLM's reasons, which it shows from the start; ours by what they are to it. */
const REASONS: Readonly<Record<string, readonly string[]>> = {
  stop: ['stop', 'tool_calls', 'content_filter'],
  length: ['length'],
  abort: ['cancelled'],
  error: ['failed'],
};

export function vllmFamilies(families: AliasedFamilies, gauges: AliasedGauges): readonly MetricFamily[] {
  const histogram = (name: string, of: Histogram): MetricFamily =>
    familyOf(name, 'histogram', of.help, () => of.samplesByModel(labelsOf));
  const counter = (name: string, of: Counter): MetricFamily =>
    familyOf(name, 'counter', of.help, () =>
      of.samples().map(({ labels, value }) => ({ labels: labelsOf(labels.model ?? ''), value })),
    );
  const load = (
    name: string,
    help: string,
    read: (load: ReturnType<AliasedGauges['loads']>[number]) => number,
  ) =>
    familyOf(name, 'gauge', help, () =>
      gauges.loads().map((of) => ({ labels: labelsOf(of.model), value: read(of) })),
    );
  const cacheUsage = (name: string) =>
    familyOf(
      name,
      'gauge',
      'Part of the KV cache in use, 0 to 1: the fullest of the targets that report it.',
      () => cacheUsageOf(gauges),
    );
  return [
    load('num_requests_running', 'Requests that hold a slot.', ({ running }) => running),
    load('num_requests_waiting', 'Requests in the queue.', ({ waiting }) => waiting),
    cacheUsage('kv_cache_usage_perc'),
    cacheUsage('gpu_cache_usage_perc'),
    {
      ...familyOf(
        'cache_config_info',
        'gauge',
        'Always 1; what the KV caches of the model’s embedded targets hold is in its labels, in blocks of 64 tokens.',
        () => cacheConfigs(gauges),
      ),
      across: 'max',
    },
    counter('prompt_tokens_total', families.promptTokens),
    counter('generation_tokens_total', families.generationTokens),
    familyOf('request_success_total', 'counter', 'Requests that have ended, by why.', () =>
      successes(families.ended),
    ),
    histogram('time_to_first_token_seconds', families.timeToFirstToken),
    histogram('inter_token_latency_seconds', families.interTokenLatency),
    histogram('time_per_output_token_seconds', families.interTokenLatency),
    histogram('e2e_request_latency_seconds', families.latency),
    histogram('request_queue_time_seconds', families.queueTime),
    histogram('request_inference_time_seconds', families.upstreamTime),
  ];
}

function familyOf(
  name: string,
  type: MetricFamily['type'],
  help: string,
  samples: MetricFamily['samples'],
): MetricFamily {
  return { name: `vllm:${name}`, type, help, samples };
}

function labelsOf(model: string): Sample['labels'] {
  return { engine: '0', model_name: model };
}

function cacheUsageOf({ targets }: AliasedGauges): readonly Sample[] {
  const fullest = new Map<string, number>();
  for (const { model, kvCacheUsed } of targets())
    if (kvCacheUsed !== undefined) fullest.set(model, Math.max(kvCacheUsed, fullest.get(model) ?? 0));
  return [...fullest].map(([model, value]) => ({ labels: labelsOf(model), value }));
}

/** The smallest that endpoint pickers count in: the engine itself has no blocks, it compares prefixes token by token. */
const BLOCK_TOKENS = 64;

function cacheConfigs({ targets }: AliasedGauges): readonly Sample[] {
  const held = new Map<string, number>();
  for (const { model, kvCacheTokens } of targets())
    if (kvCacheTokens !== undefined) held.set(model, kvCacheTokens + (held.get(model) ?? 0));
  return [...held].map(([model, tokens]) => {
    const num_gpu_blocks = String(Math.floor(tokens / BLOCK_TOKENS));
    return { labels: { block_size: String(BLOCK_TOKENS), ...labelsOf(model), num_gpu_blocks }, value: 1 };
  });
}

function successes(ended: Counter): readonly Sample[] {
  const counts = new Map<string, Map<string, number>>();
  for (const { labels, value } of ended.samples()) {
    const ofModel = counts.get(labels.model ?? '') ?? new Map<string, number>();
    counts.set(labels.model ?? '', ofModel);
    ofModel.set(labels.reason ?? '', value);
  }
  return [...counts].flatMap(([model, ofModel]) =>
    Object.entries(REASONS).map(([finished_reason, ours]) => ({
      labels: { engine: '0', finished_reason, model_name: model },
      value: ours.reduce((sum, reason) => sum + (ofModel.get(reason) ?? 0), 0),
    })),
  );
}
