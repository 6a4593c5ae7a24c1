import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../../../src/access/audit-log.ts';
import { AuditTrail } from '../../../../src/access/audit-trail.ts';
import { KeyAdministration } from '../../../../src/access/key-administration.ts';
import { silentLog } from '../../../../src/core/log.ts';
import { StoreError } from '../../../../src/core/store-error.ts';
import type { RequestContext } from '../../../../src/http/context.ts';
import { ReadingLine } from '../../../../src/http/reading-line.ts';
import { keyRoutes } from '../../../../src/http/routes/admin/keys.ts';
import { MemoryStore } from '../../../../src/stores/memory-store.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

/** The routes over a store whose audit log can be made to fail. */
function administration() {
  const store = new MemoryStore();
  const clock = new FakeClock();
  const entries: AuditEntry[] = [];
  const failing = { isOn: false };
  const audit = new AuditTrail({
    store: {
      add: async (entry) => {
        if (failing.isOn) throw new StoreError('refused', 'read-only');
        entries.push(entry);
      },
      list: async () => entries,
    },
    log: silentLog,
    now: () => clock.wallNow(),
  });
  const keys = new KeyAdministration({ store: store.keys, now: () => clock.wallNow() });
  const routes = keyRoutes({
    clock,
    keys,
    audit,
    readings: new ReadingLine(clock, { limitsTime: false }),
    limitStatesOf: () => [],
  });
  const call = async (method: string, path: string, id: string, body?: unknown, query = '') => {
    const route = routes.find((each) => each.method === method && each.path === path);
    let answer: Record<string, unknown> = {};
    const context = {
      match: { route, params: { '*': id } },
      body,
      request: { url: `${path}${query}` },
      client: '127.0.0.1',
      caller: undefined,
      clientAddress: '127.0.0.1',
      answerJson: (_: number, value: Record<string, unknown>) => {
        answer = value;
      },
    } as unknown as RequestContext;
    await route?.handle(context);
    return answer;
  };
  return { call, entries, failing, keys };
}

describe('a change of keys that can’t be written to the audit log', () => {
  it('is not made: no key, and none changed, rotated or revoked', async () => {
    const { call, failing, keys } = administration();
    await call('POST', '/admin/keys', '', { name: 'alice' });
    const before = await keys.list();
    failing.isOn = true;
    const refused = { code: 'store_unavailable' };
    await expect(call('POST', '/admin/keys', '', { name: 'bob' })).rejects.toMatchObject(refused);
    await expect(call('PATCH', '/admin/keys/*', 'alice', { team: 'red' })).rejects.toMatchObject(refused);
    await expect(call('POST', '/admin/keys/*/rotate', 'alice')).rejects.toMatchObject(refused);
    await expect(call('POST', '/admin/keys/*/revoke', 'alice')).rejects.toMatchObject(refused);
    expect(await keys.list()).toEqual(before);
  });
});

describe('the list of keys', () => {
  const names = (answer: Record<string, unknown>) =>
    (answer.keys as readonly { readonly name: string }[]).map(({ name }) => name);

  it('is bounded where no page is asked for, and says where the next one begins', async () => {
    const { call, keys } = administration();
    for (let made = 0; made < 1001; made += 1) await keys.create({ name: `key-${made}` });
    const first = await call('GET', '/admin/keys', '');
    expect(names(first)).toHaveLength(1000);
    const next = await call('GET', '/admin/keys', '', undefined, `?after=${first.next}`);
    expect([names(next), next.next]).toEqual([['key-1000'], null]);
  });

  it('has those that its query asks for', async () => {
    const { call, keys } = administration();
    for (const name of ['alice', 'bob', 'alina']) await keys.create({ name, team: `team of ${name}` });
    await keys.revoke('alice');
    const asked = async (query: string) => names(await call('GET', '/admin/keys', '', undefined, query));
    expect(await asked('')).toEqual(['alice', 'bob', 'alina']);
    expect(await asked('?revoked=true&limit=1')).toEqual(['alice']);
    expect(await asked('?revoked=false')).toEqual(['bob', 'alina']);
    expect(await asked('?filter=ALI%20team&revoked=false')).toEqual(['alina']);
  });

  it.each([
    ['limit=0', 'limit', 'limit is "0", but must be a whole number from 1 to 1000.'],
    ['limit=1001', 'limit', 'from 1 to 1000'],
    ['revoked=yes', 'revoked', 'revoked is "yes", but must be true or false.'],
    ['after=key_none', 'after', 'no key has that id'],
    ['after=', 'after', 'no key has that id'],
    [`filter=${'x'.repeat(201)}`, 'filter', 'filter has 201 characters, but may have at most 200.'],
  ])('is refused with what is wrong: %s', async (query, param, words) => {
    const { call } = administration();
    await expect(call('GET', '/admin/keys', '', undefined, `?${query}`)).rejects.toMatchObject({
      code: 'invalid_request',
      param,
      message: expect.stringContaining(words),
    });
  });
});

describe('the audit log', () => {
  it('has what was set, by whom, and neither the key nor its hash', async () => {
    const { call, entries } = administration();
    const made = await call('POST', '/admin/keys', '', { name: 'alice', team: 'red' });
    await call('PATCH', '/admin/keys/*', 'alice', { name: 'ann', team: null, models: ['m'] });
    await call('POST', '/admin/keys/*/rotate', 'ann', { overlap_seconds: 60 });
    expect(entries).toMatchObject([
      {
        actor: 'this machine',
        action: 'key.create',
        subject: made.id,
        details: { name: 'alice', team: 'red' },
      },
      {
        action: 'key.change',
        subject: made.id,
        details: { name: 'alice', changed: { name: 'ann', team: null, models: ['m'] } },
      },
      { action: 'key.rotate', subject: made.id, details: { name: 'ann', overlap_seconds: 60 } },
    ]);
    expect(JSON.stringify(entries)).not.toMatch(/sk-llm|[0-9a-f]{64}/);
  });

  it('has nothing of a body that is refused: a secret may stand in the wrong field', async () => {
    const { call, entries } = administration();
    await expect(call('POST', '/admin/keys', '', { name: 'a', key: 'planted' })).rejects.toMatchObject({
      code: 'invalid_request',
    });
    expect(entries).toEqual([]);
  });

  it('says so in a second entry where the change itself failed', async () => {
    const { call, entries } = administration();
    await call('POST', '/admin/keys', '', { name: 'alice' });
    await expect(call('POST', '/admin/keys', '', { name: 'alice' })).rejects.toMatchObject({
      code: 'name_taken',
    });
    expect(entries.slice(1).map(({ details }) => details.failed)).toEqual([undefined, 'name_taken']);
  });
});
