import { expect, it } from 'vitest';
import type { KeyRecord } from '../../../src/access/key-record.ts';
import { keyLines, keyTable } from '../../../src/cli/key-text.ts';

const NOW = Date.parse('2027-01-31T12:00:00Z');

const ALICE: KeyRecord = {
  id: 'key_0011223344556677',
  name: 'alice',
  secrets: [{ hash: 'h1', shown: 'sk-llm-Ab3xQ', createdAt: NOW, expiresAt: undefined }],
  team: 'red',
  labels: { cost: '17' },
  models: ['small', 'large'],
  highestPriority: 'low',
  limits: { tokens_per_day: 100_000, requests_per_minute: 3 },
  mayAdmin: false,
  everAdmin: false,
  createdAt: NOW,
  expiresAt: undefined,
  revokedAt: undefined,
};

it('lists keys with their limits and their state', () => {
  const bob = { ...ALICE, name: 'bob\u001b[2J', id: 'key_2', team: undefined, limits: {}, secrets: [] };
  expect(
    keyTable(
      [
        ALICE,
        { ...bob, revokedAt: NOW },
        { ...bob, name: 'carol', expiresAt: NOW },
        { ...bob, name: 'dave', expiresAt: NOW + 60_000 },
      ],
      NOW,
    ),
  ).toEqual([
    'NAME          ID                    KEY           TEAM  LIMITS                                        STATE',
    'alice         key_0011223344556677  sk-llm-Ab3xQ  red   requests_per_minute 3, tokens_per_day 100000  active',
    'bob\\u001b[2J  key_2                 ?             -     -                                             revoked 2027-01-31 12:00 UTC',
    'carol         key_2                 ?             -     -                                             expired 2027-01-31 12:00 UTC',
    'dave          key_2                 ?             -     -                                             active until 2027-01-31 12:01 UTC',
  ]);
});

it('shows all of one key', () => {
  const rotated = {
    ...ALICE,
    secrets: [
      ...ALICE.secrets,
      { hash: 'h0', shown: 'sk-llm-0ld0x', createdAt: 0, expiresAt: NOW + 3_600_000 },
      { hash: 'h-', shown: 'sk-llm-gone0', createdAt: 0, expiresAt: NOW - 1 },
    ],
  };
  expect(keyLines(rotated, NOW)).toEqual([
    'name             alice',
    'id               key_0011223344556677',
    'key              sk-llm-Ab3xQ…',
    'older key        sk-llm-0ld0x…, accepted until 2027-01-31 13:00 UTC',
    'state            active',
    'team             red',
    'label            cost=17',
    'models           small, large',
    'highest priority low',
    'limits           requests_per_minute 3, tokens_per_day 100000',
    'may administer   no',
    'created          2027-01-31 12:00 UTC',
  ]);
});
