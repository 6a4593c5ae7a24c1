import { beforeEach, describe, expect, it } from 'vitest';
import { KeyAdministration, MAX_OVERLAP_SECONDS } from '../../../src/access/key-administration.ts';
import { readNewKey } from '../../../src/access/key-fields.ts';
import { hashOfKey } from '../../../src/access/key-text.ts';
import { keyView } from '../../../src/access/key-view.ts';
import { ServingError } from '../../../src/core/errors.ts';
import { MemoryStore } from '../../../src/stores/memory-store.ts';
import { StoreError } from '../../../src/stores/store.ts';

const HOUR_MS = 3_600_000;
const START = Date.parse('2027-01-31T12:00:00Z');

let now: number;
let store: MemoryStore;
let keys: KeyAdministration;

beforeEach(() => {
  now = START;
  store = new MemoryStore();
  keys = new KeyAdministration({ store: store.keys, now: () => now });
});

async function refusalOf(work: Promise<unknown>): Promise<ServingError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ServingError) return error;
  throw new Error('it was not refused', { cause: error });
}

describe('create', () => {
  it('makes a secret of 256 random bits behind the prefix, and stores its hash alone', async () => {
    const { record, key } = await keys.create({ name: 'alice', team: 'red' });

    expect(key).toMatch(/^sk-llm-[A-Za-z0-9_-]{43}$/);
    expect(record.id).toMatch(/^key_[0-9a-f]{16}$/);
    const stored = JSON.stringify(await store.keys.list());
    expect(stored).toContain(hashOfKey(key));
    expect(stored).not.toContain(key);
    expect(stored).not.toContain(key.slice('sk-llm-'.length + 5));
  });

  it('makes another secret each time', async () => {
    const [one, other] = [await keys.create({ name: 'one' }), await keys.create({ name: 'other' })];
    expect(one.key).not.toBe(other.key);
    expect(one.record.id).not.toBe(other.record.id);
  });

  it('refuses a name that a key has, and takes it once that key is revoked', async () => {
    const first = await keys.create({ name: 'alice' });
    expect(await refusalOf(keys.create({ name: 'alice' }))).toMatchObject({
      code: 'name_taken',
      message: 'There is a key named "alice" already.',
    });

    await keys.revoke('alice');
    const second = await keys.create({ name: 'alice' });
    expect((await keys.find('alice')).id).toBe(second.record.id);
    expect((await keys.find(first.record.id)).revokedAt).toBe(now);
  });
});

describe('find', () => {
  it('takes an id or a name', async () => {
    const { record } = await keys.create({ name: 'alice' });
    expect(await keys.find(record.id)).toEqual(record);
    expect(await keys.find('alice')).toEqual(record);
  });

  it('refuses a name that no key has', async () => {
    expect(await refusalOf(keys.find('bob'))).toMatchObject({
      code: 'key_not_found',
      message: 'There is no key "bob".',
    });
  });
});

describe('change', () => {
  it('changes what is named, and leaves the rest', async () => {
    await keys.create({
      name: 'alice',
      team: 'red',
      labels: { cost: '17', floor: '3' },
      limits: { requests_per_minute: 3, tokens_per_day: 1000 },
    });
    const changed = await keys.change('alice', {
      team: null,
      labels: { floor: null, room: '12' },
      limits: { requests_per_minute: 5 },
    });

    expect(changed).toMatchObject({
      name: 'alice',
      labels: { cost: '17', room: '12' },
      limits: { requests_per_minute: 5, tokens_per_day: 1000 },
    });
    expect(changed.team).toBeUndefined();
    expect(changed.labels).not.toHaveProperty('floor');
  });

  it('takes limits, models and the end away with null', async () => {
    await keys.create({ name: 'alice', models: ['small'], limits: { tokens_per_day: 9 }, expires_in: 60 });
    const changed = await keys.change('alice', {
      models: null,
      limits: { tokens_per_day: null },
      expires_at: null,
    });
    expect(changed).toMatchObject({ models: undefined, limits: {}, expiresAt: undefined });
  });

  it('does not change a revoked key', async () => {
    await keys.create({ name: 'alice' });
    await keys.revoke('alice');
    expect(await refusalOf(keys.change('alice', { team: 'red' }))).toMatchObject({
      code: 'invalid_request',
      message: 'The key "alice" is revoked and can’t be changed. Create another one.',
    });
  });
});

describe('revoke', () => {
  it('keeps the time of the first revocation', async () => {
    await keys.create({ name: 'alice' });
    await keys.revoke('alice');
    now += HOUR_MS;
    expect((await keys.revoke('alice')).revokedAt).toBe(START);
  });
});

