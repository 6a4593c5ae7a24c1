/** Pure: what the Live view says, in words and figures. */
import type { LiveSnapshot, LiveTarget, WaitingReason } from '../../src/core/live-snapshot.ts';
import type { Bar } from './bars.ts';

export const REASONS: Readonly<Record<WaitingReason, string>> = {
  no_free_slot: 'All slots that it may use are taken.',
  token_limit: 'A slot is free, but the tokens in flight are at their limit.',
  batch_window: 'Its batch is still collecting.',
  model_loading: 'No target serves its model now; one is loading.',
  no_target_serves: 'No target serves its model now: all are down or out of service.',
  retry_pause: 'It pauses before it is tried again.',
  turn_of_others: 'Others go first.',
};

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

/** `340 ms`, `1.24 s`, `12 s`, `3 min 5 s`. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '–';
  if (ms < 0) return duration(0);
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 99.5) return `${seconds.toFixed(seconds < 20 ? 1 : 0)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** At most four figures, with a space between thousands. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  if (Math.abs(value) >= 100 || Number.isInteger(value))
    return Math.round(value)
      .toString()
      .replaceAll(/\B(?=(\d{3})+$)/g, '\u202f');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

export function percent(part: number, whole: number): string {
  if (whole === 0) return '–';
  const share = (part / whole) * 100;
  // 99.96 % is not all.
  const rounded = share > 99 && part < whole ? Math.floor(share * 10) / 10 : Math.round(share);
  return `${rounded}\u202f%`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** What is not as it should be; empty where all is well. */
export function troubleOf({ status, health }: LiveTarget): readonly string[] {
  return [...new Set([status, health])].filter((word) => word !== 'ready').map(spaced);
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
    ...targets.flatMap((target) => {
      const trouble = troubleOf(target);
      return trouble.length === 0 ? [] : [`${target.name} is ${trouble.join(', ')}`];
    }),
  ].join(', ');
}
