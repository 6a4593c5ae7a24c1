import { describe, expect, it } from 'vitest';
import type { ServingError } from '../../../src/core/errors.ts';
import {
  readUsageRequest,
  sumOfUsage,
  USAGE_DIMENSIONS,
  type UsageReader,
  type UsageWords,
  usageReport,
} from '../../../src/usage/usage-report.ts';
import type { UsageQuery, UsageSum } from '../../../src/usage/usage-row.ts';

const NOW = Date.UTC(2026, 0, 31, 12, 34, 56);
const WORDING = {
  usualBy: ['key'],
  dimensions: USAGE_DIMENSIONS,
  names: { by: 'by', from: 'from', to: 'to' },
} as const;

const asked = (words: UsageWords) => {
  const { by, from, to } = readUsageRequest(words, WORDING, NOW);
  return { by, from: new Date(from).toISOString(), to: new Date(to).toISOString() };
};

describe('what is asked for', () => {
  it('is by default the last thirty days by key, with the hour of now', () => {
    expect(asked({})).toEqual({
      by: ['key'],
      from: '2026-01-01T00:00:00.000Z',
      to: '2026-01-31T13:00:00.000Z',
    });
  });

  it.each([
    ['a month', '2025-11', '2025-11-01T00:00'],
    ['a day', '2025-11-30', '2025-11-30T00:00'],
    ['an hour', '2025-11-30T07', '2025-11-30T07:00'],
    ['a time without an offset', '2025-11-30 07:30', '2025-11-30T07:00'],
    ['a time in UTC', '2025-11-30T07:30:59.999Z', '2025-11-30T07:00'],
    ['a time elsewhere', '2025-11-30T07:00+05:30', '2025-11-30T01:00'],
    ['hours ago', '24h', '2026-01-30T12:00'],
    ['days ago', '7d', '2026-01-24T12:00'],
  ])('from %s is from its hour on', (_, from, expected) => {
    expect(asked({ from }).from).toBe(`${expected}:00.000Z`);
  });

  it('to a time within an hour has the whole hour', () => {
    expect(asked({ to: '2026-01-30T12:00Z' }).to).toBe('2026-01-30T12:00:00.000Z');
    expect(asked({ to: '2026-01-30T12:01Z' }).to).toBe('2026-01-30T13:00:00.000Z');
  });

  it('may be by several, each once', () => {
    expect(asked({ by: 'team, key,team' }).by).toEqual(['team', 'key']);
  });

  it.each<[string, UsageWords, string, string]>([
    ['an unknown dimension', { by: 'key,user' }, 'by', 'by has "user", but may have key, team'],
    ['no dimension', { by: '' }, 'by', 'by has ""'],
    ['words', { from: 'yesterday' }, 'from', 'from is "yesterday", but must be'],
    ['a day that is none', { from: '2026-02-30' }, 'from', 'must be'],
    ['a month that is none', { to: '2026-13' }, 'to', 'must be'],
    ['a long text', { from: 'x'.repeat(1000) }, 'from', `"${'x'.repeat(60)}"`],
    ['the wrong order', { from: '2026-01-30', to: '2026-01-29' }, 'from', 'from must be before to'],
    ['too many hours', { by: 'hour', from: '2025-01' }, 'from', 'at most 92 days'],
  ])('is refused with what is wrong: %s', (_, words, param, message) => {
    const refusal = (() => {
      try {
        return asked(words);
      } catch (error) {
        return error as ServingError;
      }
    })();
    expect(refusal).toMatchObject({ code: 'invalid_request', param });
    expect((refusal as ServingError).message).toContain(message);
  });
});

const sum = (by: string[], changes: Partial<UsageSum> = {}): UsageSum => ({
  by,
  requests: 1,
  errors: 0,
  rejections: 0,
  promptTokens: 10,
  cachedTokens: 0,
  completionTokens: 5,
  costNano: 1_500_000,
  slotMs: 250,
  ...changes,
});

function reader(sums: (query: UsageQuery) => readonly UsageSum[]) {
  const queries: UsageQuery[] = [];
  const named: (readonly string[])[] = [];
  const keys = [
    { id: 'key_1', name: 'bob' },
    { id: 'key_2', name: 'alice' },
    { id: 'key_3', name: 'bob' },
  ];
  const source: UsageReader = {
    currency: () => 'EUR',
    keysNamed: async (idOrName) => keys.filter(({ id, name }) => id === idOrName || name === idOrName),
    namesOf: async (ids) => {
      named.push(ids);
      return keys.filter(({ id }) => ids.includes(id));
    },
    report: async (query) => {
      queries.push(query);
      return sums(query);
    },
  };
  return { source, queries, named };
}

const SPAN = { from: 0, to: 3_600_000 };

describe('a report', () => {
  it('has keys by their names, sorted; those without a key come last', async () => {
    const { source } = reader(() => [sum(['']), sum(['config:zoe']), sum(['key_1']), sum(['key_2'])]);
    const { rows, currency } = await usageReport(source, { by: ['key'], ...SPAN });
    expect(currency).toBe('EUR');
    expect(rows.map(({ key, key_id }) => [key, key_id])).toEqual([
      ['alice', 'key_2'],
      ['bob', 'key_1'],
      ['zoe', 'config:zoe'],
      [null, null],
    ]);
  });

  it('asks for the names of keys that are in its rows, each once, and for none where there are none', async () => {
    const rows = [sum(['red', 'key_2']), sum(['blue', 'key_2']), sum(['', '']), sum(['', 'config:zoe'])];
    const { source, named } = reader(() => rows);
    await usageReport(source, { by: ['team', 'key'], ...SPAN });
    expect(named).toEqual([['key_2']]);
    const empty = reader(() => [sum(['']), sum(['config:zoe'])]);
    await usageReport(empty.source, { by: ['key'], ...SPAN });
    await usageReport(empty.source, { by: ['model'], key: 'bob', ...SPAN });
    expect(empty.named).toEqual([]);
  });

  it('has money in units, slots in seconds, and no names where it is not by key', async () => {
    const { source } = reader(() => [sum(['', '2026-01-31T12'])]);
    const { rows } = await usageReport(source, { by: ['team', 'hour'], ...SPAN });
    expect(rows).toEqual([
      {
        team: null,
        hour: '2026-01-31T12:00:00Z',
        requests: 1,
        errors: 0,
        rejections: 0,
        prompt_tokens: 10,
        cached_tokens: 0,
        completion_tokens: 5,
        cost: 0.0015,
        slot_seconds: 0.25,
      },
    ]);
  });

  it('of a key has all that ever had its name, in the store or in the configuration, added up', async () => {
    const { source, queries } = reader(() => [sum(['m'])]);
    const { rows } = await usageReport(source, { by: ['model'], key: 'bob', team: 'red', ...SPAN });
    expect(queries.map(({ caller, team }) => [caller, team])).toEqual([
      ['key_1', 'red'],
      ['key_3', 'red'],
      ['config:bob', 'red'],
    ]);
    expect(rows).toMatchObject([{ model: 'm', requests: 3, prompt_tokens: 30, cost: 0.0045 }]);
  });

  it('is added up without errors of rounding', async () => {
    const { source } = reader(() =>
      Array.from({ length: 10 }, (_, at) => sum([`m${at}`], { costNano: 100_000_001 })),
    );
    const { rows } = await usageReport(source, { by: ['model'], ...SPAN });
    expect(sumOfUsage(rows)).toMatchObject({ requests: 10, cost: 1.00000001, slot_seconds: 2.5 });
  });
});
