import { describe, expect, it } from 'vitest';
import type { TargetStatus } from '../../../src/core/backend.ts';
import { readinessOf } from '../../../src/serving/readiness.ts';
import { FakeBackend, fakeTarget } from '../../support/fake-backend.ts';

function reasonOf(...statuses: TargetStatus[]): string {
  const targets = statuses.map((status) => fakeTarget(new FakeBackend(), { status }));
  const readiness = readinessOf({ models: new Map([['m', targets]]), defaultModel: 'm', draining: false });
  return readiness.reason ?? readiness.status;
}

const status = (state: TargetStatus['state'], more: Partial<TargetStatus> = {}): TargetStatus => ({
  state,
  loaded: false,
  ...more,
});

describe('readiness', () => {
  it.each([
    ['ready', [status('ready', { loaded: true })]],
    ['ready', [status('unreachable'), status('ready')]],
    ['ready', [status('unloaded', { mayUnload: true })]],
    ['model_loading', [status('loading')]],
    ['model_loading', [status('unloaded')]],
    ['model_loading', [status('failed'), status('loading')]],
    ['backend_failed', [status('failed')]],
    ['model_not_found', [status('not_found')]],
    ['backend_unreachable', [status('unreachable')]],
  ] as const)('is %s for %j', (expected, statuses) => {
    expect(reasonOf(...statuses)).toBe(expected);
  });

  it('is draining whatever the targets say', () => {
    const targets = [fakeTarget(new FakeBackend())];
    expect(
      readinessOf({ models: new Map([['m', targets]]), defaultModel: 'm', draining: true }),
    ).toMatchObject({
      status: 'not_ready',
      reason: 'draining',
      models: [{ id: 'm', status: 'ready' }],
    });
  });
});
