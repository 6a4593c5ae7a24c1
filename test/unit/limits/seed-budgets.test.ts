/** Budgets of this process go on, after a restart, from what the database has of the day and the month. */
import { expect, it } from 'vitest';
import { seedBudgets } from '../../../src/compose-limit-gate.ts';
import type { Caller } from '../../../src/core/caller.ts';
import { silentLog } from '../../../src/core/log.ts';
import { LimitPlan } from '../../../src/limits/limit-plan.ts';
import { MemoryStore } from '../../../src/stores/memory-store.ts';
import type { UsageRow } from '../../../src/usage/usage-row.ts';

const NOW = Date.UTC(2026, 0, 31, 12);
const clock = { wallNow: () => NOW };

function begun() {
  const counters: Record<string, number> = {};
  const begin = (counter: string, amount: number) => {
    counters[counter] = amount;
  };
  return { counters, store: { begin } };
}

const row = (more: Partial<UsageRow>): UsageRow => ({
  ...{ hour: NOW, caller: 'key_1', team: 'red', model: 'm', target: 't' },
  ...{ requests: 1, errors: 0, rejections: 0, promptTokens: 3, cachedTokens: 1, completionTokens: 4 },
  ...{ costNano: 50, slotMs: 5 },
  ...more,
});

it('begin with what keys, teams, models and the server used, by day and month, and with nothing where nothing was used', async () => {
  const usage = new MemoryStore().usage;
  const yesterday = NOW - 24 * 3_600_000;
  const lastMonth = Date.UTC(2025, 11, 31, 23);
  const rows = [
    row({}),
    row({ caller: 'key_2', costNano: 0 }),
    row({ hour: yesterday, model: 'other' }),
    row({ hour: lastMonth, caller: 'key_3' }),
    row({ caller: '', team: '', promptTokens: 0, completionTokens: 0, costNano: 0 }),
  ];
  await usage.add(rows, 'batch');
  const { counters, store } = begun();
  await seedBudgets({ store, usage, log: silentLog, clock });
  expect(counters).toEqual({
    'all:token_budget_per_day:2026-01-31': 14,
    'all:budget_per_day:2026-01-31': 50,
    'key:key_1:token_budget_per_day:2026-01-31': 7,
    'key:key_1:budget_per_day:2026-01-31': 50,
    'key:key_2:token_budget_per_day:2026-01-31': 7,
    'team:red:token_budget_per_day:2026-01-31': 14,
    'team:red:budget_per_day:2026-01-31': 50,
    'model:m:token_budget_per_day:2026-01-31': 14,
    'model:m:budget_per_day:2026-01-31': 50,
    'all:token_budget_per_month:2026-01': 21,
    'all:budget_per_month:2026-01': 100,
    'key:key_1:token_budget_per_month:2026-01': 14,
    'key:key_1:budget_per_month:2026-01': 100,
    'key:key_2:token_budget_per_month:2026-01': 7,
    'team:red:token_budget_per_month:2026-01': 21,
    'team:red:budget_per_month:2026-01': 100,
    'model:m:token_budget_per_month:2026-01': 14,
    'model:m:budget_per_month:2026-01': 50,
    'model:other:token_budget_per_month:2026-01': 7,
    'model:other:budget_per_month:2026-01': 50,
  });
});

it('names the counters that limits ask for', async () => {
  const usage = new MemoryStore().usage;
  await usage.add([row({})], 'batch');
  const { counters, store } = begun();
  await seedBudgets({ store, usage, log: silentLog, clock });
  const budgets = {
    token_budget_per_day: 1,
    budget_per_day: 1,
    token_budget_per_month: 1,
    budget_per_month: 1,
  };
  const none = { rateLimit: undefined, perAddress: {}, keys: {}, teams: {}, models: {} };
  const plan = new LimitPlan({ ...none, all: budgets, perKey: budgets, perTeam: budgets, perModel: budgets });
  const caller: Caller = {
    ...{ id: 'key_1', name: 'alice', source: 'store', team: 'red', labels: {}, models: undefined },
    ...{ highestPriority: undefined, limits: {}, mayAdmin: false },
  };
  const amounts = () => ({ expected: { tokens: 1, costNano: 1 } });
  const { charges } = plan.second({ caller, addressKey: 'a' }, { model: 'm', amounts }, NOW);
  expect(charges.map(({ counter }) => counter).sort()).toEqual(Object.keys(counters).sort());
});

it('are at 0, with a warning, where the database can not be read', async () => {
  const warnings: string[] = [];
  const { counters, store } = begun();
  const usage = { report: () => Promise.reject(new Error('disk')) };
  const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
  await seedBudgets({ store, usage, log, clock });
  expect(counters).toEqual({});
  expect(warnings).toEqual([expect.stringContaining('budgets of the day and the month begin at 0')]);
});
