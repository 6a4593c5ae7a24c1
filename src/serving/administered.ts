/** What administrators see and do, of all processes that serve. */
import type { CountedRequests, ShownRequest } from './active-requests.ts';
import type { Serving } from './serving.ts';
import { type TargetState, targetState } from './target-state.ts';

type NowOrLater<Value> = Value | Promise<Value>;

export interface Administered {
  /** What waits and what runs, at most `limit` of each. */
  active(limit: number): NowOrLater<CountedRequests>;
  /** Ends one active request, whose client gets `cancelled_by_admin`. Undefined: there is none of that id. */
  cancel(id: string): NowOrLater<ShownRequest | undefined>;
  targets(): NowOrLater<readonly TargetState[]>;
  /** Takes a target out of service, or back; undefined where none has that name. */
  setDrained(name: string, isDrained: boolean): NowOrLater<TargetState | undefined>;
}

/** Of this process, which serves alone. */
export function administered(serving: Serving): Administered {
  return {
    active: (limit) => serving.active({ limit }),
    cancel: (id) => serving.cancel(id),
    targets: () => serving.targets.all.map((target) => targetState(target, serving)),
    setDrained: (name, isDrained) => {
      const target = serving.setDrained(name, isDrained);
      return target && targetState(target, serving);
    },
  };
}
