import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { RequestTrace } from '../../../src/core/request-trace.ts';
import { type GaugeSource, Metrics, type MetricsSettings } from '../../../src/telemetry/metrics.ts';
import { ProcessMetrics } from '../../../src/telemetry/process-metrics.ts';
import { exposition } from '../../../src/telemetry/prometheus.ts';
import { attemptOf } from '../../support/attempt.ts';

const RECORDED = fileURLToPath(new URL('../../fixtures/vllm/metrics-excerpt.txt', import.meta.url));

const source: GaugeSource = {
  loads: () => [{ model: 'm', waiting: 3, waitingBytes: 1200, running: 2 }],
  targets: () => [
    {
      model: 'm',
      target: 'scripted/0',
      up: true,
      health: 'degraded',
      ejections: new Map([['reset', 2]]),
      slots: 4,
      slotsUsed: 2,
      tokensInFlight: 40,
      kvCacheUsed: 0.25,
      kvCacheTokens: 4 * 4096,
    },
  ],
  spans: () => undefined,
  oldestRequestMs: () => 1500,
  edge: () => ({ connections: 7, bodyBytes: 300 }),
};

function textAfter(feed: (metrics: Metrics) => void, changed: Partial<MetricsSettings> = {}): string {
  const process = new ProcessMetrics();
  onTestFinished(() => process.close());
  const settings = { objectives: {}, vllmNames: false, ...changed };
  const metrics = new Metrics({ version: '1.2.3', source, settings, process });
  feed(metrics);
  return metrics.text();
}

const finished: RequestTrace = {
  requestId: 'r',
  receivedAt: 0,
  model: 'm',
  enqueuedAt: 0,
  dispatchedAt: 20,
  firstTokenAt: 70,
  endedAt: 600,
  batch: { id: 'b', size: 3 },
  target: 't',
  attempts: [attemptOf({ startedAt: 20, firstTokenAt: 70, endedAt: 590 })],
  usage: { promptTokens: 16, completionTokens: 8, cachedTokens: 4 },
};
const record = { method: 'POST', path: '/generate', route: '/generate', clientAddress: '::1', endedAt: 600 };

