import { expect, it } from 'vitest';
import { shownAddress } from '../../../src/schema/shown-address.ts';

it.each([
  ['postgres://user:password@host:5432/db', 'postgres://(secret)@host:5432/db'],
  ['http://us:p@ss/w@rd@host/path?key=secret#part', 'http://(secret)@host/path?(secret)'],
  ['valkey+sentinel://:p?x@one,two/main', 'valkey+sentinel://(secret)@one,two/main'],
  ['https://host/path?signature=secret', 'https://host/path?(secret)'],
  ['nope://user:password@[::1', 'nope://(secret)@[::1'],
  ['http://localhost:8001', 'http://localhost:8001'],
  ['see http://a@b and mail c@d', 'see http://a@b and mail c@d'],
  ['c@d?', 'c@d?'],
  ['', ''],
])('%j is shown as %j', (text, shown) => {
  expect(shownAddress(text)).toBe(shown);
});

it('costs what the text is long, whatever is in it', () => {
  expect(shownAddress(`x://${'://'.repeat(1_000_000)}`)).toHaveLength(3_000_004);
});