describe('rotate', () => {
  it('makes another secret under the same id, and accepts the one before for the overlap', async () => {
    const { record: before, key: old } = await keys.create({ name: 'alice' });
    now += HOUR_MS;
    const { record, key } = await keys.rotate('alice', { overlapMs: HOUR_MS });

    expect(record.id).toBe(before.id);
    expect(record.secrets.map(({ hash }) => hash)).toEqual([hashOfKey(key), hashOfKey(old)]);
    expect(record.secrets.map(({ expiresAt }) => expiresAt)).toEqual([undefined, now + HOUR_MS]);
    expect(keyView(record, now).overlap_until).toBe('2027-01-31T14:00:00.000Z');
    expect(keyView(record, now + HOUR_MS).overlap_until).toBeNull();
  });

  it('refuses an overlap that no time can hold, before anything is stored', async () => {
    const { record } = await keys.create({ name: 'alice' });
    for (const overlapMs of [99_999_999 * 604_800_000, MAX_OVERLAP_SECONDS * 1000 + 1, -1, Number.NaN])
      expect(await refusalOf(keys.rotate('alice', { overlapMs }))).toMatchObject({
        code: 'invalid_request',
        message: expect.stringMatching(/^The overlap is .* seconds, but must be from 0 to 31536000 /),
      });
    expect(await keys.find('alice')).toEqual(record);
    await keys.rotate('alice', { overlapMs: MAX_OVERLAP_SECONDS * 1000 });
  });

  it('never prolongs the time of a secret that was rotated out before', async () => {
    await keys.create({ name: 'alice' });
    await keys.rotate('alice', { overlapMs: HOUR_MS });
    const { record } = await keys.rotate('alice', { overlapMs: 10 * HOUR_MS });
    expect(record.secrets.map(({ expiresAt }) => expiresAt)).toEqual([
      undefined,
      now + 10 * HOUR_MS,
      now + HOUR_MS,
    ]);
  });

  it('drops no secret that is still accepted: with too many, it says so', async () => {
    const { key } = await keys.create({ name: 'alice' });
    const told = [key];
    for (let turn = 0; turn < 8; turn += 1)
      told.push((await keys.rotate('alice', { overlapMs: HOUR_MS })).key);
    const { secrets } = await keys.find('alice');
    expect(secrets.map(({ hash }) => hash)).toEqual(told.map(hashOfKey).reverse());
    expect(await refusalOf(keys.rotate('alice', { overlapMs: HOUR_MS }))).toMatchObject({
      code: 'invalid_request',
      message:
        'The key "alice" has 9 secrets that are still accepted, and can’t have more. Rotate it without overlap, or later.',
    });
    await keys.rotate('alice', { overlapMs: 0 });
    expect(
      (await keys.find('alice')).secrets.filter(({ expiresAt }) => expiresAt === undefined),
    ).toHaveLength(1);
  });

  it('forgets secrets that ended a month ago, and all but a few of the others', async () => {
    await keys.create({ name: 'alice' });
    for (let turn = 0; turn < 20; turn += 1) await keys.rotate('alice', { overlapMs: 0 });
    expect((await keys.find('alice')).secrets).toHaveLength(9);

    now += 31 * 24 * HOUR_MS;
    const { record } = await keys.rotate('alice', { overlapMs: 0 });
    expect(record.secrets).toHaveLength(2);
  });
});

describe('import', () => {
  const settings = (name: string) => readNewKey({ name }, START);

  it('takes keys and hashes, and leaves alone what is there', async () => {
    const key = 'my-existing-key-0001';
    const added = await keys.import({ settings: settings('one'), key });
    await keys.import({ settings: settings('two'), hash: hashOfKey('another-key') });

    expect(added.secrets[0]).toMatchObject({ hash: hashOfKey(key), shown: '' });
    expect(await refusalOf(keys.import({ settings: settings('three'), key }))).toMatchObject({
      code: 'invalid_request',
      message: 'This key is in the store already.',
    });
    expect((await keys.list()).map(({ name }) => name)).toEqual(['one', 'two']);
  });
});

describe('a store that fails', () => {
  it('is answered as such, without the words that name where it is', async () => {
    const broken = async () => {
      throw new StoreError('unavailable', 'postgres://10.0.0.1 does not answer.');
    };
    keys = new KeyAdministration({
      store: {
        revision: broken,
        list: broken,
        page: broken,
        namesOf: broken,
        named: broken,
        readAll: broken,
        changedSince: broken,
        add: broken,
        change: broken,
      },
      now: () => now,
    });
    const error = await refusalOf(keys.list());
    expect(error.code).toBe('store_unavailable');
    expect(error.message).not.toContain('10.0.0.1');
    expect(error.cause).toBeInstanceOf(StoreError);
    expect((await refusalOf(keys.create({ name: 'alice' }))).code).toBe('store_unavailable');
    expect((await refusalOf(keys.page({ limit: 1, withRevoked: true }))).code).toBe('store_unavailable');
    expect((await refusalOf(keys.find('alice'))).code).toBe('store_unavailable');
  });
});
