/**
 * One request on a connection of its own, over node:http: loading a client library would take longer than the question. No connection is
 * kept: between two questions of a person the server may have closed it.
 */
import { type IncomingMessage, request as plainRequest } from 'node:http';

const CONNECT_WITHIN_MS = 10_000;

export interface RemoteRequest {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** The connection is given up after this long without a byte. */
  readonly silentForMs: number;
}

/** Error codes of a connection that was there, and is lost. */
export const LOST_CODES: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'silent']);

/** Resolves with the head of the answer, whose body is to be read or destroyed. */
export async function sendRequest(
  url: string,
  { method, headers, body, signal, silentForMs }: RemoteRequest,
): Promise<IncomingMessage> {
  const isSecure = url.startsWith('https:');
  const request = isSecure ? (await import('node:https')).request : plainRequest;
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const sending = request(url, { agent: false, method, headers: { ...headers, ...length }, signal });
    sending.once('response', resolve);
    // Also what comes after the response, which is an error of the body too.
    sending.on('error', (error) => reject(signal?.aborted === true ? signal.reason : error));
    sending.once('socket', (socket) => {
      let code = 'ETIMEDOUT';
      socket.setTimeout(CONNECT_WITHIN_MS, () => sending.destroy(Object.assign(new Error(code), { code })));
      socket.once(isSecure ? 'secureConnect' : 'connect', () => {
        code = 'silent';
        socket.setTimeout(silentForMs);
      });
    });
    sending.end(body);
  });
}

/** Rejects where the connection is lost before the end. */
export async function bodyText(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of answer.setEncoding('utf8')) text += String(piece);
  return text;
}
