/** A target, as the scheduler sees it. */
import type { SchedulerTarget } from '../scheduling/decision.ts';
import type { HealthState } from '../scheduling/target-health.ts';
import { isShared, slotCountOf, type Target } from './targets.ts';

export function schedulerTarget(target: Target): SchedulerTarget {
  const { id, model, role, weight, server, status, health, cacheIsolation } = target;
  return {
    id,
    model,
    role,
    weight,
    server,
    contextSize: status.contextSize,
    slots: slotCountOf(target),
    isShared: isShared(target),
    adaptive: target.slotsAdaptive ?? false,
    state: SCHEDULER_STATES[health],
    degraded: health === 'degraded',
    cachesPrefixes: cacheIsolation !== undefined,
  };
}

const SCHEDULER_STATES: Readonly<Record<HealthState, SchedulerTarget['state']>> = {
  starting: 'loading',
  ready: 'ready',
  degraded: 'ready',
  ejected: 'ejected',
  probing: 'probing',
  draining: 'draining',
  down: 'down',
};
