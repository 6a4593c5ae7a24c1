/** Usage as the page shows it: ranges, sums, columns, CSV. */
import { describe, expect, test } from 'vitest';
import { usageCsv as csvOfCommand } from '../../../../src/cli/usage-text.ts';
import type { UsageRow } from '../../../../web/admin/api.ts';
import { usedToday } from '../../../../web/admin/keys/used-today.ts';
import { usageCsv } from '../../../../web/admin/usage/usage-csv.ts';
import {
  columnsOf,
  daysInWords,
  NOTHING,
  questionOf,
  RANGES,
  type RangeName,
  rangeOf,
  sumOf,
  totalsOf,
  unitOf,
} from '../../../../web/admin/usage/usage-report.ts';

const NOW = new Date('2026-03-05T13:45:00Z');
const NONE = { from: '', to: '' };

const row = (by: Partial<UsageRow>, tokens: number, requests = 1): UsageRow => ({
  ...NOTHING,
  requests,
  prompt_tokens: tokens / 2,
  completion_tokens: tokens / 2,
  ...by,
});

describe('a range', () => {
  test.each([
    ['today', '2026-03-05', '2026-03-06'],
    ['week', '2026-02-27', '2026-03-06'],
    ['month', '2026-02-04', '2026-03-06'],
    ['calendar', '2026-03-01', '2026-03-06'],
  ] as const)('%s is of whole UTC days', (name, from, to) =>
    expect(rangeOf(name, NOW, NONE)).toEqual({ from: new Date(from), to: new Date(to) }),
  );

  test('is shown by its first and its last day', () => {
    const words = (name: RangeName) => daysInWords(rangeOf(name, NOW, NONE) ?? { from: NOW, to: NOW });
    expect(words('today')).toBe('2026-03-05 (UTC)');
    expect(words('week')).toBe('2026-02-27 to 2026-03-05 (UTC)');
  });

  test('of chosen days has both of them; days in the wrong order, or none, are no range', () => {
    expect(rangeOf('custom', NOW, { from: '2026-01-31', to: '2026-01-31' })).toEqual({
      from: new Date('2026-01-31'),
      to: new Date('2026-02-01'),
    });
    expect(rangeOf('custom', NOW, { from: '2026-02-02', to: '2026-01-31' })).toBeUndefined();
    expect(rangeOf('custom', NOW, NONE)).toBeUndefined();
  });

  test('of up to two days has a column an hour, a longer one a column a day', () => {
    const units = (Object.keys(RANGES) as RangeName[]).map((name) => {
      const range = rangeOf(name, NOW, { from: '2026-01-30', to: '2026-01-31' });
      return range && unitOf(range);
    });
    expect(units).toEqual(['hour', 'day', 'day', 'day', 'hour']);
  });
});

const RANGE = { from: new Date('2026-03-01'), to: new Date('2026-03-04') };
const ROWS = [
  row({ team: 'red', day: '2026-03-01' }, 10),
  row({ team: 'red', day: '2026-03-03' }, 20, 3),
  row({ team: 'blue', day: '2026-03-03' }, 100),
  row({ team: null, day: '2026-03-02' }, 6),
  row({ team: 'before', day: '2026-02-28' }, 6),
];

test('sums are of each group, the one with the most tokens first', () => {
  const totals = totalsOf(ROWS.slice(0, 4), 'team');
  expect(totals.map(({ group, requests, prompt_tokens }) => [group, requests, prompt_tokens])).toEqual([
    ['blue', 1, 50],
    ['red', 4, 15],
    ['', 1, 3],
  ]);
  expect(sumOf(totals)).toMatchObject({ requests: 6, prompt_tokens: 68 });
  expect(totalsOf(ROWS, 'day').map(({ group }) => group)).toEqual([
    '2026-02-28',
    '2026-03-01',
    '2026-03-02',
    '2026-03-03',
  ]);
});

test('two keys of one name are two groups', () => {
  const rows = [
    row({ key: 'alice', key_id: 'key_1', day: '2026-03-01' }, 4),
    row({ key: 'alice', key_id: 'key_2', day: '2026-03-01' }, 2),
  ];
  expect(totalsOf(rows, 'key').map(({ group, name }) => [group, name])).toEqual([
    ['key_1', 'alice'],
    ['key_2', 'alice'],
  ]);
});

