import { describe, expect, it } from 'vitest';
import { ThreadGovernor } from '../../../../../src/backends/llama-cpp/engine/thread-governor.ts';

/** As measured on two cores: alone, twice the threads take half the time; beside other load they wait for each other. */
const alone = (threads: number) => 20 / threads;
const beside = (threads: number) => (threads === 1 ? 25 : 250);

class Machine {
  readonly governor: ThreadGovernor;
  now = 0;

  constructor(mostThreads: number) {
    this.governor = new ThreadGovernor(mostThreads);
  }

  /** Runs steps for so long; the threads that each took. */
  run(forMs: number, cost: (threads: number) => number): number[] {
    const taken: number[] = [];
    for (const end = this.now + forMs; this.now < end; ) {
      const { threads } = this.governor;
      taken.push(threads);
      const milliseconds = cost(threads);
      this.now += milliseconds;
      this.governor.record(milliseconds, this.now);
    }
    return taken;
  }
}

const share = (taken: readonly number[], threads: number) =>
  taken.filter((used) => used === threads).length / taken.length;

describe('the thread governor', () => {
  it('takes all cores while they are its own, but for one short comparison', () => {
    const taken = new Machine(2).run(60_000, alone);
    expect(taken.filter((threads) => threads === 1)).toHaveLength(2);
  });

  it('finds out within a few steps that the cores are shared', () => {
    const machine = new Machine(2);
    const taken = machine.run(5000, beside);
    expect(taken.indexOf(1)).toBeLessThanOrEqual(4);
    expect(share(taken, 1)).toBeGreaterThan(0.9);
  });

  it('goes down when other load begins, and up again when it has ended', () => {
    const machine = new Machine(2);
    machine.run(10_000, alone);
    machine.run(6000, beside);
    expect(machine.governor.threads).toBe(1);
    machine.run(31_000, alone);
    expect(machine.governor.threads).toBe(2);
  });

  it('spends little of its time on trials that go badly', () => {
    const machine = new Machine(2);
    machine.run(10_000, beside);
    const taken = machine.run(120_000, beside);
    expect(taken.filter((threads) => threads === 2).length * 250).toBeLessThan(0.03 * 120_000);
  });

  it('steps down as far as it pays with many cores', () => {
    const machine = new Machine(8);
    machine.run(10_000, (threads) => (threads > 2 ? 100 * threads : 40 / threads));
    expect(machine.governor.threads).toBe(2);
  });

  it('has nothing to choose with one core', () => {
    expect(new Set(new Machine(1).run(1000, beside))).toEqual(new Set([1]));
  });
});
