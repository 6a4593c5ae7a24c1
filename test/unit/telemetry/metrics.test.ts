import { describe, expect, it } from 'vitest';
import type { RequestTrace } from '../../../src/core/request-trace.ts';
import { type GaugeSource, Metrics } from '../../../src/telemetry/metrics.ts';
import { exposition } from '../../../src/telemetry/prometheus.ts';
import { attemptOf } from '../../support/attempt.ts';

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
    },
  ],
  oldestRequestMs: () => 1500,
  edge: () => ({ connections: 7, bodyBytes: 300 }),
};

function textAfter(feed: (metrics: Metrics) => void): string {
  const metrics = new Metrics({ version: '1.2.3', source });
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
  usage: { promptTokens: 16, completionTokens: 8, cachedTokens: 0 },
};
const record = { method: 'POST', path: '/generate', route: '/generate', clientAddress: '::1', endedAt: 600 };

describe('the metrics', () => {
  it('tell a finished generation in the field’s own units', () => {
    const text = textAfter((metrics) => metrics.requestEnded({ ...record, status: 200, trace: finished }));
    for (const line of [
      'llm_serve_requests_total{route="/generate",status="200"} 1',
      'llm_serve_time_to_first_token_seconds_bucket{le="0.06",model="m"} 0',
      'llm_serve_time_to_first_token_seconds_bucket{le="0.08",model="m"} 1',
      'llm_serve_time_to_first_token_seconds_bucket{le="+Inf",model="m"} 1',
      'llm_serve_time_to_first_token_seconds_sum{model="m"} 0.07',
      'llm_serve_request_queue_time_seconds_count{model="m"} 1',
      'llm_serve_e2e_request_latency_seconds_sum{model="m"} 0.6',
      'llm_serve_batch_size_bucket{le="4",model="m"} 1',
      'llm_serve_prompt_tokens_total{model="m"} 16',
      'llm_serve_generation_tokens_total{model="m"} 8',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
  });

  it('count a refusal by its code, also inside a stream that has committed', () => {
    const trace: RequestTrace = { requestId: 'r', receivedAt: 0, model: 'm', errorCode: 'queue_timeout' };
    const text = textAfter((metrics) => metrics.requestEnded({ ...record, status: 200, trace }));
    expect(text).toContain('llm_serve_rejected_total{code="queue_timeout"} 1\n');
  });

  it('put the time between tokens into the bucket whose boundary it does not exceed', () => {
    const text = textAfter((metrics) => {
      for (const gapMs of [10, 10.1, 9000]) metrics.tokenGap('m', gapMs);
    });
    expect(text).toContain('llm_serve_inter_token_latency_seconds_bucket{le="0.01",model="m"} 1\n');
    expect(text).toContain('llm_serve_inter_token_latency_seconds_bucket{le="0.025",model="m"} 2\n');
    expect(text).toContain('llm_serve_inter_token_latency_seconds_bucket{le="2.5",model="m"} 2\n');
    expect(text).toContain('llm_serve_inter_token_latency_seconds_bucket{le="+Inf",model="m"} 3\n');
  });

  it('read the gauges when they are scraped', () => {
    const text = textAfter(() => {});
    for (const line of [
      'llm_serve_requests_waiting{model="m"} 3',
      'llm_serve_requests_running{model="m"} 2',
      'llm_serve_target_up{model="m",target="scripted/0"} 1',
      'llm_serve_target_health{model="m",target="scripted/0",health="degraded"} 1',
      'llm_serve_target_ejections_total{model="m",target="scripted/0",cause="reset"} 2',
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
