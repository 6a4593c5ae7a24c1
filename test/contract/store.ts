/** What every store keeps. Each file beside this one runs it on one of them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KeyAdministration } from '../../src/access/key-administration.ts';
import type { KeyRecord } from '../../src/access/key-record.ts';
import { hashOfKey } from '../../src/access/key-text.ts';
import { LIMIT_NAMES } from '../../src/core/limit-names.ts';
import type { Store } from '../../src/stores/store.ts';
import type { UsageRow } from '../../src/usage/usage-row.ts';
import {
  AN_HOUR,
  auditEntry,
  fullKey,
  HOUR_MS,
  plainKey,
  secret,
  usageRow,
} from '../support/stores/records.ts';

export interface StoreUnderTest {
  /** Opens the same store each time, empty at first. */
  open(): Promise<Store>;
  /** Removes it. */
  remove(): Promise<void>;
  /** Runs statements on its tables, past the store; undefined: it has none. */
  readonly execute?: (...statements: readonly string[]) => Promise<void>;
  /** What is kept is there for the next who opens it. */
  readonly keeps: boolean;
}

let batches = 0;

function newBatch(): string {
  batches += 1;
  return `batch-${batches}`;
}

const ALL_TIME = { from: 0, to: Number.MAX_SAFE_INTEGER };

