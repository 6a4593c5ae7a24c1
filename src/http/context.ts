/**
 * One request from its head to its last byte: what the steps know of it, and the answer's head. Headers are collected
 * in one flat list and written once. Invariant: it is answered at most once, and `closed` runs exactly once.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { ServingError } from '../core/errors.ts';
import type { RequestTrace } from '../core/request-trace.ts';
import { renameField } from '../protocols/field-errors.ts';
import type { FieldNames } from '../protocols/protocol.ts';
import type { Admission } from '../scheduling/sliding-window.ts';
import type { RouteMatch, RoutePlace } from './router.ts';

/** What could not be honoured and was dropped, in the words of the route. */
export const DROPPED_HEADER = 'X-Dropped-Parameters';
export const JSON_TYPE = 'application/json; charset=utf-8';

/** What the edge has to know of a route. */
export interface EdgeRoute extends RoutePlace {
  /** Answers, at once or later. What it throws is rendered as an error. */
  readonly handle: (context: RequestContext) => void | Promise<void>;
  /** `setting`: the one that says so. */
  readonly bodyLimit: { readonly bytes: number; readonly setting: string };
  /** Bodies are read as JSON whatever their content type says. */
  readonly takesAnyType: boolean;
}

/** The same for all requests of a server. */
export interface ContextServices {
  readonly clock: Clock;
  /** Whether the server is shutting down: then an answer is the last one on its connection. */
  readonly leaving: () => boolean;
  /** The response has closed: its last byte is out, or the connection is gone. */
  readonly onClosed: (context: RequestContext) => void;
}

export interface ClientIdentity {
  /** Of the client: the peer, or what trusted proxies say. */
  readonly address: string;
  /** Under this name the client is limited and gets its share of the slots. */
  readonly clientId: string;
}

/** Told of the error that refuses a request, before its headers are sent. */
export interface RefusalObserver {
  refused(context: RequestContext, error: ServingError): void;
}

export class RequestContext {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly trace: RequestTrace;
  readonly clientAddress: string;
  readonly clientId: string;
  /** Without the query, as the client spelled it. */
  readonly path: string;
  /** Undefined where no route has this path and method. */
  match: RouteMatch<EdgeRoute> | undefined;
  body: unknown;
  /** As it came; undefined while it has not come whole. */
  bodyBytes: number | undefined;
  /** The client sends its body only after a 100 (Expect: 100-continue), which has not been sent yet. */
  awaitsContinue: boolean;
  /** What its route calls fields, where that is not what they are called natively. */
  fieldNames: FieldNames | undefined;
  /** A second name under which its id is told. */
  requestIdHeader: string | undefined;
  /** Set while the limiter's headers belong to the answer. */
  onRefusal: RefusalObserver | undefined;
  /** How the limiter counted it. */
  admission: Admission | undefined;
  /** Set when the answer was written to the socket past the response. */
  answeredPastResponse: { readonly status: number; readonly at: Milliseconds } | undefined;
  /** Names and values in turn, as they go to the wire. */
  readonly #headers: string[] = [];
  readonly #services: ContextServices;
  #closeListeners: (() => void)[] | undefined;
  /** The body that comes in pieces is written in chunks, by us. */
  #framesChunks = false;

