/**
 * A running server, as the commands that use one see it: its address and key, questions with one answer in JSON, and streams of
 * server-sent events. What goes wrong is a RemoteError in the server's own words, or one that says what to do.
 */
import type { IncomingMessage } from 'node:http';
import { ConfigError } from '../config/config-error.ts';
import { type RemoteDefaults, remoteVariables } from '../config/environment.ts';
import { EventReader, type ServerSentEvent } from '../upstream/stream-reader.ts';
import { noServerText, untrustedText } from './no-server.ts';
import { bodyText, LOST_CODES, sendRequest } from './remote-request.ts';

export const DEFAULT_SERVER = 'http://127.0.0.1:8000';

/** Every answer of llm-serve has this header, errors included; no other server's has. */
const MARK = 'x-response-time-ms';
const JSON_WITHIN_MS = 30_000;
/** Without a byte. A server that is waiting for its model sends a heartbeat far more often. */
const SILENT_FOR_MS = 300_000;

export interface RemoteServer {
  /** As people read it: `http://127.0.0.1:8000`, with the path prefix if there is one. */
  readonly address: string;
  /** The body of the answer. A status of 400 or above rejects, unless `accepts` names it. */
  json(path: string, question?: Question & { readonly accepts?: readonly number[] }): Promise<unknown>;
  /** Resolves with the head of the answer. A failure before the first event rejects; a later one ends the events with the error. */
  events(path: string, question?: Question): Promise<RemoteEvents>;
}

export interface Question {
  /** JSON. Present: a POST. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
  /** Without a byte for so long, the connection is taken for lost. */
  readonly silentForMs?: number;
}

export interface RemoteEvents extends AsyncIterable<ServerSentEvent> {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** unreachable: nothing answers. foreign: another program does. refused: an error of the server's. broken: the connection was lost. */
type RemoteFailure = 'unreachable' | 'foreign' | 'refused' | 'broken';

export class RemoteError extends Error {
  readonly kind: RemoteFailure;
  readonly status: number | undefined;
  /** Of the server's error catalogue. */
  readonly code: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    kind: RemoteFailure,
    message: string,
    facts: Partial<Pick<RemoteError, 'status' | 'code' | 'retryAfterSeconds'>> = {},
  ) {
    super(message);
    this.kind = kind;
    this.status = facts.status;
    this.code = facts.code;
    this.retryAfterSeconds = facts.retryAfterSeconds;
  }
}

/** `flags`: --server and --key; they override the environment. */
export function remoteServer(flags: RemoteDefaults, environment: RemoteDefaults): RemoteServer {
  const base =
    flags.server === undefined
      ? readAddress(environment.server, remoteVariables.server)
      : readAddress(flags.server, '--server');
  const key = readKey(flags.key ?? environment.key);
  return new HttpServer(base, key);
}

class HttpServer implements RemoteServer {
  readonly address: string;
  readonly #key: string | undefined;

  constructor(address: string, key: string | undefined) {
    this.address = address;
    this.#key = key;
  }

