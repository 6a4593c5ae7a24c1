/** Reads the requests of one connection, as our upstream connections send them: a head, and a body of a known length. */
import type { SeenRequest } from '../stand-ins/stand-in-server.ts';

const HEAD_END = '\r\n\r\n';

export class RequestReader {
  readonly #onRequest: (request: SeenRequest) => void;
  #bytes = Buffer.alloc(0);

  constructor(onRequest: (request: SeenRequest) => void) {
    this.#onRequest = onRequest;
  }

  push(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    for (let request = this.#take(); request !== undefined; request = this.#take()) this.#onRequest(request);
  }

  #take(): SeenRequest | undefined {
    const headEnd = this.#bytes.indexOf(HEAD_END);
    if (headEnd === -1) return undefined;
    const [line = '', ...fields] = this.#bytes.subarray(0, headEnd).toString('latin1').split('\r\n');
    const headers = Object.fromEntries(
      fields.map((field) => {
        const colon = field.indexOf(':');
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const;
      }),
    );
    const start = headEnd + HEAD_END.length;
    const end = start + Number(headers['content-length'] ?? 0);
    if (this.#bytes.length < end) return undefined;
    const text = this.#bytes.subarray(start, end).toString('utf8');
    this.#bytes = this.#bytes.subarray(end);
    const [method = '', path = ''] = line.split(' ');
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    return { method, path, headers, body };
  }
}
