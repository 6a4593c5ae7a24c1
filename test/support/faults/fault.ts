/** What a fault is, and the pieces that several of them are made of. */
import type { ErrorCode } from '../../../src/core/errors.ts';
import type { FailureCause } from '../../../src/core/failure.ts';
import type { Reply, StreamReply } from '../stand-ins/stand-in-server.ts';
import { type Played, type Response, streamHeaders } from './response.ts';

/** What the server speaks. */
export type Wire = 'openai-compatible' | 'ollama';

/**
 * `before`: the client can have nothing of the answer. `during`: a stream has begun. `harmless`: the answer is complete.
 * `rejected`: the server refuses the request itself, which is the answer.
 */
type Phase = 'before' | 'during' | 'harmless' | 'rejected';

export interface Fault {
  /** Of docs/reliability.md. */
  readonly title: string;
  readonly phase: Phase;
  /** What it may be called; empty where nothing has failed. */
  readonly causes: readonly FailureCause[];
  /** Of a request that has no other target to go to. Absent where it is answered. */
  readonly code?: ErrorCode;
  /** Absent: both. */
  readonly wire?: Wire;
  /** A whole answer does not have it. */
  readonly inStreamsOnly?: boolean;
  /** The answer is complete, but not the usual one. */
  readonly isOther?: boolean;
  /** Megabytes each time: asked for less often. */
  readonly isHeavy?: boolean;
  readonly strike: (response: Response, reply: Played, about: About) => Promise<void> | void;
}

export interface About {
  readonly wire: Wire;
  /** A body with the server's own words for a failure. */
  readonly serverError: string;
}

/** Frames of a stream that come before a fault in its middle. */
export const FRAMES_BEFORE = 4;

export function status(
  code: number,
  what: string,
  cause: FailureCause,
  becomes: ErrorCode,
  headers: Readonly<Record<string, string>> = {},
): Fault {
  return {
    title: `Status ${code}: ${what}`,
    phase: 'before',
    causes: [cause],
    code: becomes,
    strike: (response, _reply, { serverError }) =>
      response.whole({ status: code, headers, body: serverError }),
  };
}

/** After the first part of the answer. */
export function during(
  title: string,
  causes: readonly FailureCause[],
  then: (response: Response, reply: Played, about: About) => Promise<void> | void,
): Fault {
  return {
    title,
    phase: 'during',
    causes,
    code: 'backend_error',
    strike: async (response, reply, about) => {
      response.head(200, headersOf(reply));
      if ('frames' in reply) await response.frames(reply.frames.slice(0, FRAMES_BEFORE));
      else response.raw(reply.body.slice(0, reply.body.length / 2));
      await then(response, reply, about);
    },
  };
}

/** Everything comes, and a frame between. */
export async function withInserted(response: Response, reply: Played, frame: string): Promise<void> {
  if (!('frames' in reply)) return response.send(reply);
  const frames = [...reply.frames.slice(0, FRAMES_BEFORE), frame, ...reply.frames.slice(FRAMES_BEFORE)];
  await response.send({ ...reply, frames });
}

export function says(wire: Wire, message: string, type: string): string {
  return JSON.stringify(wire === 'ollama' ? { error: message } : { error: { message, type, param: null } });
}

export function headersOf(reply: Played): Record<string, string> {
  if ('frames' in reply) return streamHeaders(reply);
  return { ...plainHeaders(reply), ...lengthOf(Buffer.byteLength(reply.body)) };
}

/** Without those that frame the body. */
export function plainHeaders(reply: Played): Record<string, string> {
  return 'frames' in reply
    ? { ...reply.headers, 'content-type': reply.contentType }
    : { 'content-type': 'application/json', ...reply.headers };
}

export function lengthOf(bytes: number): Record<string, string> {
  return { 'content-length': String(bytes) };
}

export function bodyOf(reply: Reply | StreamReply): Buffer {
  return Buffer.from('frames' in reply ? [...reply.frames, ...reply.ending].join('') : reply.body);
}
