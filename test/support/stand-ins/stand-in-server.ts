/**
 * An HTTP server on a loopback port of its own that plays an upstream's wire and its faults. It owns its connections and
 * counts what it sees; `close` leaves nothing behind.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { claimPort, type OwnPort } from '../own-port.ts';

/** Faults strike generation routes; `silent` and `refuse` strike all. */
export type Fault =
  | 'none'
  | 'refuse'
  | 'silent'
  | 'reset'
  | 'hang'
  | 'not-http'
  | 'garbage'
  | 'error-500'
  | 'busy'
  | 'cut'
  | 'end-early'
  | 'hang-mid-stream'
  | 'error-mid-stream'
  /** It says as much as it would without a limit. */
  | 'ignores-limit';

/** What a generation of any backend becomes: the code of its error, and whether text came before it. */
export const FAULT_OUTCOMES: readonly (readonly [fault: Fault, code: string, afterText: boolean])[] = [
  ['refuse', 'no_backend_available', false],
  ['reset', 'backend_error', false],
  ['not-http', 'backend_error', false],
  ['garbage', 'backend_error', false],
  ['error-500', 'backend_error', false],
  ['busy', 'no_backend_available', false],
  ['cut', 'backend_error', true],
  ['end-early', 'backend_error', true],
  ['error-mid-stream', 'backend_error', true],
];

export interface StandInOptions {
  readonly model?: string;
  readonly contextSize?: number;
  readonly fault?: Fault;
  readonly firstTokenDelayMs?: number;
  readonly tokenDelayMs?: number;
  /** Cuts what is sent into pieces of this many bytes, whatever they contain. */
  readonly chopBytes?: number;
}

export interface Counts {
  readonly openConnections: number;
  readonly inFlight: number;
  readonly maxInFlight: number;
  readonly started: number;
  /** The client left before the answer was complete. */
  readonly aborted: number;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
}

export interface StandIn {
  readonly url: string;
  readonly model: string;
  setFault(fault: Fault): Promise<void>;
  /** Generation requests only, but for the connections. */
  counts(): Counts;
  /** Every request, the latest last. */
  seen(): readonly SeenRequest[];
  /** Resolves when `condition` holds of the counts. */
  until(condition: (counts: Counts) => boolean): Promise<void>;
  close(): Promise<void>;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface StreamReply {
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** One for each token. */
  readonly frames: readonly string[];
  /** What ends the stream. */
  readonly ending: readonly string[];
  /** What a failure mid-stream sends. */
  readonly failure: readonly string[];
  /** The connection stays open after the last frame. */
  readonly leavesOpen?: boolean;
}

export interface Play {
  /** Answers a request that is no generation. */
  plain(request: SeenRequest): Reply;
  isGeneration(request: SeenRequest): boolean;
  generation(request: SeenRequest): StreamReply | Reply;
  readonly serverError: string;
}

const TOKENS_BEFORE_FAULT = 2;

export async function startStandIn(
  play: Play,
  options: StandInOptions & { readonly model: string },
): Promise<StandIn> {
  const standIn = new StandInServer(play, options, await claimPort());
  await standIn.listen();
  await standIn.setFault(options.fault ?? 'none');
  return standIn;
}

class StandInServer implements StandIn {
  readonly model: string;
  readonly #play: Play;
  readonly #options: StandInOptions;
  readonly #server: Server;
  readonly #own: OwnPort;
  readonly #sockets = new Set<Socket>();
  readonly #seen: SeenRequest[] = [];
  readonly #watchers = new Set<() => void>();
  #fault: Fault = 'none';
  #inFlight = 0;
  #maxInFlight = 0;
  #started = 0;
  #aborted = 0;

  constructor(play: Play, options: StandInOptions & { readonly model: string }, own: OwnPort) {
    this.#own = own;
    this.#play = play;
    this.#options = options;
    this.model = options.model;
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on('connection', (socket) => {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      this.#changed();
      socket.on('close', () => {
        this.#sockets.delete(socket);
        this.#changed();
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#own.port}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#own.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async setFault(fault: Fault): Promise<void> {
    const listens = this.#server.listening;
    this.#fault = fault;
    if (fault === 'refuse' && listens) await this.#goDown();
    else if (fault !== 'refuse' && !listens) await this.listen();
  }

  counts(): Counts {
    return {
      openConnections: this.#sockets.size,
      inFlight: this.#inFlight,
      maxInFlight: this.#maxInFlight,
      started: this.#started,
      aborted: this.#aborted,
    };
  }

  seen(): readonly SeenRequest[] {
    return this.#seen;
  }

  until(condition: (counts: Counts) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!condition(this.counts())) return;
        this.#watchers.delete(check);
        resolve();
      };
      this.#watchers.add(check);
      check();
    });
  }

