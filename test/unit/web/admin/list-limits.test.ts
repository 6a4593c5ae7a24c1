/** How the Admin view gets the limits of many keys. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { listLimits } from '../../../../web/admin/api.ts';

let asked: string[] = [];
/** Pages of one limit each. */
let pages = 1;

beforeEach(() => {
  asked = [];
  vi.stubGlobal('document', { baseURI: 'http://server.test/' });
  vi.stubGlobal('fetch', async (url: string | URL) => {
    const { pathname, search, searchParams } = new URL(url, 'http://server.test/');
    asked.push(`${pathname}${search}`);
    const page = Number(searchParams.get('after')?.replace('key ', '') ?? 0) + 1;
    const limits = [
      { scope: `key:${page}`, name: 'requests_per_day', limit: 9, remaining: 9, resets_at: null },
    ];
    return Response.json({ limits, next: page < pages ? `key ${page}` : null });
  });
});

afterEach(() => vi.unstubAllGlobals());

const listed = async () => {
  const { states, isCut } = await listLimits({});
  return { scopes: states.map(({ scope }) => scope), isCut };
};

test('the limits of few keys are one answer', async () => {
  expect(await listed()).toEqual({ scopes: ['key:1'], isCut: false });
  expect(asked).toEqual(['/admin/limits']);
});

test('those of more keys are asked for page by page, to the last one', async () => {
  pages = 3;
  expect(await listed()).toEqual({ scopes: ['key:1', 'key:2', 'key:3'], isCut: false });
  expect(asked).toEqual(['/admin/limits', '/admin/limits?after=key%201', '/admin/limits?after=key%202']);
});

test('ten pages are all, and it is said that there are more', async () => {
  pages = 10;
  expect(await listed()).toMatchObject({ isCut: false });
  pages = 11;
  const { scopes, isCut } = await listed();
  expect([scopes.length, isCut]).toEqual([10, true]);
  expect(asked).toHaveLength(20);
});