  async json(
    path: string,
    { accepts = [], signal, ...question }: Question & { readonly accepts?: readonly number[] } = {},
  ): Promise<unknown> {
    const limit = AbortSignal.timeout(JSON_WITHIN_MS);
    try {
      const answer = await this.#ask(path, 'application/json', {
        ...question,
        signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      });
      const text = await this.#textOf(answer);
      const { statusCode: status = 0 } = answer;
      if (status >= 400 && !accepts.includes(status)) throw this.#refusal(answer, text);
      return JSON.parse(text) as unknown;
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      if (limit.aborted)
        throw new RemoteError(
          'broken',
          `${this.address} did not answer within ${JSON_WITHIN_MS / 1000} seconds.`,
        );
      throw error instanceof SyntaxError ? this.#foreign('what it sent is no JSON') : this.#explained(error);
    }
  }

  async events(path: string, question: Question = {}): Promise<RemoteEvents> {
    const { signal } = question;
    try {
      const answer = await this.#ask(path, 'text/event-stream', question);
      const { statusCode: status = 0, headers } = answer;
      if (status >= 400) throw this.#refusal(answer, await this.#textOf(answer));
      // The head of the answer has come: what fails now is the connection.
      const events = () =>
        readEvents(answer, () => (signal?.aborted === true ? signal.reason : this.#broken()));
      return { headers, [Symbol.asyncIterator]: events };
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : this.#explained(error);
    }
  }

  async #ask(
    path: string,
    accept: string,
    { body, signal, silentForMs = SILENT_FOR_MS }: Question,
  ): Promise<IncomingMessage> {
    const answer = await sendRequest(`${this.address}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept,
        'user-agent': 'llm-serve',
        ...(this.#key !== undefined && { authorization: `Bearer ${this.#key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      silentForMs,
    });
    if (answer.headers[MARK] !== undefined) return answer;
    answer.destroy();
    const { location } = answer.headers;
    throw this.#foreign(location === undefined ? `HTTP ${answer.statusCode}` : `it redirects to ${location}`);
  }

  #textOf(answer: IncomingMessage): Promise<string> {
    return bodyText(answer).catch(() => {
      throw this.#broken();
    });
  }

  #refusal({ statusCode: status, headers }: IncomingMessage, text: string): RemoteError {
    const { message, code } = errorOf(text);
    const retryAfter = Number(headers['retry-after']);
    const words = message ?? `${this.address} answered ${status}.`;
    const hint = status === 401 ? ` Give a key with ${remoteVariables.key} or --key.` : '';
    return new RemoteError('refused', words + hint, {
      status,
      code: code ?? headerText(headers['x-reject-reason']),
      retryAfterSeconds: retryAfter > 0 ? retryAfter : undefined,
    });
  }

  #foreign(how: string): RemoteError {
    return new RemoteError(
      'foreign',
      `What answers at ${this.address} is no llm-serve (${how}). Name the address of one with --server or ${remoteVariables.server}.`,
    );
  }

  /** Errors of the connection. Those that are explained, and a cancelled question's, stay as they are. */
  #explained(error: unknown): unknown {
    if (!(error instanceof Error) || error instanceof RemoteError || isCancelled(error)) return error;
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code.startsWith('HPE_') || code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'EPROTO')
      return this.#foreign(`it does not speak ${this.address.startsWith('https') ? 'TLS' : 'HTTP'}`);
    if (LOST_CODES.has(code)) return this.#broken();
    const text = noServerText(this.address, code) ?? untrustedText(this.address, code);
    return new RemoteError('unreachable', text ?? `${this.address} cannot be asked: ${error.message}`);
  }

  #broken(): RemoteError {
    return new RemoteError('broken', `The connection to ${this.address} was lost.`);
  }
}

/** The caller did it. */
export function isCancelled(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

/** The events in order. The connection is closed when the reader leaves. */
async function* readEvents(
  body: AsyncIterable<Buffer>,
  failure: () => unknown,
): AsyncGenerator<ServerSentEvent> {
  const pending: ServerSentEvent[] = [];
  const reader = new EventReader((event) => pending.push(event));
  try {
    for await (const chunk of body) {
      reader.push(chunk);
      yield* pending.splice(0);
    }
  } catch {
    throw failure();
  }
  reader.end();
  yield* pending;
}

/**
 * `http://host:port/prefix` without a slash at its end. `host`, `host:port` and `:port` get the scheme; OpenAI's `/v1` is dropped.
 * `name` is where the text is from, for messages.
 */
export function readAddress(text: string = DEFAULT_SERVER, name = '--server'): string {
  const trimmed = text.trim();
  const withHost = trimmed.startsWith(':') ? `127.0.0.1${trimmed}` : trimmed;
  const url = parsed(/^[a-z][a-z+.-]*:\/\//i.test(withHost) ? withHost : `http://${withHost}`);
  const reject = (rule: string): never => {
    throw new ConfigError(`${name} is ${JSON.stringify(text)}, but must be ${rule}.`);
  };
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '')
    return reject('an http or https address, such as localhost:8000');
  if (url.username !== '' || url.password !== '')
    throw new ConfigError(`${name} must not hold a user name: give a key with --key.`);
  if (url.search !== '' || url.hash !== '') return reject('an address without ? and #');
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  return url.origin + url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
}

function parsed(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

export function readKey(text: string | undefined): string | undefined {
  const key = text?.trim();
  if (key === undefined || key === '') return undefined;
  if (!/^[\x21-\x7e]+$/.test(key))
    throw new ConfigError('The key (--key) holds a space, a control character or a letter beyond ASCII.');
  return key;
}

/** Every protocol's errors have `error.message`. */
function errorOf(text: string): { readonly message?: string; readonly code?: string } {
  try {
    const { error } = JSON.parse(text) as {
      readonly error?: { readonly message?: unknown; readonly code?: unknown };
    };
    return {
      ...(typeof error?.message === 'string' && { message: error.message }),
      ...(typeof error?.code === 'string' && { code: error.code }),
    };
  } catch {
    return {};
  }
}

function headerText(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
