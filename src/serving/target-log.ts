/** What the log says of a target that changes. */
import type { TargetStatus } from '../core/backend.ts';
import type { Log } from '../core/log.ts';
import type { HealthChange, HealthState } from '../scheduling/target-health.ts';
import { slotCountOf, type Target } from './targets.ts';

const WORTH_A_WARNING: ReadonlySet<HealthState> = new Set(['degraded', 'ejected', 'down']);

/** One line a change: of the status, where it changed, otherwise of the health. */
export function logChange({
  changed: { model, id, status, health },
  before,
  change,
  log,
}: {
  readonly changed: Target;
  readonly before: TargetStatus;
  readonly change: HealthChange | undefined;
  readonly log: Log;
}): void {
  const write = WORTH_A_WARNING.has(health) ? log.warn : log.info;
  if (before.state !== status.state) {
    const detail = status.detail === undefined ? '' : `: ${status.detail}`;
    write.call(log, `target is ${status.state}${detail}`, { model, target: id, health });
  } else if (change !== undefined) {
    const { reason, cause, forMs } = change;
    const time = forMs === undefined ? '' : ` for ${(forMs / 1000).toFixed(1)} s`;
    write.call(log, `target is ${health}${time}: ${reason}`, { model, target: id, health, cause });
  }
}

/** Requests beyond the server's own slots wait there, unseen by the scheduler; slots that it has and we do not use are wasted. */
export function warnOfSlots(target: Target, log: Log): void {
  const { model, id, status } = target;
  const slots = slotCountOf(target);
  if (status.slots === undefined || status.slots === slots) return;
  log.warn(
    `slots is ${slots}, but the server runs ${status.slots} requests at the same time: set slots to ${status.slots} or leave it out, or start the server with ${slots}`,
    { model, target: id },
  );
}

/** Of what caused an error. */
export function messageOf(cause: unknown): string | undefined {
  if (cause === undefined) return undefined;
  return cause instanceof Error ? cause.message : String(cause);
}