describe('the metrics', () => {
  it('tell a finished generation in the field’s own units', () => {
    const text = textAfter((metrics) => metrics.requestEnded({ ...record, status: 200, trace: finished }));
    for (const line of [
      'llm_serve_requests_total{route="/generate",status="200",model="m"} 1',
      'llm_serve_requests_ended_total{model="m",reason="stop"} 1',
      'llm_serve_requests_within_objectives_total{model="m"} 1',
      'llm_serve_time_to_first_token_seconds_bucket{le="0.06",model="m",target="t"} 0',
      'llm_serve_time_to_first_token_seconds_bucket{le="0.08",model="m",target="t"} 1',
      'llm_serve_time_to_first_token_seconds_bucket{le="+Inf",model="m",target="t"} 1',
      'llm_serve_time_to_first_token_seconds_sum{model="m",target="t"} 0.07',
      'llm_serve_request_queue_time_seconds_sum{model="m",target="t"} 0.02',
      'llm_serve_request_upstream_time_seconds_sum{model="m",target="t"} 0.57',
      'llm_serve_request_gateway_time_seconds_sum{model="m",target="t"} 0.01',
      'llm_serve_e2e_request_latency_seconds_sum{model="m",target="t"} 0.6',
      'llm_serve_batch_size_bucket{le="4",model="m"} 1',
      'llm_serve_prompt_tokens_total{model="m"} 16',
      'llm_serve_prompt_tokens_cached_total{model="m"} 4',
      'llm_serve_generation_tokens_total{model="m"} 8',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
  });

  it('count a refusal by its code, also inside a stream that has committed', () => {
    const trace: RequestTrace = { requestId: 'r', receivedAt: 0, model: 'm', errorCode: 'queue_timeout' };
    const text = textAfter((metrics) => metrics.requestEnded({ ...record, status: 200, trace }));
    expect(text).toContain('llm_serve_rejected_total{code="queue_timeout",model="m"} 1\n');
  });

  it('put the time between tokens into the bucket whose boundary it does not exceed', () => {
    const text = textAfter((metrics) => {
      for (const gapMs of [10, 10.1, 9000]) metrics.tokenGap('m', gapMs, 'one');
    });
    expect(text).toContain(
      'llm_serve_inter_token_latency_seconds_bucket{le="0.01",model="m",target="one"} 1\n',
    );
    expect(text).toContain(
      'llm_serve_inter_token_latency_seconds_bucket{le="0.025",model="m",target="one"} 2\n',
    );
    expect(text).toContain(
      'llm_serve_inter_token_latency_seconds_bucket{le="2.5",model="m",target="one"} 2\n',
    );
    expect(text).toContain(
      'llm_serve_inter_token_latency_seconds_bucket{le="+Inf",model="m",target="one"} 3\n',
    );
  });

  it('read the gauges when they are scraped', () => {
    const text = textAfter(() => {});
    for (const line of [
      'llm_serve_requests_waiting{model="m"} 3',
      'llm_serve_requests_running{model="m"} 2',
      'llm_serve_target_up{model="m",target="scripted/0"} 1',
      'llm_serve_target_health{model="m",target="scripted/0",health="degraded"} 1',
      'llm_serve_target_ejections_total{model="m",target="scripted/0",cause="reset"} 2',
      'llm_serve_target_kv_cache_usage{model="m",target="scripted/0"} 0.25',
      'llm_serve_slots_used{model="m",target="scripted/0"} 2',
      'llm_serve_oldest_request_seconds 1.5',
      'llm_serve_build_info{version="1.2.3"} 1',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
  });

  it('escape what a label or a help text must not hold as it is', () => {
    const family = {
      name: 'a_total',
      help: 'Back\\slash\nand "quotes".',
      type: 'counter',
      samples: () => [{ labels: { model: 'a"b\\c\nd' }, value: 2 }],
    } as const;
    expect(exposition([family, { ...family, name: 'b_total', samples: () => [] }])).toBe(
      [
        '# HELP a_total Back\\\\slash\\nand "quotes".',
        '# TYPE a_total counter',
        'a_total{model="a\\"b\\\\c\\nd"} 2',
        '',
        '# HELP b_total Back\\\\slash\\nand "quotes".',
        '# TYPE b_total counter',
        '',
      ].join('\n'),
    );
  });

  it('count each route with each status by itself', () => {
    const text = textAfter((metrics) => {
      for (const status of [200, 200, 429])
        metrics.requestEnded({ ...record, status, trace: { requestId: 'r', receivedAt: 0 } });
    });
    expect(text).toContain('llm_serve_requests_total{route="/generate",status="200"} 2\n');
    expect(text).toContain('llm_serve_requests_total{route="/generate",status="429"} 1\n');
  });
});

it('attempts are counted by target and outcome, further ones by the failure before, requests that lacked the budget', () => {
  const first = attemptOf({ target: 'one' });
  const text = textAfter((metrics) => {
    metrics.attemptEnded({ ...first, failure: 'reset', outcome: 'reset' });
    metrics.attemptEnded({ ...first, target: 'other', kind: 'elsewhere', after: 'reset' });
    metrics.attemptEnded({ ...first, model: 'spare', kind: 'other_model' });
    const trace: RequestTrace = { requestId: 'r', receivedAt: 0, model: 'm', lackedRetryBudget: true };
    metrics.requestEnded({ ...record, status: 502, trace });
  });
  for (const line of [
    'llm_serve_attempts_total{model="m",target="one",outcome="reset"} 1',
    'llm_serve_attempts_total{model="m",target="other",outcome="completed"} 1',
    'llm_serve_retries_total{cause="reset",kind="elsewhere"} 1',
    'llm_serve_retries_total{cause="no_target",kind="other_model"} 1',
    'llm_serve_retry_budget_exhausted_total{model="m"} 1',
  ])
    expect(text).toContain(`${line}\n`);
});

it.each([
  ['met', { ttftMs: 70, tpotMs: 80, e2eMs: 600 }, 'llm_serve_requests_within_objectives_total{model="m"} 1'],
  ['missed', { ttftMs: 69 }, 'llm_serve_requests_within_objectives_total{model="m"} 0'],
])('objectives that are %s, as they are set when the request ends', (_, objectives, line) => {
  const text = textAfter((metrics) => metrics.requestEnded({ ...record, status: 200, trace: finished }), {
    objectives,
  });
  expect(text).toContain(`${line}\n`);
  expect(text).toContain('llm_serve_e2e_request_latency_seconds_count{model="m",target="t"} 1\n');
});

it.each([
  ['cancelled', { cancelPhase: 'streaming', errorCode: 'client_gone' }],
  ['failed', { errorCode: 'backend_error' }],
] as const)('a request that is %s did not finish: it has no latency and no tokens', (reason, ended) => {
  const text = textAfter((metrics) =>
    metrics.requestEnded({ ...record, status: 200, trace: { ...finished, ...ended } }),
  );
  expect(text).toContain(`llm_serve_requests_ended_total{model="m",reason="${reason}"} 1\n`);
  expect(text).not.toContain('e2e_request_latency_seconds_count{');
  expect(text).not.toContain('generation_tokens_total{');
});

it('what the rate limiter decides is counted', () => {
  const text = textAfter((metrics) => {
    for (const decision of ['allowed', 'allowed', 'limited', 'undecided'] as const)
      metrics.rateLimited(decision);
  });
  expect(text).toContain('llm_serve_rate_limit_decisions_total{decision="allowed"} 2\n');
  expect(text).toContain('llm_serve_rate_limit_decisions_total{decision="limited"} 1\n');
  expect(text).toContain('llm_serve_rate_limit_decisions_total{decision="undecided"} 1\n');
});

describe('the names of vLLM', () => {
  const feed = (metrics: Metrics) => {
    metrics.requestEnded({ ...record, status: 200, trace: finished });
    metrics.requestEnded({ ...record, status: 200, trace: { ...finished, target: 'other' } });
    metrics.tokenGap('m', 20, 't');
  };

  it('are not shown unless they are asked for', () => {
    expect(textAfter(feed)).not.toContain('vllm:');
  });

  it('and its labels are those that a real one was recorded with', () => {
    const text = textAfter(feed, { vllmNames: true });
    const shown = new Set(
      [...text.matchAll(/^(vllm:\w+)\{(.*?)\} /gm)].map(
        ([, name, labels]) => `${name} ${labelNames(labels)}`,
      ),
    );
    const recorded = readFileSync(RECORDED, 'utf8');
    const known = [...recorded.matchAll(/^(vllm:\w+)\{(.*?)\} /gm)].map(
      ([, name, labels]) => `${name} ${labelNames(labels)}`,
    );
    const ours = new Set([...shown].map((each) => each.split(' ')[0]));
    const common = known.filter((each) => ours.has(each.split(' ')[0]));
    expect(new Set(common).size).toBe(6);
    expect([...shown]).toEqual(expect.arrayContaining(common));
  });

  it('have all targets of a model as one engine', () => {
    const text = textAfter(feed, { vllmNames: true });
    for (const line of [
      'vllm:num_requests_waiting{engine="0",model_name="m"} 3',
      'vllm:num_requests_running{engine="0",model_name="m"} 2',
      'vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25',
      'vllm:cache_config_info{block_size="64",engine="0",model_name="m",num_gpu_blocks="256"} 1',
      'vllm:prompt_tokens_total{engine="0",model_name="m"} 32',
      'vllm:generation_tokens_total{engine="0",model_name="m"} 16',
      'vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 2',
      'vllm:request_success_total{engine="0",finished_reason="abort",model_name="m"} 0',
      'vllm:time_to_first_token_seconds_bucket{le="0.08",engine="0",model_name="m"} 2',
      'vllm:inter_token_latency_seconds_count{engine="0",model_name="m"} 1',
      'vllm:time_per_output_token_seconds_count{engine="0",model_name="m"} 1',
      'vllm:e2e_request_latency_seconds_count{engine="0",model_name="m"} 2',
      'vllm:request_queue_time_seconds_sum{engine="0",model_name="m"} 0.04',
    ])
      expect(text).toContain(`${line}\n`);
  });

  function labelNames(labels = ''): string {
    return [...labels.matchAll(/(\w+)="/g)]
      .map(([, name]) => name)
      .sort()
      .join();
  }
});

describe('the process', () => {
  const shownValue = (text: string, name: string) =>
    Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);

  it('has the names that dashboards of Node know, with values of this process', () => {
    const text = textAfter(() => {});
    for (const name of [
      'process_cpu_seconds_total',
      'process_start_time_seconds',
      'process_resident_memory_bytes',
      'nodejs_heap_size_total_bytes',
      'nodejs_heap_size_used_bytes',
      'nodejs_external_memory_bytes',
      'llm_serve_event_loop_active_seconds_total',
    ])
      expect(shownValue(text, name), name).toBeGreaterThan(0);
    expect(text).toContain(`nodejs_version_info{version="${process.version}",major=`);
    expect(text).toMatch(/^nodejs_heap_space_size_used_bytes\{space="old"\} \d+$/m);
    if (process.platform === 'linux') expect(shownValue(text, 'process_open_fds')).toBeGreaterThan(2);
  });

  it('has the delay of the event loop between two scrapes', async () => {
    const metrics = new ProcessMetrics();
    onTestFinished(() => metrics.close());
    const lag = (name: string) => {
      const family = metrics.families.find((each) => each.name === `nodejs_eventloop_lag${name}_seconds`);
      return family?.samples()[0]?.value ?? Number.NaN;
    };
    metrics.read();
    expect(lag('_max'), 'nothing is known yet').toBe(0);
    // The tick before which the loop is held up, the late one, and one to read it in: each in a turn of its own.
    let turn = 0;
    await expect
      .poll(
        () => {
          turn += 1;
          if (turn % 3 === 1) holdUp(80);
          if (turn % 3 === 0) metrics.read();
          return lag('_max');
        },
        { interval: 50, timeout: 60_000 },
      )
      .toBeGreaterThan(0.03);
    expect(lag('_p99')).toBeGreaterThanOrEqual(lag('_p50'));
  });

  function holdUp(forMs: number): void {
    const until = performance.now() + forMs;
    while (performance.now() < until);
  }
});
