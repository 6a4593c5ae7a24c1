/**
 * Creates the context of each request, knows the request that each connection is serving, and reports the end of every request when
 * its response closes. The client's identity is worked out once per connection.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { RequestTrace, Telemetry } from '../core/request-trace.ts';
import {
  type CallerContext,
  readCallerContext,
  TRACEPARENT_HEADER,
  TRACESTATE_HEADER,
  type TraceContext,
} from '../core/trace-context.ts';
import { type AddressRange, clientAddress, isTrustedProxy, limitKey } from './client-address.ts';
import { type ClientIdentity, type ContextServices, RequestContext } from './context.ts';
import { type Peer, peerOf } from './peer.ts';
import { PipelinedRequests } from './pipelined-requests.ts';
import type { EdgeSettings } from './settings.ts';

interface OpenRequestsOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly settings: Pick<EdgeSettings, 'trustedProxies' | 'trustedHops' | 'stalledReaderMs'>;
  readonly draining: () => boolean;
  /** Joins the trace of a caller, or begins one; absent: no traces are made. */
  readonly joinTrace?: JoinTrace | undefined;
}

export type JoinTrace = (caller: CallerContext | undefined) => TraceContext;

interface Connection {
  readonly peer: Peer;
  /** By which the next two were worked out. */
  trustedProxies: readonly AddressRange[];
  trustedHops: number;
  isTrusted: boolean;
  /** Of the requests that no proxy has forwarded. */
  client: ClientIdentity;
  /** The latest request. */
  serving: RequestContext | undefined;
  /** Requests, of which the latest may still be arriving. */
  opened: number;
  /** The latest request, where it was answered before it had arrived. */
  unread: IncomingMessage | undefined;
  /** Requests whose answers have not left yet. */
  open: number;
  /** When the latest answer left, of those whose request had arrived whole. */
  answeredAt: Milliseconds;
  /** Called once, when the next answer has left. */
  onAnswered: (() => void)[] | undefined;
  /** Requests that came before the one ahead of them was answered; undefined: there were none. */
  pipelined: PipelinedRequests | undefined;
}

