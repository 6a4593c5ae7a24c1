/** Parses bodies of POST /v1/responses as the edge would, for a server with one model `m`. */
import type { ServingError } from '../../src/core/errors.ts';
import type { GenerationEvent, Message } from '../../src/core/generation.ts';
import { respondRoute } from '../../src/protocols/openai/responses/route.ts';
import type { ParseContext } from '../../src/protocols/protocol.ts';
import { ANSWER, parseWith, refusalWith, streamOf, wholeOf } from './protocol-answers.ts';

export function parseResponses(fields: object, changes: Partial<ParseContext> = {}) {
  return parseWith(respondRoute, { model: 'm', input: 'hi', ...fields }, changes);
}

export function responsesRefusal(fields: object) {
  return refusalWith(respondRoute, { model: 'm', input: 'hi', ...fields });
}

export function messagesOf(input: unknown, fields: object = {}): readonly Message[] {
  const { request } = parseResponses({ input, ...fields });
  if (request.input.kind !== 'chat') throw new Error('no chat');
  return request.input.messages;
}

/** The parts of a response object that tests look at. */
export interface ResponseSeen {
  readonly id: string;
  readonly status: string;
  readonly error: unknown;
  readonly incomplete_details: unknown;
  readonly usage: unknown;
  readonly output: readonly ItemSeen[];
}

export interface ItemSeen {
  readonly id: string;
  readonly type: string;
  readonly status?: string;
  readonly content?: readonly { readonly text: string }[];
  readonly arguments?: string;
}

export interface EventSeen {
  readonly type: string;
  readonly sequence_number: number;
  readonly output_index?: number;
  readonly item?: ItemSeen;
  readonly item_id?: string;
  readonly delta?: string;
  readonly text?: string;
  readonly arguments?: string;
  readonly response?: ResponseSeen;
  readonly error?: unknown;
}

export async function wholeResponse(
  fields: object,
  events: readonly GenerationEvent[],
): Promise<ResponseSeen & Readonly<Record<string, unknown>>> {
  const whole = await wholeOf(parseResponses(fields).renderer, events);
  return whole as ResponseSeen & Readonly<Record<string, unknown>>;
}

export function streamedEvents(
  events: readonly GenerationEvent[],
  fields: object = {},
): readonly EventSeen[] {
  return eventsOf(streamOf(parseResponses({ stream: true, ...fields }).renderer, events));
}

/** The events that come where the stream fails after these. */
export function failedEvents(events: readonly GenerationEvent[], error: ServingError): readonly EventSeen[] {
  const encoder = parseResponses({ stream: true }).renderer.stream(ANSWER);
  const before = events.map((event) => encoder.encode(event, 0) ?? '').join('');
  return eventsOf(before + encoder.error(error, 'req_1'));
}

/** Each event is its name, its data and a blank line; the name is that in the data. */
function eventsOf(text: string): readonly EventSeen[] {
  return text
    .split('\n\n')
    .filter((lines) => lines !== '')
    .map((lines) => {
      const [, name = '', data = ''] = /^event: (.*)\ndata: (.*)$/.exec(lines) ?? [];
      const event = JSON.parse(data) as EventSeen;
      if (event.type !== name) throw new Error(`${event.type} is called ${name}`);
      return event;
    });
}