  async close(): Promise<void> {
    await this.#goDown();
    this.#own.release();
  }

  async #goDown(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #changed(): void {
    for (const check of [...this.#watchers]) check();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = await readRequest(request).catch(() => undefined);
    if (seen === undefined) return;
    this.#seen.push(seen);
    if (this.#fault === 'silent') return;
    if (!this.#play.isGeneration(seen)) {
      sendReply(response, this.#play.plain(seen));
      return;
    }
    this.#count(response);
    if (this.#failsAtOnce(response)) return;
    const reply = this.#play.generation(this.#fault === 'ignores-limit' ? withoutLimit(seen) : seen);
    if ('frames' in reply) await this.#stream(response, reply);
    else this.#whole(response, reply);
  }

  /** What fails in the middle of a stream fails before a whole answer, or in its middle. */
  #whole(response: ServerResponse, reply: Reply): void {
    const half = reply.body.slice(0, reply.body.length / 2);
    switch (reply.status === 200 ? this.#fault : 'none') {
      case 'hang-mid-stream':
        return;
      case 'error-mid-stream':
        sendReply(response, { status: 500, body: this.#play.serverError });
        return;
      case 'cut':
      case 'end-early':
        response.writeHead(200, { 'content-length': reply.body.length, ...reply.headers });
        response.write(half, () => response.socket?.destroy());
        return;
      default:
        sendReply(response, reply);
    }
  }

  #count(response: ServerResponse): void {
    this.#started += 1;
    this.#inFlight += 1;
    this.#maxInFlight = Math.max(this.#maxInFlight, this.#inFlight);
    this.#changed();
    response.on('close', () => {
      this.#inFlight -= 1;
      if (!response.writableFinished) this.#aborted += 1;
      this.#changed();
    });
  }

  #failsAtOnce(response: ServerResponse): boolean {
    switch (this.#fault) {
      case 'hang':
        return true;
      case 'reset':
        response.socket?.resetAndDestroy();
        return true;
      case 'not-http':
        response.socket?.end('this is no HTTP at all\r\n\r\n');
        return true;
      case 'garbage':
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.end('data: <html>not JSON\n\n{broken\n');
        return true;
      case 'error-500':
        sendReply(response, { status: 500, body: this.#play.serverError });
        return true;
      case 'busy':
        sendReply(response, { status: 503, headers: { 'retry-after': '7' }, body: this.#play.serverError });
        return true;
      default:
        return false;
    }
  }

  async #stream(response: ServerResponse, reply: StreamReply): Promise<void> {
    await delay(this.#options.firstTokenDelayMs ?? 0);
    if (response.destroyed) return;
    response.writeHead(200, { ...reply.headers, 'content-type': reply.contentType });
    for (const [index, frame] of reply.frames.entries()) {
      if (index === TOKENS_BEFORE_FAULT && (await this.#failsMidStream(response, reply))) return;
      if (index > 0) await delay(this.#options.tokenDelayMs ?? 0);
      if (response.destroyed) return;
      await this.#send(response, frame);
    }
    for (const frame of reply.ending) await this.#send(response, frame);
    if (!reply.leavesOpen) response.end();
  }

  async #failsMidStream(response: ServerResponse, reply: StreamReply): Promise<boolean> {
    switch (this.#fault) {
      case 'hang-mid-stream':
        return true;
      case 'cut':
        await new Promise((resolve) => response.write('', resolve));
        response.socket?.destroy();
        return true;
      case 'end-early':
        response.end();
        return true;
      case 'error-mid-stream':
        for (const frame of reply.failure) await this.#send(response, frame);
        response.end();
        return true;
      default:
        return false;
    }
  }

  async #send(response: ServerResponse, frame: string): Promise<void> {
    const { chopBytes } = this.#options;
    if (chopBytes === undefined) {
      response.write(frame);
      return;
    }
    const bytes = Buffer.from(frame);
    for (let start = 0; start < bytes.length; start += chopBytes) {
      response.write(bytes.subarray(start, start + chopBytes));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

async function readRequest(request: IncomingMessage): Promise<SeenRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  return { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body };
}

function withoutLimit(seen: SeenRequest): SeenRequest {
  const { max_tokens, max_completion_tokens, options, ...body } = seen.body;
  const { num_predict, ...others } = (options ?? {}) as Record<string, unknown>;
  return { ...seen, body: { ...body, options: others } };
}

function sendReply(response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers });
  response.end(reply.body);
}

function delay(milliseconds: number): Promise<void> {
  return milliseconds === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, milliseconds));
}