export function storeContract(name: string, create: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let tested: StoreUnderTest;
    let store: Store;
    const opened: Store[] = [];
    const add = (rows: readonly UsageRow[]) => store.usage.add(rows, newBatch());
    const open = async () => {
      const another = await tested.open();
      opened.push(another);
      return another;
    };
    beforeEach(async () => {
      tested = await create();
      store = await open();
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((each) => each.close()));
      await tested.remove();
    });

    describe('keys', () => {
      test('come back as they were added, in that order', async () => {
        const keys = [fullKey('zoe'), plainKey('alice'), fullKey('bob', { revokedAt: 1_700_000_000_001 })];
        for (const key of keys) await store.keys.add(key);
        expect(await store.keys.list()).toEqual(keys);
      });

      test('page by page have each once, in their order, those too that are added meanwhile', async () => {
        const names = Array.from({ length: 5 }, (_, index) => `key-${index}`);
        for (const each of names) await store.keys.add(fullKey(each));
        const page = (after?: string) => store.keys.page({ after, limit: 2, withRevoked: true });
        expect(await page()).toEqual({ records: [fullKey('key-0'), fullKey('key-1')], next: 'key_key-1' });
        await store.keys.change(fullKey('key-1'), { name: 'another' });
        expect(await page('key_key-1')).toMatchObject({
          records: [{ id: 'key_key-2' }, { id: 'key_key-3' }],
          next: 'key_key-3',
        });
        await store.keys.add(plainKey('last'));
        expect(await page('key_key-3')).toEqual({
          records: [fullKey('key-4'), plainKey('last')],
          next: undefined,
        });
        expect(await page('key_last')).toEqual({ records: [], next: undefined });
      });

      test('page by page, a page behind a key that is none is no page', async () => {
        await store.keys.add(plainKey('alice'));
        const query = { limit: 2, withRevoked: true };
        expect(await store.keys.page({ ...query, after: 'key_bob' })).toBeUndefined();
        expect(await store.keys.page({ ...query, after: "nu\0l' OR 1=1" })).toBeUndefined();
      });

      test('page by page can be asked for without those that are revoked', async () => {
        await store.keys.add(plainKey('zoe', { revokedAt: 1_700_000_000_001 }));
        await store.keys.add(plainKey('alice'));
        await store.keys.add(plainKey('bob', { revokedAt: 1_700_000_000_001 }));
        await store.keys.add(plainKey('carol', { expiresAt: 1_700_000_000_001 }));
        const query = { limit: 1, withRevoked: false };
        const first = await store.keys.page(query);
        expect(first).toEqual({ records: [plainKey('alice')], next: 'key_alice' });
        expect(await store.keys.page({ ...query, after: first?.next })).toMatchObject({
          records: [{ name: 'carol' }],
          next: undefined,
        });
        expect(await store.keys.page({ ...query, after: 'key_bob' })).toMatchObject({
          records: [{ name: 'carol' }],
        });
      });

      test.each([
        ['a part of the name', 'LIC', ['alice', 'Alice-2']],
        ['the id', 'key_bob', ['bob']],
        ['the team', 'red', ['bob']],
        ['a label', '4711', ['bob']],
        ['a label with its name', '"centre":"4711"', ['bob']],
        ['words in any place', '  centre \t blue', ['alice']],
        ['words that one key has, not two', 'alice 4711', []],
        ['no words', ' ', ['alice', 'bob', 'Alice-2', '50% _off']],
        ['signs that other languages of search know', '% _', ['50% _off']],
        ['a sign of them alone', '*', []],
        ['small letters beyond those of English, as they are', 'grün', ['Alice-2']],
        ['capital letters beyond those of English, as they are', 'GRÜN', []],
        ['what no database takes', 'alice\0', []],
      ])('found by %s', async (_, filter, names) => {
        await store.keys.add(plainKey('alice', { team: 'blue', labels: { centre: '12' } }));
        await store.keys.add(plainKey('bob', { team: 'Red', labels: { centre: '4711' } }));
        await store.keys.add(plainKey('Alice-2', { team: 'grün' }));
        await store.keys.add(plainKey('50% _off'));
        const page = await store.keys.page({ limit: 10, filter, withRevoked: true });
        expect(page?.records.map((key) => key.name)).toEqual(names);
      });

      test('have their names by their ids', async () => {
        await store.keys.add(plainKey('alice'));
        await store.keys.add(plainKey('bob', { revokedAt: 1_700_000_000_001 }));
        await store.keys.add(plainKey('carol'));
        const ids = ['key_bob', 'config:zoe', '', 'nu\0l\ud800', 'key_alice'];
        expect(
          (await store.keys.namesOf(ids)).toSorted((one, other) => (one.id < other.id ? -1 : 1)),
        ).toEqual([
          { id: 'key_alice', name: 'alice' },
          { id: 'key_bob', name: 'bob' },
        ]);
        expect(await store.keys.namesOf([])).toEqual([]);
      });

      test('a change replaces what it names, and resolves with the whole key', async () => {
        await store.keys.add(fullKey('alice'));
        const secrets = [secret('newest'), secret('new-of-alice', { expiresAt: 1_700_000_900_000 })];
        const changed = await store.keys.change(fullKey('alice'), {
          secrets,
          team: undefined,
          expiresAt: undefined,
          models: [],
        });
        const expected = fullKey('alice', { secrets, team: undefined, expiresAt: undefined, models: [] });
        expect(changed).toEqual(expected);
        expect(await store.keys.list()).toEqual([expected]);
      });

      test('an unknown key is not changed', async () => {
        expect(await store.keys.change(plainKey('nobody'), { name: 'nobody' })).toBeUndefined();
        expect(await store.keys.list()).toEqual([]);
      });

      test('a name is taken until its key is revoked', async () => {
        await store.keys.add(plainKey('alice'));
        const second = plainKey('alice', { id: 'key_second', secrets: [secret('second')] });
        await expect(store.keys.add(second)).rejects.toMatchObject({
          fault: 'name_taken',
          message: 'There is a key named "alice" already.',
        });
        await store.keys.add(plainKey('bob'));
        await expect(store.keys.change(plainKey('bob'), { name: 'alice' })).rejects.toMatchObject({
          fault: 'name_taken',
        });
        await store.keys.change(plainKey('alice'), { revokedAt: 1_700_000_000_001 });
        await store.keys.add(second);
        expect((await store.keys.list()).map(({ id }) => id)).toEqual(['key_alice', 'key_bob', 'key_second']);
      });

      test('a key is found by its id and by its name, with all that have had that name', async () => {
        const former = fullKey('alice', { revokedAt: 1_700_000_000_001 });
        const latter = fullKey('alice', { id: 'key_second', secrets: [secret('one'), secret('other')] });
        const misleading = plainKey('bob', { name: 'key_second' });
        for (const key of [former, plainKey('zoe'), latter, misleading]) await store.keys.add(key);
        expect(await store.keys.named('alice')).toEqual([former, latter]);
        expect(await store.keys.named('key_alice')).toEqual([former]);
        expect(await store.keys.named('key_second')).toEqual([latter, misleading]);
        expect(await store.keys.named('Alice')).toEqual([]);
        expect(await store.keys.named("' OR '' = '")).toEqual([]);
      });

      test('a secret opens one key only, of a revoked one too', async () => {
        await store.keys.add(plainKey('alice', { revokedAt: 1_700_000_000_001 }));
        const other = plainKey('bob', { secrets: [secret('hash-of-alice')] });
        await expect(store.keys.add(other)).rejects.toMatchObject({ fault: 'secret_taken' });
        await store.keys.add(plainKey('bob'));
        await expect(store.keys.change(plainKey('bob'), { secrets: other.secrets })).rejects.toMatchObject({
          fault: 'secret_taken',
        });
      });

      test('a change that is refused has left nothing behind', async () => {
        const keys = [plainKey('alice'), plainKey('bob')];
        for (const key of keys) await store.keys.add(key);
        const changes = { name: 'eve', secrets: [secret('new'), secret('hash-of-bob')] };
        await expect(store.keys.change(plainKey('alice'), changes)).rejects.toMatchObject({
          fault: 'secret_taken',
        });
        expect(await store.keys.list()).toEqual(keys);
      });

      test('the revision is another after each change, and the same without one', async () => {
        const seen = [await store.keys.revision()];
        await store.keys.add(plainKey('alice'));
        seen.push(await store.keys.revision());
        await store.keys.change(plainKey('alice'), { team: 'red' });
        seen.push(await store.keys.revision());
        expect(new Set(seen).size).toBe(3);
        await store.keys.list();
        await add([usageRow()]);
        await store.audit.add(auditEntry());
        expect(await store.keys.revision()).toBe(seen.at(-1));
      });

      test('those that were added or changed since a revision are told from the others', async () => {
        const before = await store.keys.revision();
        await store.keys.add(plainKey('alice'));
        const bob = fullKey('bob');
        await store.keys.add(bob);
        const between = await store.keys.revision();
        await store.keys.add(plainKey('carol'));
        const revoked = await store.keys.change(bob, { revokedAt: 1_700_000_000_001 });
        const names = async (since: number) =>
          (await store.keys.changedSince(since))?.records.map(({ name }) => name);
        expect(await names(before)).toEqual(['alice', 'bob', 'carol']);
        expect(await names(between)).toEqual(['bob', 'carol']);
        expect((await store.keys.changedSince(between))?.records).toContainEqual(revoked);
        const last = await store.keys.revision();
        expect(await store.keys.changedSince(before)).toMatchObject({ revision: last });
        expect(await store.keys.changedSince(last)).toEqual({ revision: last, records: [] });
      });

      test('all come with their revision, also where there are none', async () => {
        expect(await store.keys.readAll()).toEqual({ revision: await store.keys.revision(), records: [] });
        for (const key of [fullKey('zoe'), plainKey('alice')]) await store.keys.add(key);
        expect(await store.keys.readAll()).toEqual({
          revision: await store.keys.revision(),
          records: await store.keys.list(),
        });
      });

      test('those that were added come in that order, however they were changed since', async () => {
        const before = await store.keys.revision();
        const names = ['zoe', 'alice', 'bob'];
        for (const name of names) await store.keys.add(fullKey(name));
        await store.keys.change(fullKey('zoe'), { team: 'red' });
        const changed = await store.keys.changedSince(before);
        expect(changed?.records.map(({ name }) => name)).toEqual(names);
        expect(changed?.records).toEqual(await store.keys.list());
      });

      test('of a change that is refused, nothing is told', async () => {
        for (const key of [plainKey('alice'), plainKey('bob')]) await store.keys.add(key);
        const before = await store.keys.revision();
        await expect(store.keys.change(plainKey('alice'), { name: 'bob' })).rejects.toMatchObject({
          fault: 'name_taken',
        });
        expect(await store.keys.changedSince(before)).toEqual({ revision: before, records: [] });
      });

      test('a key that another program changes or deletes is noticed', async () => {
        const { execute } = tested;
        if (execute === undefined) return;
        for (const key of [plainKey('alice'), plainKey('bob')]) await store.keys.add(key);
        const before = await store.keys.revision();
        await execute("UPDATE llm_serve_keys SET team = 'red' WHERE name = 'bob'");
        const between = await store.keys.revision();
        expect(between).not.toBe(before);
        expect(await store.keys.changedSince(before)).toEqual({
          revision: between,
          records: [{ ...plainKey('bob'), team: 'red' }],
        });
        await execute(
          "DELETE FROM llm_serve_secrets WHERE key_id = 'key_alice'",
          "DELETE FROM llm_serve_keys WHERE id = 'key_alice'",
        );
        const after = await store.keys.revision();
        expect(after).not.toBe(between);
        expect(await store.keys.changedSince(between), 'deleted since').toBeUndefined();
        expect(await store.keys.changedSince(after)).toEqual({ revision: after, records: [] });
        expect((await store.keys.list()).map(({ name }) => name)).toEqual(['bob']);
      });

      test('a key that can’t be read is told, with no right, and keeps no other from being read', async () => {
        const { execute } = tested;
        if (execute === undefined) return;
        const names = [
          'overlap',
          'expiry',
          'broken',
          'nullified',
          'list',
          'priority',
          'flag',
          'time',
          'fine',
        ];
        for (const each of names) await store.keys.add(fullKey(each, { expiresAt: undefined }));
        const before = await store.keys.revision();
        const set = (column: string, value: string, which: string) =>
          `UPDATE llm_serve_keys SET ${column} = ${value} WHERE id = 'key_${which}'`;
        await execute(
          "UPDATE llm_serve_secrets SET expires_at = 60481795241377600 WHERE hash = 'old-of-overlap'",
          set('expires_at', '9007199254740993999', 'expiry'),
          set('limits', "'{'", 'broken'),
          set('limits', '\'{"budget_per_day":null}\'', 'nullified'),
          set('models', '\'"small"\'', 'list'),
          set('highest_priority', "'first'", 'priority'),
          set('ever_admin', '2', 'flag'),
          set('created_at', '8640000000000001', 'time'),
        );
        const damaged = new Map([
          ['overlap', 'expires_at of a secret'],
          ['expiry', 'expires_at'],
          ['broken', 'limits'],
          ['nullified', 'limits'],
          ['list', 'models'],
          ['priority', 'highest_priority'],
          ['flag', 'ever_admin'],
          ['time', 'created_at'],
          ['fine', undefined],
        ]);
        const damage = (records: readonly KeyRecord[] | undefined) =>
          new Map(records?.map((record) => [record.name, record.damage]));
        const all = await store.keys.list();
        expect(damage(all)).toEqual(damaged);
        expect(all.find(({ name }) => name === 'list')?.models).toEqual([]);
        expect(all.find(({ name }) => name === 'fine')).toEqual(fullKey('fine', { expiresAt: undefined }));
        expect(damage((await store.keys.readAll()).records)).toEqual(damaged);
        // The secrets' table does not count revisions.
        expect(damage((await store.keys.changedSince(before))?.records)).toEqual(
          new Map([...damaged].filter(([name]) => name !== 'overlap' && name !== 'fine')),
        );
      });

      test('a key that can’t be read is revoked by its id, and can be read from then on', async () => {
        const { execute } = tested;
        if (execute === undefined) return;
        const keys = new KeyAdministration({ store: store.keys, now: () => 1_700_000_000_001 });
        await store.keys.add(fullKey('alice'));
        await store.keys.add(plainKey('bob'));
        await execute(
          "UPDATE llm_serve_secrets SET expires_at = 60481795241377600 WHERE hash = 'old-of-alice'",
          "UPDATE llm_serve_keys SET limits = '' WHERE id = 'key_alice'",
        );
        await expect(keys.change('key_alice', { team: 'blue' })).rejects.toThrow('can’t be read: ');
        await expect(keys.rotate('key_alice', { overlapMs: 0 })).rejects.toThrow('can’t be read: ');
        const revoked = await keys.revoke('key_alice');
        expect(revoked).toMatchObject({ name: 'alice', limits: {}, revokedAt: 1_700_000_000_001 });
        expect(revoked).not.toHaveProperty('damage');
        expect(await store.keys.list()).toEqual([revoked, plainKey('bob')]);
        await keys.create({ name: 'alice' });
      });

      test('of a revision that was raised by hand, nothing is told, so that all keys are read', async () => {
        const { execute } = tested;
        if (execute === undefined) return;
        await store.keys.add(plainKey('alice'));
        const before = await store.keys.revision();
        await execute(
          "DELETE FROM llm_serve_secrets WHERE key_id = 'key_alice'",
          "UPDATE llm_serve_revisions SET revision = revision + 1 WHERE name = 'keys'",
        );
        expect(await store.keys.changedSince(before)).toBeUndefined();
        await store.keys.add(plainKey('bob'));
        const { revision } = await store.keys.readAll();
        expect(await store.keys.changedSince(revision)).toEqual({ revision, records: [] });
      });

      test('of a revision that the database does not know, as after a restore, nothing is told', async () => {
        if (tested.execute === undefined) return;
        await store.keys.add(plainKey('alice'));
        const revision = await store.keys.revision();
        expect(await store.keys.changedSince(revision + 1)).toBeUndefined();
      });

      test('a key that was changed since it was read is left as it is', async () => {
        const known = fullKey('alice');
        await store.keys.add(known);
        const changed = await store.keys.change(known, { limits: { requests_per_minute: 5 } });
        const revision = await store.keys.revision();
        await expect(store.keys.change(known, { team: 'blue' })).rejects.toMatchObject({ fault: 'changed' });
        expect(await store.keys.list()).toEqual([changed]);
        expect(await store.keys.revision()).toBe(revision);
      });

      test('of many changes to what was read, one is made', async () => {
        const known = plainKey('alice');
        await store.keys.add(known);
        const attempts = Array.from({ length: 10 }, (_, index) =>
          store.keys.change(known, { team: `team-${index}` }),
        );
        const outcomes = await Promise.allSettled(attempts);
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      });

      test('changes at once by several administrators are all kept, and each secret that was told is there', async () => {
        const administrationOf = ({ keys }: Store) =>
          new KeyAdministration({ store: keys, now: () => 1_700_000_000_000 });
        const here = administrationOf(store);
        const elsewhere = administrationOf(tested.keeps ? await open() : store);
        const by = (index: number) => (index % 2 === 0 ? here : elsewhere);
        await here.create({ name: 'alice' });
        const limits = LIMIT_NAMES.map((name) => ({ [name]: 7 }));
        const [made] = await Promise.all([
          Promise.all([0, 1, 2, 3].map((index) => by(index).rotate('alice', { overlapMs: HOUR_MS }))),
          ...limits.map((each, index) => by(index).change('alice', { limits: each })),
        ]);
        const { limits: kept, secrets } = await elsewhere.find('alice');
        expect(Object.keys(kept).sort()).toEqual([...LIMIT_NAMES].sort());
        expect(secrets.map(({ hash }) => hash)).toEqual(
          expect.arrayContaining(made.map(({ key }) => hashOfKey(key))),
        );
      });

      test('a key that may no longer administer is remembered as one that might', async () => {
        const known = plainKey('alice', { mayAdmin: true, everAdmin: true });
        await store.keys.add(known);
        await store.keys.change(known, { mayAdmin: false });
        expect(await store.keys.list()).toEqual([plainKey('alice', { everAdmin: true })]);
        await store.keys.add(plainKey('bob'));
        await store.keys.change(plainKey('bob'), { mayAdmin: true });
        expect((await store.keys.list())[1]).toEqual(plainKey('bob', { mayAdmin: true, everAdmin: true }));
      });

      test('many at once are all kept', async () => {
        const names = Array.from({ length: 40 }, (_, index) => `key-${index}`);
        await Promise.all(names.map((each) => store.keys.add(plainKey(each))));
        expect((await store.keys.list()).map((key) => key.name).sort()).toEqual(names.sort());
      });

      test('of many with one name, one is added', async () => {
        const attempts = Array.from({ length: 10 }, (_, index) =>
          store.keys.add(plainKey('alice', { id: `key_${index}`, secrets: [secret(`hash-${index}`)] })),
        );
        const outcomes = await Promise.allSettled(attempts);
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        expect(await store.keys.list()).toHaveLength(1);
      });
    });

    describe('usage', () => {
      test('rows that hold what nobody can have used keep no report from being made', async () => {
        const { execute } = tested;
        if (execute === undefined) return;
        await add([usageRow(), usageRow({ caller: 'key_bob' }), usageRow({ caller: 'key_eve' })]);
        const most = '9223372036854775807';
        await execute(
          `UPDATE llm_serve_usage SET requests = ${most}, cost_nano = ${most} WHERE caller <> 'key_alice'`,
          `UPDATE llm_serve_usage SET hour = 9000000000000000000 WHERE caller = 'key_eve'`,
          `UPDATE llm_serve_usage SET completion_tokens = -${most} WHERE caller = 'key_bob'`,
        );
        const byDay = await store.usage.report({ by: ['day'], ...ALL_TIME });
        expect(byDay).toMatchObject([{ by: ['2026-01-31'] }]);
        expect(byDay[0]?.requests).toBeGreaterThan(9e18);
        const byKey = await store.usage.report({ by: ['key'], ...ALL_TIME });
        expect(byKey).toMatchObject([
          { by: ['key_alice'], requests: usageRow().requests },
          { by: ['key_bob'] },
        ]);
      });

      test('rows of the same hour, caller, team, model and target add up, also within one call', async () => {
        await add([usageRow(), usageRow({ errors: 1, slotMs: 0.25 })]);
        await add([usageRow({ rejections: 2, requests: 2 })]);
        expect(await store.usage.report({ by: ['key', 'team', 'model', 'target'], ...ALL_TIME })).toEqual([
          {
            by: ['key_alice', 'red', 'small', 'small/ollama/0'],
            requests: 4,
            errors: 1,
            rejections: 2,
            promptTokens: 30,
            cachedTokens: 12,
            completionTokens: 15,
            costNano: 3000,
            slotMs: 25.25,
          },
        ]);
      });

      test('a report groups by what it is asked for, in order', async () => {
        await add([
          usageRow({ caller: 'key_bob', team: 'blue', requests: 2 }),
          usageRow({ caller: 'key_alice', requests: 3 }),
          usageRow({ caller: 'key_carol', requests: 5 }),
          usageRow({ caller: '', team: '', requests: 7 }),
        ]);
        const byTeam = await store.usage.report({ by: ['team'], ...ALL_TIME });
        expect(byTeam.map(({ by, requests }) => [...by, requests])).toEqual([
          ['', 7],
          ['blue', 2],
          ['red', 8],
        ]);
        const byBoth = await store.usage.report({ by: ['team', 'key'], ...ALL_TIME });
        expect(byBoth.map(({ by }) => by)).toEqual([
          ['', ''],
          ['blue', 'key_bob'],
          ['red', 'key_alice'],
          ['red', 'key_carol'],
        ]);
        const one = await store.usage.report({ by: [], ...ALL_TIME });
        expect(one.map(({ by, requests }) => [by, requests])).toEqual([[[], 17]]);
      });

      test('days and hours are those of UTC', async () => {
        await add([0, 1, 2].map((hours) => usageRow({ hour: AN_HOUR + hours * HOUR_MS })));
        const byDay = await store.usage.report({ by: ['day'], ...ALL_TIME });
        expect(byDay.map(({ by, requests }) => [...by, requests])).toEqual([
          ['2026-01-31', 2],
          ['2026-02-01', 1],
        ]);
        const byHour = await store.usage.report({ by: ['hour'], ...ALL_TIME });
        expect(byHour.map(({ by }) => by[0])).toEqual(['2026-01-31T22', '2026-01-31T23', '2026-02-01T00']);
      });

      test('a report holds the hours from its beginning to before its end, of one caller or team', async () => {
        await add(
          [0, 1, 2].flatMap((hours) => [
            usageRow({ hour: AN_HOUR + hours * HOUR_MS }),
            usageRow({ hour: AN_HOUR + hours * HOUR_MS, caller: 'key_bob', team: 'blue' }),
          ]),
        );
        const span = { from: AN_HOUR + HOUR_MS, to: AN_HOUR + 2 * HOUR_MS };
        const requests = async (query: object) =>
          (await store.usage.report({ by: [], ...span, ...query }))[0]?.requests;
        expect(await requests({})).toBe(2);
        expect(await requests({ caller: 'key_bob' })).toBe(1);
        expect(await requests({ team: 'red' })).toBe(1);
        expect(await requests({ team: 'red', caller: 'key_bob' })).toBeUndefined();
      });

      test('no rows are a report without rows', async () => {
        await add([]);
        expect(await store.usage.report({ by: [], ...ALL_TIME })).toEqual([]);
        expect(await store.usage.report({ by: ['key'], ...ALL_TIME })).toEqual([]);
      });

      test('texts that clients choose do no harm', async () => {
        const models = [
          '\0',
          'a\ud800b',
          '\u202e',
          `'; DROP TABLE llm_serve_usage; --`,
          '🦙',
          'x'.repeat(5000),
        ];
        await add(models.map((model) => usageRow({ model })));
        const sums = await store.usage.report({ by: ['model'], ...ALL_TIME });
        expect(sums).toHaveLength(models.length);
        expect(sums.flatMap(({ by }) => by)).toEqual(
          expect.arrayContaining(['\u202e', `'; DROP TABLE llm_serve_usage; --`, '🦙']),
        );
      });

      test('sums far beyond one year of a large company are exact, and beyond 2^53 nearly so', async () => {
        const large = 2 ** 52;
        await add([usageRow({ costNano: large, promptTokens: large })]);
        await add([usageRow({ costNano: large, promptTokens: large - 1 })]);
        const [exact] = await store.usage.report({ by: [], ...ALL_TIME });
        expect(exact).toMatchObject({ costNano: 2 ** 53, promptTokens: 2 ** 53 - 1 });
        await add([usageRow({ costNano: 2 ** 62 - 2 ** 10 })]);
        const [rounded] = await store.usage.report({ by: [], ...ALL_TIME });
        expect((rounded?.costNano ?? 0) / 2 ** 62).toBeCloseTo(1 + 2 ** 53 / 2 ** 62, 6);
      });

      test('a batch that is added again, as its answer was lost, counts once', async () => {
        const rows = [usageRow(), usageRow({ caller: 'key_bob' })];
        await store.usage.add(rows, 'the-same');
        await store.usage.add(rows, 'the-same');
        await store.usage.add(rows, 'another');
        expect(await store.usage.report({ by: [], ...ALL_TIME })).toMatchObject([{ requests: 4 }]);
      });

      test('a batch of many rows is added as a whole', async () => {
        const rows = Array.from({ length: 2345 }, (_, index) => usageRow({ caller: `key_${index}` }));
        await add(rows);
        await add(rows);
        const [sum] = await store.usage.report({ by: [], ...ALL_TIME });
        expect(sum).toMatchObject({ requests: 4690, slotMs: 4690 * 12.5 });
        expect(await store.usage.report({ by: ['key'], ...ALL_TIME })).toHaveLength(2345);
      });
    });

    describe('audit log', () => {
      test('an entry that can’t be read is shown as such, among the others', async () => {
        const { execute } = tested;
        if (execute === undefined) return;
        const raw = (at: string, details: string) =>
          `INSERT INTO llm_serve_audit (at, actor, address, action, subject, details)
            VALUES (${at}, 'root', '', 'key.create', 'key_1', '${details}')`;
        await store.audit.add(auditEntry());
        const { at } = auditEntry();
        const unreadable = ['no JSON', '5', '[]', 'null', ''];
        await execute(...unreadable.map((details, index) => raw(`${at + 1 + index}`, details)));
        await execute(raw('9000000000000000000', '{"name":"alice"}'), raw('-9000000000000000000', 'x'));
        const entry = { actor: 'root', address: '', action: 'key.create', subject: 'key_1', details: {} };
        const all = await store.audit.list({ limit: 10 });
        expect(all).toEqual([
          { ...entry, at: Date.UTC(9999, 11, 31, 23, 59, 59, 999), details: { name: 'alice' }, damage: 'at' },
          ...[5, 4, 3, 2, 1].map((later) => ({ ...entry, at: at + later, damage: 'details' })),
          auditEntry(),
          { ...entry, at: Date.parse('0000-01-01T00:00:00.000Z'), damage: 'at, details' },
        ]);
        const older = await store.audit.list({ limit: 1, before: all[0]?.at ?? 0 });
        expect(older).toEqual([all[1]]);
      });

      test('entries come back as they were added, the newest first', async () => {
        const entries = [
          auditEntry(),
          auditEntry({ at: 1_700_000_000_005, action: 'target.drain', details: {} }),
          auditEntry({ at: 1_700_000_000_005, address: '', subject: 'né "quoted"' }),
        ];
        for (const entry of entries) await store.audit.add(entry);
        expect(await store.audit.list({ limit: 10 })).toEqual(entries.toReversed());
        expect(await store.audit.list({ limit: 1 })).toEqual(entries.slice(2));
        expect(await store.audit.list({ limit: 10, before: 1_700_000_000_005 })).toEqual(entries.slice(0, 1));
      });
    });

    test('what was kept is there for the next who opens it', async () => {
      if (!tested.keeps) return;
      await store.keys.add(fullKey('alice'));
      await add([usageRow()]);
      await store.audit.add(auditEntry());
      await store.close();
      const next = await open();
      expect(await next.keys.list()).toEqual([fullKey('alice')]);
      expect(await next.usage.report({ by: ['key'], ...ALL_TIME })).toMatchObject([{ requests: 1 }]);
      expect(await next.audit.list({ limit: 5 })).toEqual([auditEntry()]);
    });

    test('two that have it open see each other’s changes, and none is lost', async () => {
      if (!tested.keeps) return;
      const other = await open();
      const before = await store.keys.revision();
      await other.keys.add(plainKey('alice'));
      expect(await store.keys.revision()).not.toBe(before);
      expect(await store.keys.list()).toEqual([plainKey('alice')]);
      await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? store : other).usage.add([usageRow()], newBatch()),
        ),
      );
      expect(await other.usage.report({ by: [], ...ALL_TIME })).toMatchObject([{ requests: 20 }]);
    });

    test('many that open it at once, while it is still empty, share one', async () => {
      if (!tested.keeps) return;
      await store.close();
      await tested.remove();
      tested = await create();
      const stores = await Promise.all(Array.from({ length: 4 }, open));
      await Promise.all(stores.map((each, index) => each.keys.add(plainKey(`key-${index}`))));
      expect(await stores[0]?.keys.list()).toHaveLength(4);
    });

    test('after its end it rejects, and ending it again does nothing', async () => {
      if (!tested.keeps) return;
      await store.close();
      await store.close();
      await expect(store.keys.list()).rejects.toMatchObject({ fault: 'unavailable' });
    });
  });
}
