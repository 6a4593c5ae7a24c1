import { describe, expect, it } from 'vitest';
import { usageCsv, usageTable } from '../../../src/cli/usage-text.ts';
import type { ShownUsage, UsageReport } from '../../../src/usage/usage-report.ts';

const row = (changes: Partial<ShownUsage>): ShownUsage => ({
  requests: 1234,
  errors: 1,
  rejections: 0,
  prompt_tokens: 5_000_000,
  cached_tokens: 100,
  completion_tokens: 20,
  cost: 0,
  slot_seconds: 61,
  ...changes,
});

const report = (...rows: ShownUsage[]): UsageReport => ({
  currency: 'EUR',
  from: '2026-01-01T00:00:00.000Z',
  to: '2026-01-31T13:00:00.000Z',
  rows,
});

describe('the table of usage', () => {
  it('has a line for each row, and their sum', () => {
    const lines = usageTable(
      report(row({ key: 'alice', team: 'red', cost: 1.5 }), row({ key: null, team: null, cost: 0.000001 })),
      ['key', 'team'],
    );
    expect(lines).toEqual([
      'KEY       TEAM       REQUESTS  ERRORS  REJECTED      PROMPT  CACHED  COMPLETION  COST (EUR)      SLOTS',
      'alice     red           1,234       1         0   5,000,000     100          20      1.5000  1 min 1 s',
      '(no key)  (no team)     1,234       1         0   5,000,000     100          20      0.0000  1 min 1 s',
      'all                     2,468       2         0  10,000,000     200          40      1.5000  2 min 2 s',
      'From 2026-01-01 00:00 to 2026-01-31 13:00 UTC. PROMPT, CACHED and COMPLETION are tokens.',
    ]);
  });

  it('has no column for money where nothing has a price', () => {
    expect(usageTable(report(row({ model: 'm' })), ['model'])[0]).not.toContain('COST');
  });

  it('without rows says so', () => {
    expect(usageTable(report(), ['key'])).toEqual([
      'No requests to models from 2026-01-01 00:00 to 2026-01-31 13:00 UTC.',
    ]);
  });

  it('shows no control characters of a name', () => {
    expect(usageTable(report(row({ key: '\u001b[2Jx' })), ['key'])[1]).toContain('\\u001b[2Jx');
  });
});

describe('usage for spreadsheets', () => {
  const cell = (key: string) => usageCsv(report(row({ key, key_id: 'key_1' })), ['key']).split('\r\n1', 1)[0];

  it('has the names of the columns, lines that end as RFC 4180 has it, and text where it has values', () => {
    expect(usageCsv(report(row({ key: 'alice', key_id: 'key_1', day: '2026-01-31' })), ['key', 'day'])).toBe(
      'key,key_id,day,requests,errors,rejections,prompt_tokens,cached_tokens,completion_tokens,cost,slot_seconds,currency\r\n' +
        'alice,key_1,2026-01-31,1234,1,0,5000000,100,20,0,61,EUR\r\n',
    );
  });

  it.each([
    ['a comma', 'a,b', '"a,b"'],
    ['quotes', 'the "one"', '"the ""one"""'],
    ['a line break', 'a\nb', '"a\nb"'],
    ['a formula', '=1+1', '"\'=1+1"'],
    ['another formula', '@SUM(A1)', '"\'@SUM(A1)"'],
    ['a formula with quotes', '+cmd|"/C calc"!A0', '"\'+cmd|""/C calc""!A0"'],
  ])('quotes %s', (_, name, expected) => {
    expect(cell(name)).toContain(`\r\n${expected},key_1,`);
  });
});
