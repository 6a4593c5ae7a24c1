/**
 * HTTP as cheap as it gets for the client: node:http on kept connections, the bytes of an answer handed on as they arrive. A connection
 * is opened when none is free, as many as there are requests at the same time.
 */
import {
  type ClientRequest,
  type IncomingMessage,
  Agent as PlainAgent,
  request as plainRequest,
} from 'node:http';
import { request as secureRequest, Agent as TlsAgent } from 'node:https';

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  /** After the server's address. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpReader {
  /** The request is handed to its connection now; once, also where it has to be sent again. */
  onSend?(): void;
  onHead(status: number, headers: IncomingMessage['headers']): void;
  onData(chunk: Buffer): void;
}

export interface HttpClient {
  /** Resolves at the end of the answer; rejects with the error of the connection, also where the answer is cut off. */
  exchange(request: HttpRequest, reader: HttpReader, signal: AbortSignal): Promise<void>;
  close(): void;
}

interface HttpOptions {
  /** Takes any certificate. */
  readonly insecure: boolean;
}

/** `address`: `http://host:port/prefix`, without a slash at its end. */
export function httpClient(address: string, { insecure }: HttpOptions): HttpClient {
  const url = new URL(address);
  const isSecure = url.protocol === 'https:';
  const pool = { keepAlive: true, noDelay: true, scheduling: 'lifo', maxFreeSockets: 4096 } as const;
  const agent = isSecure ? new TlsAgent({ ...pool, rejectUnauthorized: !insecure }) : new PlainAgent(pool);
  const request = isSecure ? secureRequest : plainRequest;
  const prefix = url.pathname.replace(/\/$/, '');
  const base = { hostname: url.hostname.replace(/^\[|\]$/g, ''), port: url.port, agent };
  return {
    exchange: async ({ method, path, headers, body }, reader, signal) => {
      let isSent = false;
      const once = () =>
        new Promise<'done' | 'closed while idle'>((resolve, reject) => {
          if (signal.aborted) return reject(abortedError());
          const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
          const sending: ClientRequest = request({
            ...base,
            method,
            path: prefix + path,
            headers: { ...headers, ...length },
          });
          const abort = () => sending.destroy(abortedError());
          signal.addEventListener('abort', abort, { once: true });
          const settle = (error?: Error) => {
            signal.removeEventListener('abort', abort);
            if (error === undefined) resolve('done');
            else reject(error);
          };
          let hasAnswer = false;
          sending.once('error', (error: NodeJS.ErrnoException) => {
            // A kept connection that the server closed in the same moment: the server has seen nothing of this request.
            if (!sending.reusedSocket || hasAnswer || error.code !== 'ECONNRESET') return settle(error);
            signal.removeEventListener('abort', abort);
            resolve('closed while idle');
          });
          sending.once('response', (response) => {
            hasAnswer = true;
            reader.onHead(response.statusCode ?? 0, response.headers);
            response.on('data', reader.onData);
            response.once('error', settle);
            response.once('end', () => settle());
            response.once('aborted', () => settle(signal.aborted ? abortedError() : cutError()));
          });
          if (!isSent) reader.onSend?.();
          isSent = true;
          sending.end(body);
        });
      while ((await once()) === 'closed while idle');
    },
    close: () => agent.destroy(),
  };
}

const abortedError = () => Object.assign(new Error('aborted'), { code: 'ABORTED' });
const cutError = () => Object.assign(new Error('the answer was cut off'), { code: 'cut' });

/** A whole answer as text, of at most a few megabytes. */
export async function askText(
  client: HttpClient,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly headers: IncomingMessage['headers']; readonly text: string }> {
  const chunks: Buffer[] = [];
  let status = 0;
  let headers: IncomingMessage['headers'] = {};
  let bytes = 0;
  const reader: HttpReader = {
    onHead: (code, fields) => {
      status = code;
      headers = fields;
    },
    onData: (chunk) => {
      bytes += chunk.length;
      if (bytes <= MAX_ANSWER_BYTES) chunks.push(chunk);
    },
  };
  await client.exchange(request, reader, signal);
  return { status, headers, text: Buffer.concat(chunks).toString() };
}

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
