/** What the edge keeps of each request from its first hook to its last byte. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { ServingError } from '../core/errors.ts';
import type { Receipt } from '../core/receipt.ts';
import { fieldIn } from '../protocols/field-names.ts';
import type { FieldNames } from '../protocols/route-base.ts';

export interface RequestScope {
  readonly receipt: Receipt;
  readonly clientAddress: string;
  /** Under this name the client is limited and gets its share of the slots. */
  readonly clientId: string;
  /** Node's own response; closes when the last byte is out or the connection is gone. */
  readonly response: ServerResponse;
  /** Whether the server is shutting down: then this is the last answer on its connection. */
  readonly leaving: () => boolean;
  /** As it came; 0 while it has not been read. */
  bodyBytes?: number;
  /** The client sends its body only after a 100 (Expect: 100-continue), which has not been sent yet. */
  awaitsContinue: boolean;
  /** What its route calls fields, where that is not what they are called natively. */
  fieldNames?: FieldNames | undefined;
  /** A second name under which its id is told. */
  requestIdHeader?: string | undefined;
  /** Called with the error that refuses the request, before its headers are sent. */
  onRefusal?: ((error: ServingError) => void) | undefined;
  /** Set when the answer was written to the socket past the response. */
  answeredPastResponse?: { readonly status: number; readonly at: Milliseconds };
}

/** The request that each connection is serving at the moment. */
export type OpenRequests = WeakMap<Socket, RequestScope>;

/** What could not be honoured and was dropped, in the words of the route. */
export const DROPPED_HEADER = 'X-Dropped-Parameters';

declare module 'fastify' {
  interface FastifyRequest {
    scope: RequestScope;
  }
}

export function pathOf(request: Pick<FastifyRequest, 'url'>): string {
  return request.url.split('?', 1)[0] ?? '';
}

/** The path of the route that answers, however the client spelled it; as spelled where none does. */
export function routePathOf(request: FastifyRequest): string {
  return request.is404 ? pathOf(request) : (request.routeOptions.url ?? pathOf(request));
}

/**
 * The headers that every response carries, and the time in the queue where it is known by now: after the grant, or when
 * waiting has ended without one. Time to the headers, in milliseconds with two decimals. A client that keeps its connection
 * needs `Connection: close` before the server ends: its next request would meet a closed one.
 */
export function stampHeaders(reply: FastifyReply, clock: Clock): void {
  const { receipt, fieldNames = {}, requestIdHeader, leaving } = reply.request.scope;
  const { enqueuedAt, dispatchedAt, endedAt, droppedFields } = receipt;
  const leftQueueAt = dispatchedAt ?? endedAt;
  if (enqueuedAt !== undefined && leftQueueAt !== undefined)
    reply.header('Server-Timing', `queue;dur=${formatMs(leftQueueAt - enqueuedAt)}`);
  if (droppedFields !== undefined && droppedFields.length > 0)
    reply.header(DROPPED_HEADER, droppedFields.map((field) => fieldIn(fieldNames, field)).join(', '));
  if (requestIdHeader !== undefined) reply.header(requestIdHeader, receipt.requestId);
  if (leaving()) reply.header('Connection', 'close');
  reply.header('X-Request-Id', receipt.requestId);
  reply.header('X-Response-Time-Ms', formatMs(clock.now() - receipt.receivedAt));
}

export function formatMs(milliseconds: number): string {
  return Math.max(0, milliseconds).toFixed(2);
}