test('columns are of every day of the range, those without usage too, and of nothing outside it', () => {
  const { at, groups } = columnsOf(ROWS, { group: 'team', range: RANGE, measure: 'tokens', most: 5 });
  expect(at.map((time) => new Date(time * 1_000).toISOString().slice(0, 10))).toEqual([
    '2026-03-01',
    '2026-03-02',
    '2026-03-03',
  ]);
  expect(groups).toEqual([
    { group: 'blue', name: 'blue', values: [0, 0, 100] },
    { group: 'red', name: 'red', values: [10, 0, 20] },
    { group: '', name: '', values: [0, 6, 0] },
  ]);
});

test('of many groups the largest are shown and the others are one', () => {
  const { groups } = columnsOf(ROWS, { group: 'team', range: RANGE, measure: 'requests', most: 2 });
  expect(groups).toEqual([
    { group: 'red', name: 'red', values: [1, 0, 3] },
    { group: 'others', name: 'others', values: [0, 1, 1] },
  ]);
});

test('columns of a day are its hours', () => {
  const range = { from: new Date('2026-03-05'), to: new Date('2026-03-06') };
  expect(questionOf('model', range).by).toEqual(['model', 'hour']);
  expect(questionOf('day', RANGE).by).toEqual(['day']);
  const rows = [row({ model: 'small', hour: '2026-03-05T13:00:00Z' }, 8)];
  const { at, groups } = columnsOf(rows, { group: 'model', range, measure: 'tokens', most: 5 });
  expect(at).toHaveLength(24);
  expect(groups[0]?.values[13]).toBe(8);
});

describe('a CSV file', () => {
  const csv = (rows: readonly UsageRow[], by: Parameters<typeof usageCsv>[1]) =>
    usageCsv({ currency: 'USD', rows }, by).split('\r\n');

  test('has a row for each row, with its dimensions first, and of a key its name and its id', () => {
    expect(csv([row({ key: 'alice', key_id: 'key_1', day: '2026-03-01' }, 10)], ['key', 'day'])).toEqual([
      'key,key_id,day,requests,errors,rejections,prompt_tokens,cached_tokens,completion_tokens,cost,slot_seconds,currency',
      'alice,key_1,2026-03-01,1,0,0,5,0,5,0,0,USD',
      '',
    ]);
  });

  test('is the file of llm-serve usage --csv', () => {
    const rows = [
      row({ key: '=1,2', key_id: 'key_1', day: '2026-03-01' }, 10),
      row({ key: null, key_id: null }, 3),
    ];
    const span = { from: '2026-03-01T00:00:00.000Z', to: '2026-03-02T00:00:00.000Z' };
    expect(usageCsv({ currency: 'USD', rows }, ['key', 'day'])).toBe(
      csvOfCommand({ currency: 'USD', ...span, rows }, ['key', 'day']),
    );
  });

  test.each([
    ['a,b', '"a,b"'],
    ['say "hi"', '"say ""hi"""'],
    ['=HYPERLINK("x")', '"\'=HYPERLINK(""x"")"'],
    ['@a', '"\'@a"'],
    ['-1', '"\'-1"'],
    ['red', 'red'],
    [null, ''],
  ])('writes %j as %j: no name runs as a formula', (team, cell) => {
    expect(csv([row({ team }, 2)], ['team'])[1]?.startsWith(`${cell},1,`)).toBe(true);
  });
});

test('what a key did today is of all its hours, with the last one that had a request', () => {
  const used = usedToday([
    row({ key: 'alice', key_id: 'key_1', hour: '2026-03-05T14:00:00Z' }, 4, 2),
    row({ key: 'alice', key_id: 'key_1', hour: '2026-03-05T09:00:00Z' }, 6),
    row({ key: 'alice', key_id: 'key_2', hour: '2026-03-05T10:00:00Z' }, 0, 0),
  ]);
  expect(used.get('key_1')).toEqual({ requests: 3, tokens: 10, lastHour: '14:00' });
  expect(used.get('key_2')).toEqual({ requests: 0, tokens: 0, lastHour: undefined });
});
