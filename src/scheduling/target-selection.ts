/** Which target takes the next request: the least loaded in proportion to its slots; the first listed wins a tie. */
import type { SchedulerTarget } from './decision.ts';

export interface SelectableTarget {
  readonly slots: number;
  readonly used: number;
  readonly state: SchedulerTarget['state'];
}

export function selectTarget<Target extends SelectableTarget>(targets: Iterable<Target>): Target | undefined {
  let best: Target | undefined;
  for (const target of targets) {
    if (target.state !== 'ready' || target.used >= target.slots) continue;
    if (!best || target.used / target.slots < best.used / best.slots) best = target;
  }
  return best;
}
