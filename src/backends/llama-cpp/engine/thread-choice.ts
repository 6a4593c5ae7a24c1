/** How many threads compute at most, and why, in words for the log. Pure. Invariant: never more than usable cores. */
import type { UsableCores } from './usable-cores.ts';

export interface ThreadChoice {
  readonly threads: number;
  /** Completes "2 threads: …". */
  readonly why: string;
  /** What was configured could not be had. */
  readonly warning?: string;
}

export function chooseThreads(configured: number | undefined, usable: UsableCores): ThreadChoice {
  const limit = describeLimit(usable);
  if (configured === undefined) return { threads: usable.cores, why: `one per core; ${limit}` };
  if (configured <= usable.cores) return { threads: configured, why: 'as configured' };
  return {
    threads: usable.cores,
    why: `fewer than configured; ${limit}`,
    warning:
      `threads is ${configured}, but this process may use ${cores(usable.cores)} (${limit}): ` +
      `${usable.cores} ${usable.cores === 1 ? 'is' : 'are'} taken. More would wait for each other at every layer.`,
  };
}

function describeLimit({ available, quota }: UsableCores): string {
  if (quota === undefined) return `${cores(available)} available`;
  const worth = Number(quota.cores.toFixed(2));
  return `${quota.file} allows ${worth} of ${cores(available)}${worth > 1 ? ', rounded down to whole ones' : ''}`;
}

function cores(count: number): string {
  return count === 1 ? '1 core' : `${count} cores`;
}
