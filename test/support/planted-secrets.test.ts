import { expect, it } from 'vitest';
import { findSecrets, plantedSecret } from './planted-secrets.ts';

const secret = plantedSecret('the password', { isPassword: true });
const { text } = secret;
const base64 = (prefix: string) => Buffer.from(`${prefix}${text}`).toString('base64');

it.each([
  ['as it is', `at postgres://user:${text}@host`],
  ['a part of it', `${text.slice(5, 17)}…`],
  ['in a URL', `user:${encodeURIComponent(text)}@host`],
  ['in JSON', JSON.stringify({ password: text })],
  ['in JSON within JSON', JSON.stringify({ body: JSON.stringify({ password: text }) })],
  ['in hexadecimal', Buffer.from(text).toString('hex').toUpperCase()],
  ['in Base64', base64('')],
  ['behind a name in Base64', base64('user:')],
  ['behind another in Base64', base64('ab')],
  ['behind a third in Base64url', Buffer.from(`abcd${text}`).toString('base64url')],
  ['in bytes', Buffer.concat([Buffer.from([0, 255, 128]), Buffer.from(text), Buffer.from([0])])],
])('a secret is found %s', (_, bytes) => {
  expect(findSecrets([{ name: 'the log', bytes }], [secret])).toContainEqual(
    expect.stringContaining('the log has the password'),
  );
});

it('nothing is found where there is none, nor where only the beginning is shown that may be', () => {
  const key = { name: 'a key', text: 'sk-llm-abcdefghijklmnopqrstuvwxyz', shownCharacters: 12 };
  const shown = [{ name: 'the list', bytes: `${key.text.slice(0, 12)} and ${'x'.repeat(10_000)}` }];
  expect(findSecrets(shown, [key, secret])).toEqual([]);
  expect(findSecrets([{ name: 'the list', bytes: key.text.slice(0, 24) }], [key])).toHaveLength(1);
});
