/** The audit log as the page knows it while it grows: no entry is left out between those that are shown. */
import { beforeEach, expect, test } from 'vitest';
import type { AuditEntry } from '../../../../web/admin/api.ts';
import { AuditPages, type KnownEntries } from '../../../../web/admin/audit-pages.ts';

/** The oldest first. */
let log: AuditEntry[] = [];
let asked: { readonly limit: number; readonly before?: string }[] = [];
let pages: AuditPages;

beforeEach(() => {
  log = [];
  asked = [];
  pages = new AuditPages(async (question) => {
    asked.push(question);
    const { limit, before = '9' } = question;
    return log
      .filter(({ at }) => at < before)
      .toReversed()
      .slice(0, limit);
  });
});

function add(count: number): void {
  for (let added = 0; added < count; added += 1) {
    const at = new Date(Date.UTC(2026, 0, 1, 0, 0, log.length)).toISOString();
    log.push({ at, actor: 'root', address: '', action: 'key.create', subject: `${log.length}`, details: {} });
  }
}

/** As ranges of what was done: `79…0`. */
function spans({ entries }: KnownEntries): string {
  const numbers = entries.map(({ subject }) => Number(subject));
  const isWhole = numbers.every((value, at) => at === 0 || value === (numbers[at - 1] ?? 0) - 1);
  return isWhole ? `${numbers[0]}…${numbers.at(-1)}` : numbers.join();
}

const newest = async () => {
  const known = await pages.newest({});
  return [spans(known), known.isAll];
};
const older = async () => {
  const known = await pages.older({});
  return [spans(known), known.isAll];
};

test('a log that was whole stays whole while entries are added, few or many at a time', async () => {
  add(10);
  expect(await newest()).toEqual(['9…0', true]);
  add(30);
  expect(await newest()).toEqual(['39…0', true]);
  add(70);
  expect(await newest()).toEqual(['109…0', true]);
  expect(asked.length).toBe(4);
});

test('older entries that were asked for are joined to the newest, without a hole', async () => {
  add(3_000);
  expect(await newest()).toEqual(['2999…2950', false]);
  expect(await older()).toEqual(['2999…2900', false]);
  add(40);
  expect(await newest()).toEqual(['3039…2900', false]);
  add(120);
  expect(await newest()).toEqual(['3159…2160', false]);
  expect(await older()).toEqual(['3159…2110', false]);
});

test('the end is known when a page is not full', async () => {
  add(100);
  expect(await newest()).toEqual(['99…50', false]);
  expect(await older()).toEqual(['99…0', false]);
  expect(await older()).toEqual(['99…0', true]);
});

test('after more new entries than are read at once, the older ones can be asked for again', async () => {
  add(60);
  await newest();
  expect(await older()).toEqual(['59…0', true]);
  add(3_000);
  expect(await newest()).toEqual(['3059…2060', false]);
  expect(await older()).toEqual(['3059…2010', false]);
});

test('of a log that goes on, so many are kept, and more where the person has asked for more', async () => {
  for (let round = 0; round < 30; round += 1) {
    add(40);
    await newest();
  }
  expect(await newest()).toEqual(['1199…200', false]);
  expect(await older()).toEqual(['1199…150', false]);
  add(1);
  expect(await newest()).toEqual(['1200…151', false]);
});

test('an entry of a server whose clock is behind has its place by its time', async () => {
  add(3);
  await newest();
  const late = log.pop();
  await newest();
  add(1);
  log[2] = { ...log[2], at: '2026-01-01T00:00:01.500Z', subject: '1.5' } as AuditEntry;
  expect(late?.subject).toBe('2');
  const { entries } = await pages.newest({});
  expect(entries.map(({ subject }) => subject)).toEqual(['2', '1.5', '1', '0']);
});

test('what was read meanwhile is not lost', async () => {
  add(200);
  await newest();
  add(60);
  const [, last] = await Promise.all([pages.newest({}), pages.older({})]);
  expect([spans(last), await newest()]).toEqual(['199…100', ['259…0', true]]);
});
