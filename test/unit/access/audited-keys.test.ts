import { describe, expect, it, test } from 'vitest';
import type { AuditEntry } from '../../../src/access/audit-log.ts';
import { AuditTrail } from '../../../src/access/audit-trail.ts';
import { AuditedKeys } from '../../../src/access/audited-keys.ts';
import { KeyAdministration } from '../../../src/access/key-administration.ts';
import { readNewKey } from '../../../src/access/key-fields.ts';
import { silentLog } from '../../../src/core/log.ts';
import { MemoryStore } from '../../../src/stores/memory-store.ts';
import { StoreError } from '../../../src/stores/store.ts';

const NOW = Date.parse('2027-01-31T12:00:00Z');
const BY = { actor: 'command line: ops', address: 'build-7' };

function administration() {
  const entries: AuditEntry[] = [];
  const failing = { isOn: false };
  const add = async (entry: AuditEntry) => {
    if (failing.isOn) throw new StoreError('full', 'No space is left.');
    entries.push(entry);
  };
  const now = () => NOW;
  const keys = new KeyAdministration({ store: new MemoryStore().keys, now });
  const audit = new AuditTrail({ store: { add, list: async () => entries }, log: silentLog, now });
  return { audited: new AuditedKeys({ keys, audit, now }), keys, entries, failing };
}

const imported = (name: string, key: string) => ({
  settings: readNewKey({ name, may_admin: true }, NOW),
  key,
});

describe('keys that are imported', () => {
  it('are each written down with all that they may do, before they are there', async () => {
    const { audited, entries, failing, keys } = administration();
    const [one] = await audited.import(BY, [imported('one', 'an-older-key-1')]);
    expect(entries).toMatchObject([
      {
        ...BY,
        action: 'key.import',
        subject: one?.id,
        details: { name: 'one', may_admin: true, limits: {} },
      },
    ]);
    failing.isOn = true;
    await expect(audited.import(BY, [imported('two', 'an-older-key-2')])).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect((await keys.list()).map(({ name }) => name)).toEqual(['one']);
  });

  it('stay as they are where they are there already, and make no entry', async () => {
    const { audited, entries } = administration();
    await audited.import(BY, [imported('one', 'an-older-key-1')]);
    const again = [imported('other', 'an-older-key-1'), imported('two', 'an-older-key-2')];
    const added = await audited.import(BY, [...again, imported('third', 'an-older-key-2')]);
    expect(added.map(({ name }) => name)).toEqual(['two']);
    expect(entries.map(({ details }) => details.name)).toEqual(['one', 'two']);
  });
});

test('a key that is revoked already is not revoked again', async () => {
  const { audited, entries } = administration();
  await audited.create(BY, { name: 'alice' });
  const revoked = await audited.revoke(BY, 'alice');
  expect(await audited.revoke(BY, 'alice')).toEqual(revoked);
  expect(entries.map(({ action }) => action)).toEqual(['key.create', 'key.revoke']);
});

describe('an entry of a change', () => {
  it('has limits and labels as they were asked for, what is removed too', async () => {
    const { audited, entries } = administration();
    await audited.create(BY, { name: 'alice', limits: { requests_per_minute: 3 }, labels: { a: '1' } });
    await audited.change(BY, 'alice', {
      limits: { requests_per_minute: null, tokens_per_day: 5 },
      labels: { a: null },
      may_admin: true,
    });
    expect(entries[1]?.details).toEqual({
      name: 'alice',
      changed: {
        limits: { requests_per_minute: null, tokens_per_day: 5 },
        labels: { a: null },
        may_admin: true,
      },
    });
  });
});
