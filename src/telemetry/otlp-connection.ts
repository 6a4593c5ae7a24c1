/** The connections to an OTLP receiver, with their own TLS and headers. It owns them; they are opened when there is something to send. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Pool } from 'undici';

export interface Receiver {
  readonly url: string;
  /** Sent with every export, beside those of the protocol, which win. */
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'gzip' | 'none';
  /** PEM. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly version: string;
}

export interface OtlpConnection {
  /** Rejects where no answer comes, and with the signal's reason. */
  post(
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly retryAfter: unknown; readonly body: Buffer }>;
  close(): Promise<void>;
}

const CONNECT_WITHIN_MS = 10_000;
const MAX_CONNECTIONS = 4;
/** More of an answer is not read. */
const MAX_ANSWER_BYTES = 64 * 1024;

const compressed = promisify(gzip);

export function openOtlpConnection({ url, headers, compression, tls, version }: Receiver): OtlpConnection {
  const { origin, pathname } = new URL(url);
  const own = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  const allHeaders = {
    ...Object.fromEntries(own),
    'user-agent': `llm-serve/${version}`,
    'content-type': 'application/x-protobuf',
    ...(compression === 'gzip' && { 'content-encoding': 'gzip' }),
  };
  const pool = new Pool(origin, {
    connections: MAX_CONNECTIONS,
    connect: { ...tls, timeout: CONNECT_WITHIN_MS },
  });
  return {
    post: async (body, signal) => {
      const response = await pool.request({
        method: 'POST',
        path: pathname,
        headers: allHeaders,
        body: compression === 'gzip' ? await compressed(body) : body,
        signal,
      });
      const { statusCode: status, headers: received } = response;
      return { status, retryAfter: received['retry-after'], body: await readAnswer(response.body) };
    },
    close: () => pool.destroy(),
  };
}

async function readAnswer(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
