/** Creates what holds requests to their limits, and has budgets go on after a restart; a part of compose.ts. */
import type { Clock } from './core/clock.ts';
import type { Log } from './core/log.ts';
import type { Telemetry } from './core/request-trace.ts';
import { LimitGate } from './http/limit-gate.ts';
import { protocolAt } from './http/routes/protocols.ts';
import type { EdgeSettings } from './http/settings.ts';
import { utcPeriodsAt } from './limits/limit-rule.ts';
import type { LimitStore } from './limits/limit-store.ts';
import type { MemoryLimitStore } from './limits/memory-limit-store.ts';
import { PROTOCOLS } from './protocols/catalog.ts';
import { systemClock } from './system-clock.ts';
import type { UsageDimension } from './usage/usage-row.ts';
import type { UsageStore } from './usage/usage-store.ts';

/** Routes that cost the model or the machine work are limited. */
const LIMITED_PATHS: ReadonlySet<string> = new Set(
  PROTOCOLS.flatMap(({ routes }) => routes)
    .filter((route) => route.kind !== 'query' || route.limited)
    .map(({ path }) => path),
);

export function createLimitGate({
  store,
  settings,
  telemetry,
}: {
  readonly store: LimitStore;
  readonly settings: EdgeSettings;
  readonly telemetry: Telemetry;
}): LimitGate {
  return new LimitGate({
    clock: systemClock,
    store,
    settings,
    paths: LIMITED_PATHS,
    protocolAt,
    onChecked: (verdict) => telemetry.rateLimited(verdict),
    onDecision: (scope, verdict) => telemetry.limitDecided(scope, verdict),
  });
}

/** Whose budgets, and what their usage is added up by. Of addresses none is kept. */
const BUDGET_HOLDERS: readonly (readonly [scope: string, by: readonly UsageDimension[]])[] = [
  ['all', []],
  ['key', ['key']],
  ['team', ['team']],
  ['model', ['model']],
];

/**
 * Counters of this process begin empty, but a budget is for the whole day or month: it begins with what is in the database. A store that
 * is shared still has them.
 */
export async function seedBudgets({
  store,
  usage,
  log,
  clock,
}: {
  readonly store: Pick<MemoryLimitStore, 'begin'>;
  readonly usage: Pick<UsageStore, 'report'>;
  readonly log: Log;
  readonly clock: Pick<Clock, 'wallNow'>;
}): Promise<void> {
  const wallNow = clock.wallNow();
  const { day, dayBeganAt, month, monthBeganAt } = utcPeriodsAt(wallNow);
  const periods = [
    { period: 'day', date: day, from: dayBeganAt },
    { period: 'month', date: month, from: monthBeganAt },
  ];
  try {
    for (const { period, date, from } of periods)
      for (const [scope, by] of BUDGET_HOLDERS)
        for (const sum of await usage.report({ by, from, to: wallNow + 1 })) {
          const [id] = sum.by;
          if (id === '') continue;
          const holder = id === undefined ? scope : `${scope}:${id}`;
          const tokens = sum.promptTokens + sum.completionTokens;
          if (tokens > 0) store.begin(`${holder}:token_budget_per_${period}:${date}`, tokens);
          if (sum.costNano > 0) store.begin(`${holder}:budget_per_${period}:${date}`, sum.costNano);
        }
  } catch (error) {
    log.warn('What was used before could not be read: budgets of the day and the month begin at 0.', {
      error: error instanceof Error ? error.message : String(error),
    });
  }
}
