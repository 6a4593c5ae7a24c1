/** Which target takes the next request: of those that have room, the least loaded in proportion to its slots; the first listed wins a tie. */
import type { SchedulerTarget } from './decision.ts';

export interface SelectableTarget {
  readonly slots: number;
  readonly used: number;
  /** Estimated tokens of what runs there. */
  readonly tokensInFlight: number;
  readonly state: SchedulerTarget['state'];
}

export function selectTarget<Target extends SelectableTarget>(
  targets: Iterable<Target>,
  need: { readonly tokens: number; readonly maxTokensInFlight: number },
): Target | undefined {
  let best: Target | undefined;
  for (const target of targets) {
    if (target.state !== 'ready' || target.used >= target.slots) continue;
    // A request that alone exceeds the budget runs alone.
    if (target.used > 0 && target.tokensInFlight + need.tokens > need.maxTokensInFlight) continue;
    if (!best || target.used / target.slots < best.used / best.slots) best = target;
  }
  return best;
}