/** The last byte could not be delivered. */
const CLIENT_LEFT_STATUS = 499;
/** As Node itself recognises it. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

export class OpenRequests {
  readonly #options: OpenRequestsOptions;
  readonly #services: ContextServices;
  readonly #connections = new WeakMap<Socket, Connection>();
  #ended: (() => void)[] = [];
  #hasWarned = false;

  constructor(options: OpenRequestsOptions) {
    this.#options = options;
    const { clock, settings, draining } = options;
    this.#services = {
      clock,
      draining,
      stalledReaderMs: () => settings.stalledReaderMs,
      onClosed: (context) => this.#noteEnd(context),
    };
  }

  open(request: IncomingMessage, response: ServerResponse): RequestContext {
    const connection = this.#connectionOf(request.socket);
    const { headers, url = '' } = request;
    const forwardedFor = headers['x-forwarded-for'];
    const client = forwardedFor === undefined ? connection.client : this.#forwarded(connection, forwardedFor);
    const queryAt = url.indexOf('?');
    const context = new RequestContext({ request, response }, this.#services, {
      address: client.address,
      addressKey: client.addressKey,
      trace: this.#traceOf(headers, client.addressKey),
      path: queryAt === -1 ? url : url.slice(0, queryAt),
      awaitsContinue: headers.expect !== undefined && awaitsContinue(request),
    });
    if (connection.serving !== undefined) {
      connection.pipelined ??= new PipelinedRequests(request.socket);
      connection.pipelined.add(context);
    }
    connection.serving = context;
    connection.opened += 1;
    connection.open += 1;
    return context;
  }

  #traceOf(headers: IncomingHttpHeaders, client: string): RequestTrace {
    const { clock, joinTrace } = this.#options;
    const requestId = requestIdFrom(headers['x-request-id']);
    const receivedAt = clock.now();
    if (joinTrace === undefined) return { requestId, receivedAt, client };
    const traceContext = joinTrace(
      readCallerContext(headers[TRACEPARENT_HEADER], headers[TRACESTATE_HEADER]),
    );
    const spanNotes = traceContext.isSampled ? { asked: undefined, tries: [], unserved: [] } : undefined;
    return { requestId, receivedAt, client, traceContext, spanNotes };
  }

  /** The request that a connection is serving, if it is serving one. */
  on(socket: Socket): RequestContext | undefined {
    return this.#connections.get(socket)?.serving;
  }

  /** So many requests have arrived whole on a connection, those that are answered included. */
  arrivedOn(socket: Socket): number {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return 0;
    const latest = connection.serving?.request ?? connection.unread;
    return latest?.complete === false ? connection.opened - 1 : connection.opened;
  }

  /** Answers of the connection are under way, or wait for their turn; the one that a request gets which is still arriving is not meant. */
  hasAnswersAhead(socket: Socket): boolean {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return false;
    const { serving, open } = connection;
    const isArriving = serving !== undefined && !serving.request.complete && !serving.isAnswered;
    return open > (isArriving ? 1 : 0);
  }

  /** `run` is called once, when the next answer of the connection has left, or never will. */
  onAnswered(socket: Socket, run: () => void): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    connection.onAnswered ??= [];
    connection.onAnswered.push(run);
  }

  /** When the latest answer of the connection left, of those whose request had arrived whole; before all times, if there was none. */
  answeredAt(socket: Socket): Milliseconds {
    return this.#connections.get(socket)?.answeredAt ?? Number.NEGATIVE_INFINITY;
  }

  #connectionOf(socket: Socket): Connection {
    const { settings } = this.#options;
    const { trustedProxies, trustedHops } = settings;
    const known = this.#connections.get(socket);
    if (known?.trustedProxies === trustedProxies && known.trustedHops === trustedHops) return known;
    const peer = known?.peer ?? peerOf(socket);
    const address = clientAddress(peer.address, undefined, settings);
    const identity = {
      trustedProxies,
      trustedHops,
      isTrusted: isTrustedProxy(peer.address, settings),
      client: { address, addressKey: limitKey(address) },
    };
    if (known !== undefined) return Object.assign(known, identity);
    const connection: Connection = {
      ...{ peer, ...identity },
      ...{ serving: undefined, opened: 0, unread: undefined, open: 0 },
      ...{ answeredAt: Number.NEGATIVE_INFINITY, onAnswered: undefined, pipelined: undefined },
    };
    this.#connections.set(socket, connection);
    return connection;
  }

  #forwarded({ peer, isTrusted, client }: Connection, forwardedFor: string | string[]): ClientIdentity {
    if (!isTrusted) {
      this.#warnOfProxy(peer);
      return client;
    }
    const joined = Array.isArray(forwardedFor) ? forwardedFor.join(',') : forwardedFor;
    const address = clientAddress(peer.address, joined, this.#options.settings);
    return { address, addressKey: limitKey(address) };
  }

  /** All clients of an untrusted proxy share one rate limit: warn once, with the setting that changes it. */
  #warnOfProxy({ address, isForwarded }: Peer): void {
    // The proxy has told the client's address already, before the first request.
    if (this.#hasWarned || isForwarded) return;
    this.#hasWarned = true;
    this.#options.log.warn(
      `X-Forwarded-For came from ${address}, which is not a trusted proxy, and is ignored: all its clients share one rate limit. ` +
        `If it is your proxy, set server.trusted_proxies: ["${address.replace(/^::ffff:/, '')}"].`,
    );
  }

  /** Reported at the end of the turn: the route, which gets the same event, completes the trace until then. */
  #noteEnd(context: RequestContext): void {
    const { clock, telemetry } = this.#options;
    const { request, response } = context;
    const end = context.answeredPastResponse;
    const wasDelivered = response.writableFinished && !context.wasCutOff;
    const status = end?.status ?? (wasDelivered ? response.statusCode : CLIENT_LEFT_STATUS);
    const endedAt = end?.at ?? clock.now();
    const connection = this.#connections.get(request.socket);
    if (connection !== undefined) leave(connection, context, endedAt);
    this.#ended.push(() =>
      telemetry.requestEnded({
        method: request.method ?? '-',
        path: context.path,
        route: context.match?.route.path ?? 'unknown',
        status,
        clientAddress: context.clientAddress,
        trace: context.trace,
        endedAt,
      }),
    );
    if (this.#ended.length === 1) clock.atEndOfTurn(this.#report);
  }

  readonly #report = (): void => {
    const ended = this.#ended;
    this.#ended = [];
    for (const report of ended) report();
  };
}

function leave(connection: Connection, context: RequestContext, at: Milliseconds): void {
  const { complete: hasArrived } = context.request;
  if (connection.serving === context) {
    connection.serving = undefined;
    connection.unread = hasArrived ? undefined : context.request;
  }
  connection.open -= 1;
  if (hasArrived) connection.answeredAt = at;
  connection.pipelined?.ended(context);
  const { onAnswered } = connection;
  if (onAnswered === undefined) return;
  connection.onAnswered = undefined;
  for (const run of onAnswered) run();
}

/** HTTP/1.0 has no 100 Continue: its clients would take it for the answer. */
function awaitsContinue({ httpVersion, headers }: IncomingMessage): boolean {
  return httpVersion === '1.1' && CONTINUE.test(headers.expect ?? '');
}

const ID_DIGITS = 24;
const DRAWN_BYTES = 3072;
/** The ids of clients that are taken over: they are shown in headers and logs. */
const VALID_ID = /^[\w.:-]{1,128}$/;

/** Random digits, drawn for many ids at once: one system call per id would cost more than the rest of it. */
let drawn = '';
let used = 0;

/** So many random hexadecimal digits: unguessable and unique. */
export function randomDigits(digits: number): string {
  if (used + digits > drawn.length) {
    drawn = randomBytes(DRAWN_BYTES).toString('hex');
    used = 0;
  }
  used += digits;
  return drawn.slice(used - digits, used);
}

/** `prefix_` and 24 of them. */
export function newId(prefix: string): string {
  return `${prefix}_${randomDigits(ID_DIGITS)}`;
}

/** The client's own id, if it is valid. */
function requestIdFrom(header: string | string[] | undefined): string {
  return typeof header === 'string' && VALID_ID.test(header) ? header : newId('req');
}
