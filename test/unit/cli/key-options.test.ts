import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { keyFieldsOf, overlapOf, withKeyOptions } from '../../../src/cli/key-options.ts';
import { LIMIT_NAMES } from '../../../src/core/limit-names.ts';

function fieldsOf(...argv: readonly string[]) {
  const command = withKeyOptions(new Command());
  return keyFieldsOf(command.parse([...argv], { from: 'user' }));
}

describe('keyFieldsOf', () => {
  it('has nothing that was not given', () => {
    expect(fieldsOf()).toEqual({});
  });

  it('takes everything that a key can have', () => {
    expect(
      fieldsOf(
        ...['--team', 'red', '--label', 'cost=17', '--label', 'a=b=c', '--models', 'small, large'],
        ...['--highest-priority', 'low', '--expires', '90d', '--may-admin'],
        ...['--requests-per-minute', '3', '--budget-per-month', '0.5'],
      ),
    ).toEqual({
      team: 'red',
      labels: { cost: '17', a: 'b=c' },
      models: ['small', 'large'],
      highest_priority: 'low',
      expires_in: 90 * 86_400,
      may_admin: true,
      limits: { requests_per_minute: 3, budget_per_month: 0.5 },
    });
  });

  it('has an option for each limit', () => {
    const argv = LIMIT_NAMES.flatMap((name, index) => [`--${name.replaceAll('_', '-')}`, `${index + 1}`]);
    expect(fieldsOf(...argv)).toEqual({
      limits: Object.fromEntries(LIMIT_NAMES.map((name, index) => [name, index + 1])),
    });
  });

  it('takes things away', () => {
    expect(
      fieldsOf(
        ...['--team', 'none', '--label', 'cost=', '--models', 'all', '--highest-priority', 'none'],
        ...['--expires', 'never', '--may-admin', 'false', '--tokens-per-day', 'none'],
      ),
    ).toEqual({
      team: null,
      labels: { cost: null },
      models: null,
      highest_priority: null,
      expires_at: null,
      may_admin: false,
      limits: { tokens_per_day: null },
    });
  });

  it('takes a date, and 100_000', () => {
    expect(fieldsOf('--expires', '2027-01-31', '--tokens-per-day', '100_000')).toEqual({
      expires_at: '2027-01-31',
      limits: { tokens_per_day: 100_000 },
    });
  });

  it.each([
    [['--expires', 'soon'], '--expires is "soon", but must be a time such as 90d'],
    [['--tokens-per-day', 'many'], '--tokens-per-day is "many", but must be a number that is not'],
    [
      ['--requests-per-minute', '-1'],
      '--requests-per-minute is "-1", but must be a number that is not negative',
    ],
    [['--label', 'cost'], '--label is "cost", but must be name=value.'],
    [['--may-admin', 'yes'], '--may-admin is "yes", but must be true or false.'],
  ])('refuses %s', (argv, message) => {
    expect(() => fieldsOf(...argv)).toThrow(message);
  });
});

describe('overlapOf', () => {
  it('is none unless it is given', () => {
    expect([overlapOf(undefined), overlapOf('0'), overlapOf('24h'), overlapOf('90 s')]).toEqual([
      0, 0, 86_400_000, 90_000,
    ]);
    expect(() => overlapOf('a day')).toThrow('--overlap is "a day", but must be a time such as 24h');
  });
});
