import { describe, expect, it } from 'vitest';
import {
  chooseThreads,
  StepCosts,
  ThreadGovernor,
  usableCores,
} from '../../../../../src/backends/llama-cpp/engine/threads.ts';

describe('thread governor', () => {
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
});

describe('step costs', () => {
  it('compares a step with the fastest of its kind', () => {
    const costs = new StepCosts();
    expect(costs.relative(1, 10)).toBe(1);
    expect(costs.relative(64, 64)).toBe(1);
    expect(costs.relative(1, 25)).toBe(2.5);
    expect(costs.relative(50, 100)).toBe(2);
  });

  it('does not take long prompts between answers for a busy machine', () => {
    // On this one two threads are always better, and a token of a prompt costs a tenth of one of an answer.
    const takes = (threads: number, tokens: number) => (threads === 2 ? 8 + 0.9 * tokens : 12 + 1.8 * tokens);
    const costs = new StepCosts();
    const governor = new ThreadGovernor(2);
    let now = 0;
    let onOneThreadMs = 0;
    for (let request = 0; request < 60; request += 1) {
      for (const tokens of [...Array<number>(5).fill(64), ...Array<number>(100).fill(1)]) {
        const { threads } = governor;
        const durationMs = takes(threads, tokens);
        now += durationMs;
        if (threads === 1) onOneThreadMs += durationMs;
        governor.record(costs.relative(tokens, durationMs), now);
      }
    }
    expect(onOneThreadMs / now).toBeLessThan(0.02);
    expect(governor.threads).toBe(2);
  });
});

describe('usable cores', () => {
  /** What a container or a service may use, from the files that say so; no root needed. */

  const MOUNTS_2 = '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n';
  const MOUNTS_1 = [
    '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755',
    '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct',
    '33 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset',
  ].join('\n');

  function cores(files: Readonly<Record<string, string>>, available = 8) {
    return usableCores({ available, readFile: (path) => files[path] });
  }

  describe('version 2', () => {
    const inContainer = { '/proc/self/cgroup': '0::/\n', '/proc/self/mountinfo': MOUNTS_2 };

    it.each([
      ['max 100000\n', 8],
      ['200000 100000\n', 2],
      ['250000 100000\n', 2],
      ['150000 100000\n', 1],
      ['50000 100000\n', 1],
      ['1000 100000\n', 1],
      ['1600000 100000\n', 8],
      ['nonsense', 8],
      ['', 8],
      ['100000 0', 8],
    ])('cpu.max %j of 8 cores leaves %i', (text, expected) => {
      expect(cores({ ...inContainer, '/sys/fs/cgroup/cpu.max': text }).cores).toBe(expected);
    });

    it('takes the tightest quota of its own group and those above it', () => {
      const files = {
        '/proc/self/cgroup': '0::/kube.slice/pod.slice/engine.scope\n',
        '/proc/self/mountinfo': MOUNTS_2,
        '/sys/fs/cgroup/kube.slice/cpu.max': '600000 100000',
        '/sys/fs/cgroup/kube.slice/pod.slice/cpu.max': '300000 100000',
        '/sys/fs/cgroup/kube.slice/pod.slice/engine.scope/cpu.max': 'max 100000',
      };
      expect(cores(files)).toEqual({
        cores: 3,
        available: 8,
        quota: { cores: 3, file: '/sys/fs/cgroup/kube.slice/pod.slice/cpu.max' },
      });
    });

    it('looks from the group that is mounted, where that is not the root', () => {
      const files = {
        '/proc/self/cgroup': '0::/docker/abc/worker\n',
        '/proc/self/mountinfo': '30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n',
        '/sys/fs/cgroup/worker/cpu.max': '400000 100000',
        '/sys/fs/cgroup/cpu.max': '200000 100000',
      };
      expect(cores(files).cores).toBe(2);
    });

    it.each(['0::/../other\n', '0::/elsewhere\n'])(
      'of a group out of sight (%j) reads what is mounted',
      (own) => {
        const files = {
          '/proc/self/cgroup': own,
          '/proc/self/mountinfo': '30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n',
          '/sys/fs/cgroup/cpu.max': '200000 100000',
        };
        expect(cores(files).cores).toBe(2);
      },
    );
  });

  describe('version 1', () => {
    const at = (folder: string, quota: string) => ({
      [`${folder}/cpu.cfs_quota_us`]: `${quota}\n`,
      [`${folder}/cpu.cfs_period_us`]: '100000\n',
    });

    it.each([
      ['-1', 8],
      ['350000', 3],
      ['50000', 1],
    ])('cpu.cfs_quota_us %s leaves %i', (quota, expected) => {
      const files = {
        '/proc/self/cgroup': '4:cpu,cpuacct:/docker/abc\n3:cpuset:/docker/abc\n0::/\n',
        '/proc/self/mountinfo': MOUNTS_1,
        ...at('/sys/fs/cgroup/cpu,cpuacct/docker/abc', quota),
      };
      expect(cores(files).cores).toBe(expected);
    });

    it('beside version 2 counts both', () => {
      const files = {
        '/proc/self/cgroup': '4:cpu,cpuacct:/a\n0::/b\n',
        '/proc/self/mountinfo': `${MOUNTS_1}\n40 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n`,
        ...at('/sys/fs/cgroup/cpu,cpuacct/a', '500000'),
        '/sys/fs/cgroup/unified/b/cpu.max': '200000 100000',
      };
      expect(cores(files).cores).toBe(2);
    });
  });

  describe('where nothing limits', () => {
    it('takes the cores that the affinity allows', () => {
      expect(cores({}, 3)).toEqual({ cores: 3, available: 3 });
    });

    it('reads a mount point with a blank in its name', () => {
      const files = {
        '/proc/self/cgroup': '0::/\n',
        '/proc/self/mountinfo': String.raw`30 23 0:26 / /my\040groups rw - cgroup2 cgroup2 rw`,
        '/my groups/cpu.max': '100000 100000',
      };
      expect(cores(files).cores).toBe(1);
    });
  });

  describe('threads', () => {
    const limited = { cores: 1, available: 8, quota: { cores: 1.5, file: '/sys/fs/cgroup/cpu.max' } };

    it('are one per usable core where none are configured', () => {
      expect(chooseThreads(undefined, { cores: 4, available: 4 })).toEqual({
        threads: 4,
        why: 'one per core; 4 cores available',
      });
      expect(chooseThreads(undefined, limited)).toEqual({
        threads: 1,
        why: 'one per core; /sys/fs/cgroup/cpu.max allows 1.5 of 8 cores, rounded down to whole ones',
      });
    });

    it('are as configured where that is not too many', () => {
      expect(chooseThreads(3, { cores: 4, available: 4 })).toEqual({ threads: 3, why: 'as configured' });
    });

    it('are lowered to the usable cores, with a warning that says why', () => {
      const { threads, warning } = chooseThreads(4, limited);
      expect(threads).toBe(1);
      expect(warning).toBe(
        'threads is 4, but this process may use 1 core (/sys/fs/cgroup/cpu.max allows 1.5 of 8 cores, rounded down to ' +
          'whole ones): 1 is used. More would wait for each other at every layer.',
      );
    });
  });
});
