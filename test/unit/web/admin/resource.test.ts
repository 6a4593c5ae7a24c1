/** What the Admin view reads of the server: when it asks, with which key, and what stays on the screen. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { listKeys } from '../../../../web/admin/api.ts';
import { Resource } from '../../../../web/admin/resource.ts';
import { keyQuestion, setKeys } from '../../../../web/state/api-key.ts';

const NO_KEYS = { apiKey: undefined, adminKey: undefined };
const POLL_MS = 1_000;
const FIRST_KEYS = { limit: 10, filter: '', withRevoked: true };
const LONGEST_PAUSE_MS = 15_000;

type Answer = () => Response | Promise<Response>;

/** The keys of the requests, in order; null: none. */
let sent: (string | null)[] = [];
let answer: Answer;
let hidden = false;
const listeners = new Set<() => void>();

const keys =
  (...names: readonly string[]): Answer =>
  () =>
    Response.json({ keys: names.map((name) => ({ name })) });
const refusal =
  (status: number, code: string): Answer =>
  () =>
    Response.json({ error: { code, message: `It is ${code}.` } }, { status });
const gone: Answer = () => {
  throw new TypeError('Failed to fetch');
};

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  hidden = false;
  listeners.clear();
  setKeys(NO_KEYS);
  vi.stubGlobal('document', {
    baseURI: 'http://server.test/',
    get visibilityState() {
      return hidden ? 'hidden' : 'visible';
    },
    addEventListener: (_: string, listener: () => void) => listeners.add(listener),
    removeEventListener: (_: string, listener: () => void) => listeners.delete(listener),
  });
  vi.stubGlobal('fetch', async (_: string, { headers }: { headers: Record<string, string> }) => {
    sent.push(headers.authorization?.replace('Bearer ', '') ?? null);
    return answer();
  });
});

afterEach(() => {
  keyQuestion.get()?.answer(undefined);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function opened() {
  const resource = new Resource(async (options) => (await listKeys(FIRST_KEYS, options)).keys, {
    pollMs: POLL_MS,
  });
  return { resource, stop: resource.use() };
}

const namesOf = ({ state }: ReturnType<typeof opened>['resource']) =>
  state.get().value?.map(({ name }) => name);
const settled = () => vi.advanceTimersByTimeAsync(0);

test('it asks again while somebody looks, and not afterwards', async () => {
  answer = keys('alice');
  const { resource, stop } = opened();
  expect(resource.state.get()).toMatchObject({ value: undefined, isLoading: true });
  await settled();
  expect(namesOf(resource)).toEqual(['alice']);
  answer = keys('alice', 'bob');
  await vi.advanceTimersByTimeAsync(POLL_MS);
  expect(namesOf(resource)).toEqual(['alice', 'bob']);
  stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sent).toHaveLength(2);
});

test('a hidden tab asks nothing; shown again it asks at once', async () => {
  answer = keys('alice');
  const { stop } = opened();
  await settled();
  const turn = (isHidden: boolean) => {
    hidden = isHidden;
    for (const listener of [...listeners]) listener();
  };
  turn(true);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sent).toHaveLength(1);
  turn(false);
  await settled();
  expect(sent).toHaveLength(2);
  stop();
});

test('a server that is gone leaves what was read, is asked again with growing pauses, and is found when it is back', async () => {
  answer = keys('alice');
  const { resource, stop } = opened();
  await settled();
  answer = gone;
  await vi.advanceTimersByTimeAsync(POLL_MS);
  expect(resource.state.get().failure?.code).toBe('unreachable');
  expect(namesOf(resource)).toEqual(['alice']);
  await vi.advanceTimersByTimeAsync(60_000);
  const asked = sent.length;
  expect(asked).toBeLessThan(12);
  answer = keys('bob');
  await vi.advanceTimersByTimeAsync(LONGEST_PAUSE_MS);
  expect(namesOf(resource)).toEqual(['bob']);
  expect(resource.state.get().failure).toBeUndefined();
  stop();
});

test('a store that is down is asked again, and says so meanwhile', async () => {
  answer = refusal(503, 'store_unavailable');
  const { resource, stop } = opened();
  await settled();
  expect(resource.state.get().failure).toMatchObject({ status: 503, code: 'store_unavailable' });
  answer = keys('alice');
  await vi.advanceTimersByTimeAsync(1_000);
  expect(namesOf(resource)).toEqual(['alice']);
  stop();
});

test('a refused key asks for an admin key; cancelled, nothing is asked again, as each try would count as a wrong key', async () => {
  answer = keys('alice');
  const { resource, stop } = opened();
  await settled();
  answer = refusal(401, 'invalid_api_key');
  void resource.reload();
  await settled();
  expect(keyQuestion.get()).toMatchObject({ kind: 'admin', reason: 'It is invalid_api_key.' });
  keyQuestion.get()?.answer(undefined);
  await settled();
  // What a key may not see is not left on the screen.
  expect(resource.state.get()).toMatchObject({ value: undefined, failure: { status: 401 } });
  const asked = sent.length;
  await vi.advanceTimersByTimeAsync(600_000);
  expect(sent).toHaveLength(asked);
  stop();
});

test('a poll that is refused shows no dialog', async () => {
  answer = keys('alice');
  const { resource, stop } = opened();
  await settled();
  answer = refusal(401, 'revoked_api_key');
  await vi.advanceTimersByTimeAsync(POLL_MS);
  expect(keyQuestion.get()).toBeUndefined();
  expect(resource.state.get().failure?.code).toBe('revoked_api_key');
  stop();
});

test('with another key everything is asked anew, and what the one before saw is gone', async () => {
  answer = keys('alice');
  setKeys({ apiKey: 'a', adminKey: 'one' });
  const { resource, stop } = opened();
  await settled();
  answer = () => new Promise<Response>(() => {});
  setKeys({ apiKey: 'a', adminKey: 'two' });
  expect(resource.state.get()).toEqual({ value: undefined, failure: undefined, isLoading: true });
  await settled();
  expect(sent).toEqual(['one', 'two']);
  stop();
});
