import { describe, expect, it } from 'vitest';
import { simulateFleet } from '../../../../src/simulation/fleet/fleet.ts';
import type { FleetSetup } from '../../../../src/simulation/fleet/fleet-setup.ts';

/** 64 slots, which serve some 92 requests a second. */
const SETUP: FleetSetup = {
  seed: 7,
  replicas: 4,
  servers: 2,
  slotsPerServer: 32,
  sharing: 'leases',
  offeredPerSecond: 60,
  seconds: 8,
  warmUpSeconds: 6,
  answerTokens: 64,
  msPerToken: 10,
  promptMs: 50,
  queueTimeoutMs: 3000,
  networkMs: 1,
  leaseMs: 3000,
  skew: 0,
  clients: 10,
  conversations: 0,
};

const run = (changes: Partial<FleetSetup> = {}) => simulateFleet({ ...SETUP, ...changes }, () => 0);

describe('a fleet in virtual time', () => {
  it('does the same again with the same seed', () => {
    expect(run()).toEqual(run());
    expect(run({ seed: 8 })).not.toEqual(run());
  });

  it('serves all that its slots can, from wherever the load comes', () => {
    const { offered, completed, failed } = run({ skew: 2 });
    expect(offered).toBeGreaterThan(400);
    expect(failed / offered).toBeLessThan(0.02);
    expect(completed / offered).toBeGreaterThan(0.9);
  });

  it('loses a skewed load with fixed shares, and lets in too much where nothing is shared', () => {
    const even = run({ skew: 2, sharing: 'even' });
    expect(even.failed / even.offered).toBeGreaterThan(0.2);
    expect(even.overAdmissions).toBe(0);
    const none = run({ offeredPerSecond: 180, sharing: 'none' });
    expect(none.overAdmissions).toBeGreaterThan(100);
    expect(none.maxPresent).toBeGreaterThan(2);
    expect(none.hiddenMs.p99).toBeGreaterThan(500);
  });

  it('lets in no more than the slots, whatever breaks', () => {
    const breaks = { crashesPerSecond: 1, pausesPerSecond: 1, pauseMs: 5000 };
    for (const faults of [breaks, { ...breaks, storeAwayFromMs: 7000, storeAwayForMs: 5000 }]) {
      const { overAdmissions, completed } = run({ offeredPerSecond: 180, seconds: 16, faults });
      expect(overAdmissions).toBe(0);
      expect(completed).toBeGreaterThan(100);
    }
  });

  it.each([
    { name: 'nothing breaks', faults: {} },
    { name: 'replicas crash, with what waits in their queues', faults: { crashesPerSecond: 2 } },
    {
      name: 'replicas crash while they are stopped',
      faults: { crashesPerSecond: 2, pausesPerSecond: 2, pauseMs: 3000 },
    },
  ])('ends every request once, or has it under way at the end, where $name', ({ faults }) => {
    for (const sharing of ['leases', 'even', 'none'] as const) {
      const setup = { sharing, skew: 1, offeredPerSecond: 150, warmUpSeconds: 0, seconds: 16, faults };
      const { offered, completed, failed, underWay } = run(setup);
      expect(offered).toBeGreaterThan(1500);
      expect(underWay).toBeGreaterThan(0);
      expect(completed + failed + underWay).toBe(offered);
    }
  });

  it('gives light clients what they ask for beside a flood on all replicas', () => {
    const { servedShares } = run({ offeredPerSecond: 200, heavyShare: 0.8, seconds: 12 });
    const [heavy = 0, ...light] = servedShares;
    expect(heavy).toBeLessThan(0.6);
    for (const share of light) expect(share).toBeGreaterThan(0.7);
  });
});