  constructor(
    { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
    services: ContextServices,
    identity: ClientIdentity & Pick<RequestContext, 'trace' | 'path' | 'awaitsContinue'>,
  ) {
    this.request = request;
    this.response = response;
    this.trace = identity.trace;
    this.clientAddress = identity.address;
    this.clientId = identity.clientId;
    this.path = identity.path;
    this.match = undefined;
    this.body = undefined;
    this.bodyBytes = undefined;
    this.awaitsContinue = identity.awaitsContinue;
    this.fieldNames = undefined;
    this.requestIdHeader = undefined;
    this.onRefusal = undefined;
    this.admission = undefined;
    this.answeredPastResponse = undefined;
    this.#services = services;
    this.#closeListeners = undefined;
    // The only one: whoever else has to know asks for it with `onClose`.
    response.on('close', () => this.#closed());
  }

  /** The path of the route that answers, however the client spelled it; as spelled where none does. */
  get routePath(): string {
    return this.match?.route.path ?? this.path;
  }

  /** The answer, or its head, has been sent, here or past the response. */
  get isAnswered(): boolean {
    return this.response.headersSent || this.answeredPastResponse !== undefined;
  }

  /** `run` is called once, in the turn in which the response closes. */
  onClose(run: () => void): void {
    this.#closeListeners ??= [];
    this.#closeListeners.push(run);
  }

  offClose(run: () => void): void {
    const at = this.#closeListeners?.indexOf(run) ?? -1;
    if (at >= 0) this.#closeListeners?.splice(at, 1);
  }

  /** Names are in lower case, as on the wire. One that is there already gets the new value at its place. */
  setHeader(name: string, value: string): void {
    const headers = this.#headers;
    for (let at = 0; at < headers.length; at += 2) {
      if (headers[at] !== name) continue;
      headers[at + 1] = value;
      return;
    }
    headers.push(name, value);
  }

  getHeader(name: string): string | undefined {
    for (let at = 0; at < this.#headers.length; at += 2)
      if (this.#headers[at] === name) return this.#headers[at + 1];
    return undefined;
  }

  /** Answers whole: head and body leave in one write. Without a body there is no content type either. */
  answer(status: number, body?: string | Buffer, contentType = JSON_TYPE): void {
    if (this.isAnswered) return;
    const headers = this.#headers;
    if (body !== undefined) headers.push('content-type', contentType);
    this.#stamp();
    if (body !== undefined) headers.push('content-length', String(Buffer.byteLength(body)));
    this.response.writeHead(status, headers);
    this.#send(this.request.method === 'HEAD' ? undefined : body);
    this.response.end();
  }

  answerJson(status: number, value: unknown): void {
    this.answer(status, JSON.stringify(value));
  }

  /** Makes the head of an answer whose body comes in pieces; it leaves with the first of them. `further`: names and values in turn. */
  begin(status: number, further: readonly string[] = []): void {
    const { response } = this;
    this.#stamp();
    this.#headers.push(...further);
    response.writeHead(status, this.#headers);
    // Node would hand each piece to the system in four parts.
    this.#framesChunks = response.chunkedEncoding;
    response.chunkedEncoding = false;
  }

  /** One piece, not empty, in one write: a chunk where the client knows chunks, else as it is. */
  write(text: string): void {
    this.#send(this.#framesChunks ? chunkOf(text) : text);
  }

  /** The last piece, which may be empty, and the end. */
  end(last: string): void {
    const chunk = this.#framesChunks && last !== '' ? chunkOf(last) : last;
    this.#send(this.#framesChunks ? chunk + LAST_CHUNK : chunk);
    this.response.end();
  }

  /**
   * Node gathers what is written in a turn and adds an empty part at the end; held back by hand, head and body are one
   * piece that is written at once. While an earlier answer of the connection is under way there is no socket to hold back.
   */
  #send(body: string | Buffer | undefined): void {
    const { response } = this;
    const { socket } = response;
    if (body === undefined || body.length === 0) return;
    socket?.cork();
    response.write(body);
    socket?.uncork();
  }

  /**
   * The headers that every response carries, and the time in the queue where it is known by now: after the grant, or when
   * waiting has ended without one. Time to the headers, in milliseconds with two decimals. A client that keeps its connection
   * needs `Connection: close` before the server ends: its next request would meet a closed one.
   */
  #stamp(): void {
    const headers = this.#headers;
    const { requestId, receivedAt, enqueuedAt, dispatchedAt, endedAt, droppedFields } = this.trace;
    const leftQueueAt = dispatchedAt ?? endedAt;
    if (enqueuedAt !== undefined && leftQueueAt !== undefined)
      headers.push('server-timing', `queue;dur=${formatMs(leftQueueAt - enqueuedAt)}`);
    if (droppedFields !== undefined && droppedFields.length > 0) {
      const names = this.fieldNames ?? {};
      headers.push(
        DROPPED_HEADER.toLowerCase(),
        droppedFields.map((field) => renameField(names, field)).join(', '),
      );
    }
    if (this.requestIdHeader !== undefined) headers.push(this.requestIdHeader, requestId);
    if (this.#services.leaving()) this.setHeader('connection', 'close');
    headers.push(
      'x-request-id',
      requestId,
      'x-response-time-ms',
      formatMs(this.#services.clock.now() - receivedAt),
    );
  }

  #closed(): void {
    this.#services.onClosed(this);
    const listeners = this.#closeListeners;
    this.#closeListeners = undefined;
    if (listeners !== undefined) for (const run of listeners) run();
  }
}

const LAST_CHUNK = '0\r\n\r\n';

function chunkOf(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

/** With two decimals. */
export function formatMs(milliseconds: number): string {
  const hundredths = Math.max(0, Math.round(milliseconds * 100));
  const decimals = hundredths % 100;
  return `${(hundredths - decimals) / 100}.${decimals < 10 ? '0' : ''}${decimals}`;
}

/** A route that only reads, and takes no body. */
export function pageRoute(path: string, handle: EdgeRoute['handle']): EdgeRoute {
  return { method: 'GET', path, handle, bodyLimit: { bytes: 0, setting: '' }, takesAnyType: false };
}

/** One step of a request's life. It does nothing, answers, or throws what refuses the request; either ends the request's way. */

export type Step = (context: RequestContext) => void;
