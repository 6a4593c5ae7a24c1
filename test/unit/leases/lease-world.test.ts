import { describe, expect, it } from 'vitest';
import type { LeaseSettings } from '../../../src/leases/slot-leases.ts';
import { LeaseWorld, type LeaseWorldOptions } from '../../support/lease-world.ts';

const STEPS = process.env.LLM_TEST_LONG === '1' ? 1_000_000 : 20_000;
const SHARE: LeaseSettings = { leaseMs: 3000, timeoutMs: 500, onFailure: 'share' };
const STOP: LeaseSettings = { ...SHARE, onFailure: 'stop' };

function walked(options: LeaseWorldOptions): LeaseWorld {
  const world = new LeaseWorld(options);
  for (let step = 0; step < STEPS; step += 1) world.step();
  return world;
}

describe('replicas that share slots', () => {
  it.each([
    { name: 'crash, stop, sleep, come and leave', breaksReplicas: true, settings: SHARE },
    { name: 'lose the store', breaksStore: true, settings: SHARE },
    { name: 'crash while the store is lost', breaksReplicas: true, breaksStore: true, settings: SHARE },
    { name: 'are cut off one by one, and stop then', cutsOff: true, settings: STOP },
    {
      name: 'have all of it at once',
      breaksReplicas: true,
      breaksStore: true,
      cutsOff: true,
      settings: STOP,
    },
  ])('never run more than there are when they $name', (breaks) => {
    for (const [seed, slots, replicas] of [
      [1, 8, 4],
      [2, 3, 5],
      [3, 32, 3],
    ] as const) {
      const world = walked({ seed, slots, replicas, ...breaks });
      expect(world.overAdmissions).toBe(0);
      expect(world.maxRunning).toBe(slots);
      expect(world.maxOrphansOfOne).toBeLessThanOrEqual(slots);
    }
  });

  it('do run more where single ones are cut off and go on with even shares', () => {
    const world = walked({ seed: 4, slots: 8, replicas: 4, cutsOff: true, settings: SHARE });
    expect(world.overAdmissions).toBeGreaterThan(0);
    expect(world.grantsAlone).toBeGreaterThan(world.overAdmissions / 8);
    expect(world.maxRunning).toBeLessThanOrEqual(16);
  });
});
