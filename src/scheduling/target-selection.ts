/** Which target takes the next request: of those that have room, the least loaded in proportion to its slots; the first listed wins a tie. */
import type { SchedulerTarget } from './decision.ts';

export interface SelectableTarget {
  readonly slots: number;
  readonly used: number;
  /** Estimated tokens of what runs there. */
  readonly tokensInFlight: number;
  readonly state: SchedulerTarget['state'];
}

export interface Need {
  readonly tokens: number;
  readonly maxTokensInFlight: number;
}

export function hasRoom(target: SelectableTarget, { tokens, maxTokensInFlight }: Need): boolean {
  if (target.state !== 'ready' || target.used >= target.slots) return false;
  // A request that alone exceeds the budget runs alone.
  return target.used === 0 || target.tokensInFlight + tokens <= maxTokensInFlight;
}

export function selectTarget<Target extends SelectableTarget>(
  targets: Iterable<Target>,
  need: Need,
): Target | undefined {
  let best: Target | undefined;
  for (const target of targets) {
    if (!hasRoom(target, need)) continue;
    if (!best || target.used / target.slots < best.used / best.slots) best = target;
  }
  return best;
}
