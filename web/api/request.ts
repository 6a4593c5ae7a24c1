/** Requests to this server, with the tab's keys. Where the server wants another key, the person is asked and the request sent again. */
import { adminKey, askForKeys, type KeyKind, keyFor } from '../state/api-key.ts';
import { ApiFailure, failureOf, unreachable } from './failure.ts';

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PATCH';
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly accept?: string;
  readonly signal?: AbortSignal;
  /** A request that nobody waits for shows no dialog: a 401 fails it. */
  readonly quiet?: boolean;
  /** Which key is sent: `admin` is the admin key where there is one. Default: `api`. */
  readonly key?: KeyKind;
  /** The key that a 401 is about. Default: the one that was sent. */
  readonly asks?: KeyKind;
  /** A server that sends no headers for so many milliseconds counts as gone. Default: as long as the browser waits. */
  readonly silenceMs?: number;
}

/** `path` without a slash at its start: the page may lie below a prefix. */
export function apiUrl(path: string): string {
  return new URL(path, document.baseURI.replace(/[?#].*$/, '')).href;
}

/** Resolves with an answer whose status is below 400. Throws an ApiFailure, or the abort of `signal`. */
export async function callApi(path: string, request: ApiRequest = {}): Promise<Response> {
  const { key: kind = 'api', quiet = false, asks, signal } = request;
  for (;;) {
    const key = keyFor(kind);
    const response = await send(path, request, key);
    if (response.ok) return response;
    const failure = failureOf(response.status, await bodyOf(response), response.headers);
    if (response.status !== 401 || quiet) throw failure;
    // Another key was entered while this request was under way.
    if (keyFor(kind) !== key) continue;
    const refused = asks ?? (kind === 'admin' && adminKey.get() !== undefined ? 'admin' : 'api');
    if (!(await abortable(askForKeys(failure.message, refused), signal))) throw failure;
  }
}

async function send(
  path: string,
  { method = 'GET', body, accept, signal, silenceMs }: ApiRequest,
  key: string | undefined,
): Promise<Response> {
  const silence = new AbortController();
  const timer = silenceMs === undefined ? undefined : setTimeout(() => silence.abort(), silenceMs);
  try {
    return await fetch(apiUrl(path), {
      method,
      headers: {
        accept: accept ?? 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(key !== undefined && { authorization: `Bearer ${key}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal]),
      cache: 'no-store',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    });
  } catch (thrown) {
    signal?.throwIfAborted();
    throw thrown instanceof ApiFailure ? thrown : unreachable();
  } finally {
    clearTimeout(timer);
  }
}

async function bodyOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return undefined;
  }
}

function abortable<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
