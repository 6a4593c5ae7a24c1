/** Pure: what the Live view says, in words. */
import { leaseInWords } from '../../src/core/leased-slots.ts';
import type { LiveSnapshot, LiveSums, LiveTarget } from '../../src/core/live-snapshot.ts';
import { duration, number, plural } from '../ui/amounts.ts';
import type { Bar } from './bars.ts';

export { duration, number, percent, plural } from '../ui/amounts.ts';

const OUTCOMES: Readonly<Record<string, string>> = {
  completed: 'finished',
  cancelled: 'cancelled',
  rejected: 'rejected',
  unknown: 'ended, not yet reported',
  moved_on: 'failed, tried again',
};

/** `connection_failed` → `failed: connection failed`. */
export function outcomeInWords(outcome: string): string {
  return OUTCOMES[outcome] ?? `failed: ${spaced(outcome)}`;
}

export function spaced(name: string): string {
  return name.replaceAll(/[_-]/g, ' ');
}

/** What a bar is doing at a time. */
export function stateInWords(bar: Bar, now: number): string {
  if (bar.endedAt !== null && bar.endedAt <= now) {
    const outcome = outcomeInWords(bar.outcome ?? 'unknown');
    return bar.errorCode === null || bar.outcome === 'completed' ? outcome : `${outcome} (${bar.errorCode})`;
  }
  if (bar.startedAt === null || bar.startedAt > now) return 'waiting';
  return bar.firstTokenAt === null || bar.firstTokenAt > now ? 'running, no token yet' : 'streaming';
}

/** Without them every request that finishes would count as within. */
export function hasObjectives({ objectives }: Pick<LiveSums, 'objectives'>): boolean {
  return Object.values(objectives).some((limit) => limit !== null);
}

/** `first token ≤ 1.50 s, token after it ≤ 50 ms`. */
export function objectivesInWords({ objectives }: Pick<LiveSums, 'objectives'>): string {
  const { ttft_ms, tpot_ms, e2e_ms } = objectives;
  return [
    ...(ttft_ms === null ? [] : [`first token ≤ ${duration(ttft_ms)}`]),
    ...(tpot_ms === null ? [] : [`each token after it ≤ ${duration(tpot_ms)}`]),
    ...(e2e_ms === null ? [] : [`whole answer ≤ ${duration(e2e_ms)}`]),
  ].join(', ');
}

/** What is not as it should be; empty where all is well. */
export function troubleOf({ status, health }: LiveTarget): readonly string[] {
  return [...new Set([status, health])].filter((word) => word !== 'ready').map(spaced);
}

/** Of a target whose slots several servers share; empty where this server has it alone. */
export function leaseNotes({ lease }: Pick<LiveTarget, 'lease'>): readonly string[] {
  return lease === undefined ? [] : [`leased: ${leaseInWords(lease)}`];
}

/** For those who do not see the lanes. */
export function summary(snapshot: LiveSnapshot): string {
  const { targets, models, sums } = snapshot;
  const slots = targets.reduce((sum, target) => sum + target.slots, 0);
  const used = targets.reduce((sum, target) => sum + target.slots_used, 0);
  const waiting = models.reduce((sum, model) => sum + model.waiting, 0);
  return [
    `${used} of ${plural(slots, 'slot')} busy`,
    waiting === 0 ? 'nothing waits' : `${plural(waiting, 'request')} waiting`,
    `${number(sums.finished / Math.max(1, sums.window_seconds))} finished a second`,
    ...(sums.failed > 0 ? [`${sums.failed} failed`] : []),
    ...targets.flatMap((target) => leaseNotes(target).map((note) => `${target.name} ${note}`)),
    ...targets.flatMap((target) => {
      const trouble = troubleOf(target);
      return trouble.length === 0 ? [] : [`${target.name} is ${trouble.join(', ')}`];
    }),
  ].join(', ');
}
