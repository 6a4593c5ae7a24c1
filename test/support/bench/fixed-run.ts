/** A run of fixed records: what reports of it look like changes only where a report changes. */
import { measureStep } from '../../../src/bench/measures.ts';
import type { Step } from '../../../src/bench/plan.ts';
import { RandomSource } from '../../../src/bench/random.ts';
import type { RequestRecord } from '../../../src/bench/record.ts';
import type { BenchRun, MeasuredStep } from '../../../src/bench/run.ts';
import { readSettings } from '../../../src/bench/settings.ts';

export const FIXED_ORIGIN = { version: '1.2.3', node: '24.0.0', startedAt: '2026-11-27T08:00:00.000Z' };

/** `slowness`: factor of all times. */
export function fixedRun(slowness = 1, seed = 1): BenchRun {
  const settings = readSettings({
    slo: 'ttft=200,tpot=50',
    concurrency: '2,4',
    promptTokens: '32',
    outputTokens: '8',
  });
  const random = new RandomSource(seed);
  const steps = settings.steps.map((step) => fixedStep(step, slowness, random, settings));
  return {
    ...{ addresses: ['http://127.0.0.1:8000'], model: 'small', settings, datasetName: undefined, steps },
    server: { name: 'llm-serve', kind: 'llm-serve', protocol: 'openai-chat', models: ['small'] },
    notes: ['The server does not take ignore_eos: answers end where the model ends them.'],
    end: 'complete',
  };
}

const REQUESTS = 40;

function fixedStep(
  step: Step,
  slowness: number,
  random: RandomSource,
  { objectives }: BenchRun['settings'],
): MeasuredStep {
  const users = step.kind === 'closed' ? step.concurrency : 1;
  const records = Array.from({ length: REQUESTS }, (_, index): RequestRecord => {
    const startedAt = Math.floor(index / users) * 600 * slowness;
    const queueMs = (users - 1) * 60 * random.next() * slowness;
    const firstTokenAt = startedAt + queueMs + (60 + 20 * random.next()) * slowness;
    const gapsMs = Float32Array.from({ length: 7 }, () => (20 + 15 * random.next()) * slowness);
    const isRejected = users === 4 && index % 10 === 9;
    const common = { index, startedAt, sentAt: startedAt, beganWithReasoning: false };
    const asked = { promptTokens: 32, outputTokens: 8 };
    if (isRejected)
      return {
        ...{
          ...common,
          asked,
          firstTokenAt: undefined,
          endedAt: startedAt + 2,
          outcome: 'rejected',
          error: 'http_503',
        },
        ...{ finishReason: undefined, promptTokens: undefined, outputTokens: 0, tokensFrom: 'events' },
        ...{ gapsMs: new Float32Array(), server: undefined },
      };
    return {
      ...{
        ...common,
        asked,
        firstTokenAt,
        endedAt: firstTokenAt + gapsMs.reduce((sum, gap) => sum + gap, 1),
      },
      ...{
        outcome: 'completed',
        error: undefined,
        finishReason: 'length',
        promptTokens: 33,
        outputTokens: 8,
      },
      ...{ tokensFrom: 'usage', gapsMs, server: { queueMs, upstreamMs: 300 } },
    };
  });
  const client = { cpuShare: 0.08, loopLagP99Ms: 1.5 };
  return { records, measures: measureStep(step, records, { objectives, client }), servers: [] };
}
