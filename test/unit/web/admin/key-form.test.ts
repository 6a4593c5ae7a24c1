/** What the form of a key sends: only what was set, or is different. */
import { describe, expect, test } from 'vitest';
import type { KeyView } from '../../../../web/admin/api.ts';
import {
  changedFields,
  EMPTY_FORM,
  formOf,
  type KeyForm,
  newKeyFields,
  readForm,
} from '../../../../web/admin/keys/key-form.ts';

const KEY: KeyView = {
  id: 'key_1',
  name: 'alice',
  shown: 'sk-llm-Ab3xQ',
  team: 'red',
  labels: { cost: '42', owner: 'a' },
  models: ['small'],
  highest_priority: 'normal',
  limits: { requests_per_minute: 3, budget_per_day: 0.5 },
  may_admin: false,
  created_at: '2026-01-01T00:00:00.000Z',
  expires_at: '2027-01-01T00:00:00.000Z',
  revoked_at: null,
  overlap_until: null,
};

function fieldsOf(form: KeyForm): Readonly<Record<string, unknown>> {
  const read = readForm(form);
  if ('problems' in read) throw new Error(JSON.stringify(read.problems));
  return read.fields;
}

const withLimits = (limits: Partial<KeyForm['limits']>): KeyForm => ({
  ...EMPTY_FORM,
  name: 'alice',
  limits: { ...EMPTY_FORM.limits, ...limits },
});

describe('a new key', () => {
  test('has only what was set', () => {
    expect(newKeyFields(fieldsOf({ ...EMPTY_FORM, name: ' alice ' }))).toEqual({ name: 'alice' });
    expect(
      newKeyFields(
        fieldsOf({
          ...withLimits({ requests_per_minute: '3', budget_per_month: '12.5' }),
          team: 'red',
          labels: 'owner = a b\n\ncost=4=2\n',
          models: ['small'],
          highestPriority: 'low',
          mayAdmin: true,
          expiry: '86400',
        }),
      ),
    ).toEqual({
      name: 'alice',
      team: 'red',
      labels: { owner: 'a b', cost: '4=2' },
      models: ['small'],
      highest_priority: 'low',
      may_admin: true,
      limits: { requests_per_minute: 3, budget_per_month: 12.5 },
      expires_in: 86_400,
    });
  });

  test('expires at a time of this browser’s clock, sent with its zone', () => {
    const { expires_at } = fieldsOf({ ...withLimits({}), expiry: 'at', expiresAt: '2027-03-01T12:30' });
    expect(expires_at).toBe(new Date(2027, 2, 1, 12, 30).toISOString());
  });
});

describe('what is wrong is said of its field', () => {
  test.each([
    ['name', { ...EMPTY_FORM, name: '  ' }],
    ['labels', { ...withLimits({}), labels: 'owner' }],
    ['labels', { ...withLimits({}), labels: '=a' }],
    ['expires_at', { ...withLimits({}), expiry: 'at', expiresAt: '' }],
    ['limits.requests_per_minute', withLimits({ requests_per_minute: '0' })],
    ['limits.requests_per_minute', withLimits({ requests_per_minute: '1.5' })],
    ['limits.tokens_per_day', withLimits({ tokens_per_day: 'many' })],
    ['limits.budget_per_day', withLimits({ budget_per_day: '-1' })],
  ] as const)('%s', (field, form) => {
    const read = readForm(form);
    expect('problems' in read ? Object.keys(read.problems) : []).toEqual([field]);
  });
});

describe('labels of a key that is changed', () => {
  const odd = { ...KEY, labels: { 'a=b': 'c', note: 'two\nlines ' } };

  test('are not sent where they were not touched, whatever they are', () => {
    const read = readForm({ ...formOf(odd), team: 'blue' }, odd);
    expect('fields' in read && changedFields(read.fields, odd)).toEqual({ team: 'blue' });
  });

  test('are not rewritten where lines can’t say them', () => {
    const read = readForm({ ...formOf(odd), labels: 'a=b=c\nnote=x' }, odd);
    expect('problems' in read && Object.keys(read.problems)).toEqual(['labels']);
  });

  test('can all be taken away', () => {
    const read = readForm({ ...formOf(KEY), labels: '' }, KEY);
    expect('fields' in read && changedFields(read.fields, KEY)).toEqual({
      labels: { cost: null, owner: null },
    });
  });
});

describe('a key that is changed', () => {
  test('as it is, sends nothing', () => {
    expect(changedFields(fieldsOf(formOf(KEY)), KEY)).toEqual({});
  });

  test('sends what is different, and null for what was taken away', () => {
    const form = formOf(KEY);
    const changed: KeyForm = {
      ...form,
      name: 'alice-2',
      team: '',
      labels: 'cost=43\nnew=x',
      models: [],
      highestPriority: '',
      expiry: 'never',
      limits: { ...form.limits, requests_per_minute: '', tokens_per_day: '100' },
    };
    expect(changedFields(fieldsOf(changed), KEY)).toEqual({
      name: 'alice-2',
      team: null,
      labels: { cost: '43', new: 'x', owner: null },
      models: null,
      highest_priority: null,
      expires_at: null,
      limits: { requests_per_minute: null, tokens_per_day: 100 },
    });
  });
});
