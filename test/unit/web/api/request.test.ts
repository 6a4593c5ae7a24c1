/** Which key a request carries, and when the person is asked for one. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { callApi } from '../../../../web/api/request.ts';
import { keyQuestion, openKeys, setKeys } from '../../../../web/state/api-key.ts';

const NO_KEYS = { apiKey: undefined, adminKey: undefined };
/** Of each request, in order. */
let sent: (string | null)[] = [];
let accepted = new Set<string>();
/** Runs when a request arrives. */
let onRequest = (): void => {};

beforeEach(() => {
  sent = [];
  accepted = new Set(['a', 'admin']);
  onRequest = () => {};
  setKeys(NO_KEYS);
  vi.stubGlobal('document', { baseURI: 'http://server.test/' });
  vi.stubGlobal('fetch', async (_: string, { headers }: { headers: Record<string, string> }) => {
    const key = headers.authorization?.replace('Bearer ', '') ?? null;
    sent.push(key);
    onRequest();
    return accepted.has(key ?? '')
      ? new Response('{}')
      : new Response('{"error":{"message":"The API key is not valid."}}', { status: 401 });
  });
});

afterEach(() => {
  keyQuestion.get()?.answer(undefined);
  vi.unstubAllGlobals();
});

const SOON = { timeout: 60_000 };
const question = () => vi.waitUntil(() => keyQuestion.get(), SOON);

test('a request waits for the key that the person gives, and is sent again with it', async () => {
  const answer = callApi('v1/models');
  const { reason, kind, answer: give } = await question();
  expect([reason, kind]).toEqual(['The API key is not valid.', 'api']);
  give({ apiKey: 'a', adminKey: undefined });
  expect((await answer).ok).toBe(true);
  expect(sent).toEqual([null, 'a']);
});

test('a request that was sent with an earlier key is sent again with the present one, without a question', async () => {
  setKeys({ ...NO_KEYS, apiKey: 'old' });
  onRequest = () => setKeys({ ...NO_KEYS, apiKey: 'a' });
  await callApi('v1/models');
  expect(sent).toEqual(['old', 'a']);
  expect(keyQuestion.get()).toBeUndefined();
});

test('cancelled: the request fails with the server’s words', async () => {
  const answer = callApi('v1/models');
  const failed = expect(answer).rejects.toMatchObject({ status: 401, message: 'The API key is not valid.' });
  (await question()).answer(undefined);
  await failed;
});

test('a request for administrators carries the admin key where there is one, else the API key; others never do', async () => {
  setKeys({ apiKey: 'a', adminKey: 'admin' });
  await callApi('live', { key: 'admin' });
  await callApi('v1/models');
  setKeys({ apiKey: 'a', adminKey: undefined });
  await callApi('live', { key: 'admin' });
  expect(sent).toEqual(['admin', 'a', 'a']);
});

test('an admin key that is refused is the one that is asked for', async () => {
  setKeys({ apiKey: 'a', adminKey: 'wrong' });
  const answer = callApi('live', { key: 'admin' });
  const { kind, answer: give } = await question();
  expect(kind).toBe('admin');
  give({ apiKey: 'a', adminKey: undefined });
  await answer;
  expect(sent).toEqual(['wrong', 'a']);
});

test('a dialog that the person opened says what the server wants when a request is refused meanwhile', async () => {
  openKeys();
  expect((await question()).reason).toBeUndefined();
  const answer = callApi('v1/models');
  await vi.waitUntil(() => keyQuestion.get()?.reason === 'The API key is not valid.', SOON);
  keyQuestion.get()?.answer({ ...NO_KEYS, apiKey: 'a' });
  await answer;
});

test('a request that nobody waits for asks nothing', async () => {
  await expect(callApi('api/show', { quiet: true })).rejects.toMatchObject({ status: 401 });
  expect(keyQuestion.get()).toBeUndefined();
});
