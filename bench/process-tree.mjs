// A process and those that it has started, by Linux's accounting; which cores they may run on.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpuOf } from './process-usage.mjs';

/** The processes themselves first. */
export function treesOf(pids) {
  const parents = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const fields = readFileSync(`/proc/${name}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ');
      parents.set(Number(name), Number(fields[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const tree = [...pids];
  for (const known of tree) for (const [child, parent] of parents) if (parent === known) tree.push(child);
  return tree;
}

/**
 * Microseconds of CPU that the processes and those that they have started used in the time of `work`, for each of `units` of it; `control`:
 * of the first process alone.
 */
export async function cpuOfTrees({ pids, units }, work) {
  const ids = treesOf(pids);
  const total = (id) => {
    const { user, system } = cpuOf(id);
    return user + system;
  };
  const before = ids.map(total);
  const result = await work();
  const used = ids.map((id, index) => (total(id) - before[index]) / units);
  return { result, cpu: { control: used[0], total: used.reduce((sum, one) => sum + one, 0) } };
}

/** All threads of the processes, from now on; false where the machine has no `taskset`. */
export function pin(pids, core) {
  return pids.every(
    (pid) =>
      spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(pid)], {
        stdio: 'ignore',
      }).status === 0,
  );
}
