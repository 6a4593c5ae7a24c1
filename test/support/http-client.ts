/**
 * Clients for tests of the whole server: one that sends exact bytes and shows the exact answer, and one that posts
 * JSON and reads streams as they come, so that a test can leave at any moment. Each request has its own connection.
 */
import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  json<Body = NativeAnswer>(): Body;
}

export interface ServerSentEvent {
  readonly token?: string;
  readonly reasoning?: string;
  readonly finish_reason?: string;
  readonly error?: NativeError;
  readonly batch?: { readonly id: string; readonly size: number };
  readonly queue?: { readonly position: number; readonly eta_ms: number };
}

export interface NativeError {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
  readonly request_id: string;
}

/** What either native route may answer; a test reads the part that it expects. */
export interface NativeAnswer {
  readonly id: string;
  readonly model: string;
  readonly text: string;
  readonly reasoning?: string;
  readonly finish_reason: string;
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
  readonly batch: { readonly id: string; readonly size: number };
  readonly error: NativeError;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
}

/** An answer under way. */
export interface OpenAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** What has come so far. */
  text(): string;
  /** Resolves when what has come fits. */
  until(fits: (text: string) => boolean): Promise<void>;
  /** The whole text; rejects when the connection is cut. */
  readonly whole: Promise<string>;
  readonly pause: () => void;
  leave(): void;
}

export async function ask(url: string, options: Ask = {}): Promise<Answer> {
  const open = await openAnswer(url, options);
  const text = await open.whole;
  return { status: open.status, headers: open.headers, text, json: () => JSON.parse(text) };
}

export function generate(server: { readonly url: string }, body: unknown): Promise<Answer> {
  return ask(`${server.url}/generate`, { body });
}

export function stream(server: { readonly url: string }, body: unknown): Promise<Answer> {
  return ask(`${server.url}/stream`, { body });
}

/** Sends a request and leaves the answer to the test, who may not even wait for its head. */
export function send(url: string, { method, headers, body }: Ask = {}): ClientRequest {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const sent = httpRequest(url, {
    method: method ?? (text === undefined ? 'GET' : 'POST'),
    agent: false,
    headers: { ...(text === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
  });
  // A request that a test abandons ends in an error that is nobody's; who waits for the answer gets it too.
  sent.on('error', () => {});
  sent.end(text);
  return sent;
}

export async function openAnswer(url: string, options: Ask = {}): Promise<OpenAnswer> {
  const sent = send(url, options);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  const watchers = new Set<() => void>();
  response.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
    for (const check of [...watchers]) check();
  });
  const whole = new Promise<string>((resolve, reject) => {
    response.on('end', () => resolve(text));
    response.on('error', reject);
  });
  whole.catch(() => {});
  const until = (fits: (text: string) => boolean) =>
    new Promise<void>((resolve, reject) => {
      const check = () => {
        if (!fits(text)) return;
        watchers.delete(check);
        resolve();
      };
      whole.then(
        () => reject(new Error(`the answer ended before it fitted: ${text}`)),
        (error: Error) => reject(error),
      );
      watchers.add(check);
      check();
    });
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: () => text,
    until,
    whole,
    pause: () => response.pause(),
    leave: () => sent.destroy(),
  };
}

/** The events of a stream's text; `[DONE]` and comments are left out. */
export function eventsOf(text: string): ServerSentEvent[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice('data: '.length)) as ServerSentEvent);
}

export function tokensOf(text: string): string {
  return eventsOf(text)
    .map(({ token }) => token ?? '')
    .join('');
}

export interface RawAnswer {
  readonly statusLine: string;
  readonly status: number;
  /** In the order and spelling in which they came. */
  readonly headers: readonly (readonly [string, string])[];
  header(name: string): string | undefined;
  /** Without the transfer encoding. */
  readonly body: string;
}

/** Sends exact bytes and reads until the server closes the connection. */
export async function exchangeBytes(
  port: number,
  bytes: string | Buffer,
  localAddress = '127.0.0.1',
): Promise<RawAnswer> {
  const socket = connect({ host: '127.0.0.1', port, localAddress });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  // The server may answer and close before it has read everything.
  socket.on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return parseAnswer(Buffer.concat(chunks).toString('utf8'));
}

function parseAnswer(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) throw new Error(`no whole answer came: ${JSON.stringify(text)}`);
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
  const header = (name: string) => headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
  const rest = text.slice(end + 4);
  const body = header('transfer-encoding') === 'chunked' ? unchunk(rest) : rest;
  return { statusLine, status: Number(statusLine.split(' ')[1]), headers, header, body };
}

/** Sizes count bytes, so the text goes back to bytes first. */
function unchunk(text: string): string {
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16);
    if (!(size > 0)) break;
    pieces.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** The sum of a metric over all its labels, or over those that contain `labels`. */
export async function metric(server: { readonly url: string }, name: string, labels = ''): Promise<number> {
  const { text } = await ask(`${server.url}/metrics`);
  return text
    .split('\n')
    .filter((line) => new RegExp(`^${name}[ {]`).test(line) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
