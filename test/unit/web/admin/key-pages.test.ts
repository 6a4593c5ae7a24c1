/** Which keys the Admin view shows of many: a page at a time, of those that fit. */
import { beforeEach, expect, test } from 'vitest';
import type { KeysQuestion, KeyView } from '../../../../web/admin/api.ts';
import { KeyPages } from '../../../../web/admin/keys/key-pages.ts';

/** By their ids, in order. The server's filter is its own affair: here it is the beginning of an id. */
let store: string[] = [];
let asked: KeysQuestion[] = [];
let pages: KeyPages;

beforeEach(() => {
  store = [];
  asked = [];
  pages = new KeyPages(async (question) => {
    asked.push(question);
    const { limit, after, filter } = question;
    const found = store
      .slice(after === undefined ? 0 : store.indexOf(after) + 1)
      .filter((id) => id.startsWith(filter));
    const keys = found.slice(0, limit).map((id) => ({ id }) as KeyView);
    return { keys, next: found.length > limit ? (keys.at(-1)?.id ?? null) : null };
  });
});

function add(count: number, name = 'k'): void {
  for (let added = 0; added < count; added += 1) store.push(`${name}${store.length}`);
}

const shown = async () => {
  const { keys, before, hasNext } = await pages.read({});
  return { span: `${keys[0]?.id}…${keys.at(-1)?.id}`, before, hasNext };
};

test('few keys are one page', async () => {
  add(3);
  expect(await shown()).toEqual({ span: 'k0…k2', before: 0, hasNext: false });
  expect(asked).toEqual([{ limit: 200, after: undefined, filter: '', withRevoked: false }]);
});

test('of many there is a way forth and back, a page at a time', async () => {
  add(450);
  expect(await shown()).toEqual({ span: 'k0…k199', before: 0, hasNext: true });
  pages.forth();
  expect(await shown()).toEqual({ span: 'k200…k399', before: 200, hasNext: true });
  pages.forth();
  // Two presses before an answer are one page.
  pages.forth();
  expect(await shown()).toEqual({ span: 'k400…k449', before: 400, hasNext: false });
  pages.forth();
  expect(await shown()).toMatchObject({ before: 400 });
  pages.back();
  expect(await shown()).toEqual({ span: 'k200…k399', before: 200, hasNext: true });
  pages.back();
  pages.back();
  expect(await shown()).toMatchObject({ span: 'k0…k199', before: 0 });
});

test('what is looked for begins at its first page', async () => {
  add(250);
  add(201, 'other');
  await shown();
  pages.forth();
  await shown();
  pages.look({ filter: 'other' });
  expect(await shown()).toMatchObject({ span: 'other250…other449', before: 0, hasNext: true });
  pages.look({ withRevoked: true });
  await shown();
  expect(asked.at(-1)).toEqual({ limit: 200, after: undefined, filter: 'other', withRevoked: true });
});

test('an answer to what was looked for before leads nowhere', async () => {
  add(250);
  const before = pages.read({});
  pages.look({ filter: 'none' });
  expect(await before).toMatchObject({ hasNext: true });
  pages.forth();
  await shown();
  expect(asked.at(-1)?.after).toBeUndefined();
});

test('a store without keys is told from one whose keys are revoked, or do not fit', async () => {
  expect(await pages.read({})).toMatchObject({ areNone: true });
  pages.look({ filter: 'x' });
  expect(await pages.read({})).toMatchObject({ areNone: false, isFiltered: true });
  pages.look({ filter: '', withRevoked: true });
  expect(await pages.read({})).toMatchObject({ areNone: true });
  const revoked = new KeyPages(async ({ withRevoked }) => ({
    keys: withRevoked ? [{ id: 'k' } as KeyView] : [],
    next: null,
  }));
  expect(await revoked.read({})).toMatchObject({ areNone: false, isFiltered: false });
});
