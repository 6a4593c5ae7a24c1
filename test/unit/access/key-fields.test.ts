import { describe, expect, it } from 'vitest';
import { readKeyChanges, readNewKey } from '../../../src/access/key-fields.ts';
import { ServingError } from '../../../src/core/errors.ts';

const NOW = Date.parse('2027-01-31T12:00:00Z');

function refusalOf(fields: unknown): Pick<ServingError, 'message' | 'param' | 'code'> {
  try {
    readNewKey(fields, NOW);
  } catch (error) {
    if (error instanceof ServingError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('readNewKey', () => {
  it('needs a name and nothing else', () => {
    expect(readNewKey({ name: 'alice' }, NOW)).toEqual({
      name: 'alice',
      team: undefined,
      labels: {},
      models: undefined,
      highestPriority: undefined,
      limits: {},
      mayAdmin: false,
      expiresAt: undefined,
    });
  });

  it('takes everything that a key can have', () => {
    expect(
      readNewKey(
        {
          name: 'Büro 3, Bern',
          team: 'red',
          labels: { cost: '17' },
          models: ['small', 'large', 'small'],
          highest_priority: 'low',
          limits: { requests_per_minute: 3, budget_per_month: 0.5, tokens_per_day: null },
          may_admin: true,
          expires_at: '2027-02-28',
        },
        NOW,
      ),
    ).toEqual({
      name: 'Büro 3, Bern',
      team: 'red',
      labels: { cost: '17' },
      models: ['small', 'large'],
      highestPriority: 'low',
      limits: { requests_per_minute: 3, budget_per_month: 0.5 },
      mayAdmin: true,
      expiresAt: Date.parse('2027-02-28T00:00:00Z'),
    });
  });

  it.each<[string, unknown, string]>([
    ['no name', {}, 'name is missing. It must be a string of at most 100 characters'],
    ['an empty name', { name: '' }, 'name is "", but must be a string'],
    ['a name with a line break', { name: 'a\nb' }, 'name is "a\\nb", but must be a string'],
    ['a name with a space at its end', { name: 'a ' }, 'name is "a ", but must be'],
    ['the form of an id', { name: 'key_1' }, 'name is "key_1", but must be'],
    ['an unknown field', { name: 'a', key: 'k' }, 'key is not known. Expected one of the known names: name'],
    ['an unknown limit', { name: 'a', limits: { requests: 1 } }, 'limits.requests is not known.'],
    [
      'a limit of nothing',
      { name: 'a', limits: { requests_per_minute: 0 } },
      'limits.requests_per_minute is 0, but must be an integer from 1 to',
    ],
    [
      'a budget beyond what can be counted',
      { name: 'a', limits: { budget_per_day: 1e300 } },
      'limits.budget_per_day is 1e+300, but must be a number from 0 to 9000000000',
    ],
    [
      'a budget without end',
      { name: 'a', limits: { budget_per_day: Number.POSITIVE_INFINITY } },
      'limits.budget_per_day is',
    ],
    ['no model', { name: 'a', models: [] }, 'models is []'],
    [
      'a priority',
      { name: 'a', highest_priority: 'urgent' },
      'highest_priority is "urgent", but must be one of',
    ],
    ['a time in the past', { name: 'a', expires_at: '2027-01-31T11:00:00Z' }, 'which has passed.'],
    [
      'a time without a zone',
      { name: 'a', expires_at: '2027-02-01T11:00:00' },
      'but must be a date and time',
    ],
    ['a day that no calendar has', { name: 'a', expires_at: '2027-02-30' }, 'but must be a date'],
    ['the same with a time', { name: 'a', expires_at: '2027-11-31T11:00:00Z' }, 'but must be a date'],
    ['two ends', { name: 'a', expires_at: '2028-01-01', expires_in: 5 }, 'leave one of them out.'],
    ['no object', 5, 'The key is 5, but must be an object.'],
  ])('refuses %s', (_, fields, message) => {
    const error = refusalOf(fields);
    expect(error.code).toBe('invalid_request');
    expect(error.message).toContain(message);
  });

  it('counts expires_in from now', () => {
    expect(readNewKey({ name: 'a', expires_in: 60 }, NOW).expiresAt).toBe(NOW + 60_000);
  });
});

describe('readKeyChanges', () => {
  it('has only what was given', () => {
    expect(readKeyChanges({ may_admin: false }, { labels: {}, limits: {} }, NOW)).toEqual({
      mayAdmin: false,
    });
    expect(readKeyChanges({ team: null }, { labels: {}, limits: {} }, NOW)).toEqual({ team: undefined });
  });

  describe('labels', () => {
    const change = (labels: Record<string, string | null>, known: Record<string, string> = {}) =>
      readKeyChanges({ labels }, { labels: known, limits: {} }, NOW).labels;
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`label ${at}`, 'x']));

    it.each(['a=b', '', 'a\nb', 'a\u0000', ' a', 'a ', 'x'.repeat(64)])('refuses the name %j', (name) => {
      expect(() => change({ [name]: 'c' })).toThrow(/labels has the name .* 1 to 63 characters, without =/);
      expect(() => readNewKey({ name: 'alice', labels: { [name]: 'c' } }, NOW)).toThrow(
        /labels has the name/,
      );
    });

    it('takes any other name', () => {
      const labels = { 'cost centre': '4=2', größe: 'b', ['x'.repeat(63)]: '' };
      expect(change(labels)).toEqual(labels);
    });

    it('keeps and removes those whose names are from before the rule', () => {
      expect(change({ new: '1' }, { 'a=b': 'c' })).toEqual({ 'a=b': 'c', new: '1' });
      expect(change({ 'a=b': null }, { 'a=b': 'c' })).toEqual({});
    });

    it('are at most 32, those that the key has already included', () => {
      expect(() => change({ one: '1' }, many(32))).toThrow(
        'The key would have 33 labels, but may have at most 32.',
      );
      expect(Object.keys(change({ one: '1', 'label 0': null }, many(32)) ?? {})).toHaveLength(32);
      expect(Object.keys(change({ 'label 0': null }, many(40)) ?? {})).toHaveLength(39);
    });
  });

  it('removes all labels and limits with null', () => {
    expect(
      readKeyChanges(
        { labels: null, limits: null },
        { labels: { a: 'b' }, limits: { tokens_per_day: 1 } },
        NOW,
      ),
    ).toEqual({ labels: {}, limits: {} });
  });
});
