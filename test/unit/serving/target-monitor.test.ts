import { describe, expect, it } from 'vitest';
import type { LoadReport, TargetStatus } from '../../../src/core/backend.ts';
import { ServingError } from '../../../src/core/errors.ts';
import { TargetMonitor } from '../../../src/serving/target-monitor.ts';
import type { Target } from '../../../src/serving/targets.ts';
import { FakeBackend, fakeTarget } from '../../support/fake-backend.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const LOADING: TargetStatus = { state: 'loading', loaded: false };
const READY: TargetStatus = { state: 'ready', loaded: true };
const UNLOADED: TargetStatus = { state: 'unloaded', loaded: false };

function watch(status: TargetStatus, changes: Partial<Target> = {}) {
  const clock = new FakeClock();
  const backend = new FakeBackend();
  backend.status = status;
  const target = fakeTarget(backend, { status: LOADING, ...changes });
  const seen: string[] = [];
  const failures: string[] = [];
  const loads: (LoadReport | undefined)[] = [];
  const monitor = new TargetMonitor({
    target,
    clock,
    random: () => 0.5,
    others: () => ({ inService: 0, all: 0 }),
    onChange: ({ status: now }) => seen.push(now.state),
    onLoad: (_, load) => loads.push(load),
    onWarmUpFailed: (_, error) => failures.push(error.code),
  });
  monitor.start();
  return { clock, backend, target, seen, failures, loads, monitor };
}

describe('the target monitor', () => {
  it('passes on each report of the load, and once that there are none any more', async () => {
    const { clock, backend, loads, seen } = watch(READY);
    backend.status = { ...READY, load: { running: 3, waiting: 1 } };
    await clock.advance(2000);
    backend.status = READY;
    await clock.advance(2000);
    expect(loads).toEqual([
      { running: 3, waiting: 1 },
      { running: 3, waiting: 1 },
    ]);
    await clock.advance(3000);
    expect(loads).toEqual([{ running: 3, waiting: 1 }, { running: 3, waiting: 1 }, undefined]);
    expect(seen).toEqual(['ready']);
  });

  it('probes about once a second and tells of each change once', async () => {
    const { clock, backend, seen } = watch(READY);
    await clock.advance(3000);
    expect(backend.probes).toBe(4);
    expect(seen).toEqual(['ready']);
    backend.status = { state: 'unreachable', loaded: false };
    await clock.advance(2000);
    expect(seen).toEqual(['ready', 'unreachable']);
  });

  it('warms an unloaded model up, and calls it loading meanwhile', async () => {
    const { clock, backend, target } = watch(UNLOADED);
    await clock.settle();
    expect(backend.warmUps).toHaveLength(1);
    expect(target.status.state).toBe('loading');
    backend.status = READY;
    backend.warmUps[0]?.succeed();
    await clock.settle();
    expect(target.status.state).toBe('ready');
  });

  it('backs off while something keeps displacing the model, up to five minutes', async () => {
    const { clock, backend } = watch(UNLOADED);
    const attempts: number[] = [];
    for (let second = 0; second < 1300; second += 1) {
      await clock.advance(1000);
      if (backend.warmUps.length > attempts.length) {
        attempts.push(second);
        backend.warmUps.at(-1)?.succeed();
      }
    }
    const gaps = attempts.slice(1).map((at, index) => at - (attempts[index] ?? 0));
    expect(gaps[0]).toBeLessThanOrEqual(2);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(302);
    expect(gaps.at(-1)).toBeGreaterThan(200);
  });

  it('leaves a model alone that may unload when idle, once it was warm', async () => {
    const { clock, backend, target } = watch({ ...UNLOADED, mayUnload: true });
    await clock.settle();
    expect(backend.warmUps).toHaveLength(1);
    backend.status = READY;
    backend.warmUps[0]?.succeed();
    await clock.advance(1000);
    backend.status = { ...UNLOADED, mayUnload: true };
    await clock.advance(5000);
    expect(backend.warmUps).toHaveLength(1);
    expect(target.status).toMatchObject({ state: 'unloaded', mayUnload: true });
  });

  it('warms an embedded model up at the start, whatever the probe says, and reports when that fails', async () => {
    const { clock, backend, failures } = watch(LOADING, { embedded: true });
    backend.warmUps[0]?.fail(new ServingError('model_not_found'));
    await clock.settle();
    expect(failures).toEqual(['model_not_found']);
  });

  it('calls a backend whose probe throws unreachable', async () => {
    const { clock, backend, target } = watch(READY);
    backend.probe = () => Promise.reject(new Error('boom'));
    await clock.advance(1000);
    expect(target.status.state).toBe('unreachable');
  });

  it('does not give up a serving target for one slow probe, but for three in a row', async () => {
    const { clock, backend, target } = watch(READY);
    await clock.settle();
    backend.probe = ({ signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve({ state: 'unreachable', loaded: false }));
      });
    await clock.advance(5500);
    expect(target.status.state).toBe('ready');
    await clock.advance(1500);
    expect(target.status.state).toBe('unreachable');
  });

  it('keeps what was known of the model while nobody tells', async () => {
    const { clock, backend, target } = watch({ ...READY, details: { family: 'llama' } });
    await clock.settle();
    backend.status = { state: 'unreachable', loaded: false };
    await clock.advance(1000);
    expect(target.status).toEqual({ state: 'unreachable', loaded: false, details: { family: 'llama' } });
  });

  it('leaves no timer behind when it is stopped', async () => {
    const { clock, monitor } = watch(READY);
    await clock.settle();
    monitor.stop();
    expect(clock.pendingTimers).toBe(0);
  });
});
