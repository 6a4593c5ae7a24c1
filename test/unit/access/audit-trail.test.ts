import { describe, expect, it } from 'vitest';
import type { AuditEntry, AuditLog } from '../../../src/access/audit-log.ts';
import { AuditTrail } from '../../../src/access/audit-trail.ts';
import { type LogFields, silentLog } from '../../../src/core/log.ts';
import { StoreError } from '../../../src/core/store-error.ts';

const ACTION = {
  actor: 'alice',
  address: '10.1.2.3',
  action: 'key.revoke',
  subject: 'key_1',
  details: { name: 'bob' },
};

function trailOver(store: Partial<AuditLog> = {}) {
  const entries: AuditEntry[] = [];
  const lines: { readonly message: string; readonly fields: LogFields }[] = [];
  const note = (message: string, fields: LogFields = {}) => void lines.push({ message, fields });
  const trail = new AuditTrail({
    store: { add: async (entry) => void entries.push(entry), list: async () => entries, ...store },
    log: { ...silentLog, info: note, warn: note },
    now: () => 1000,
  });
  return { trail, entries, lines };
}

const full = {
  add: () => Promise.reject(new StoreError('full', 'No space is left on the disk of the store.')),
};

describe('an action', () => {
  it('is written to the store, and to the log', async () => {
    const { trail, entries, lines } = trailOver();
    await trail.note(ACTION);
    expect(entries).toEqual([{ at: 1000, ...ACTION }]);
    expect(lines).toEqual([
      {
        message: 'administration: key.revoke',
        fields: { actor: 'alice', address: '10.1.2.3', subject: 'key_1', name: 'bob' },
      },
    ]);
  });

  it('has a time of its own: a list can go on before it', async () => {
    const { trail, entries } = trailOver();
    await Promise.all([trail.note(ACTION), trail.require(ACTION), trail.note(ACTION)]);
    expect(entries.map(({ at }) => at)).toEqual([1000, 1001, 1002]);
  });
});

describe('where the store can’t be written', () => {
  it('an action that must not go unrecorded is refused, with the reason in the log alone', async () => {
    const { trail, lines } = trailOver(full);
    await expect(trail.require(ACTION)).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.not.stringContaining('disk'),
    });
    expect(lines.at(-1)?.message).toContain('No space is left on the disk of the store.');
  });

  it('any other goes on, with a warning', async () => {
    const { trail, lines } = trailOver(full);
    await trail.note(ACTION);
    expect(lines.at(-1)).toEqual({
      message: 'the audit log can’t be written: No space is left on the disk of the store.',
      fields: { action: 'key.revoke', subject: 'key_1' },
    });
  });
});

it('a list that can’t be read is store_unavailable', async () => {
  const { trail } = trailOver({ list: () => Promise.reject(new StoreError('unavailable', 'gone')) });
  await expect(trail.list({ limit: 10 })).rejects.toMatchObject({ code: 'store_unavailable' });
});
