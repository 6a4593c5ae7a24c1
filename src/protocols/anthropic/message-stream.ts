/**
 * A message as a stream of events. Invariant: `message_start` comes first, in front of the first event that says something, and
 * `message_stop` only where the model has finished.
 */
import type { GenerationEvent, GenerationRequest } from '../../core/generation.ts';
import type { StreamEncoder } from '../generation-route.ts';
import { eventLines, SSE } from '../server-sent-events.ts';
import { ContentBlocks } from './content-blocks.ts';
import { anthropicErrors } from './errors.ts';
import {
  type AnswerSettings,
  messageHead,
  renderMessageUsage,
  renderStop,
  renderUsage,
} from './message-parts.ts';

const PING = eventLines({ type: 'ping' }, 'ping');
const END = eventLines({ type: 'message_stop' }, 'message_stop');

export function messageStream(request: GenerationRequest, { hidesThoughts }: AnswerSettings): StreamEncoder {
  const blocks = new ContentBlocks();
  /** As far as the backend tells it before it answers; the truth comes with the end. */
  let usage = { promptTokens: 0, completionTokens: 0, cachedTokens: 0 };
  let started = false;

  const begin = () => {
    started = true;
    const message = Object.assign(messageHead(request), {
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: renderMessageUsage(usage),
    });
    return eventLines({ type: 'message_start', message }, 'message_start');
  };

  const encodeEvent = (event: Exclude<GenerationEvent, { readonly type: 'start' }>): string => {
    switch (event.type) {
      case 'text':
        return blocks.say('text', event.text);
      case 'reasoning':
        return blocks.say('thinking', hidesThoughts ? '' : event.text);
      case 'tool-call':
        return blocks.call(event.index, event);
      case 'tool-arguments':
        return blocks.arguments(event.index, event.delta);
      case 'finish': {
        const { reason, matchedStop } = event;
        const delta = renderStop(reason, matchedStop);
        const last = { type: 'message_delta', delta, usage: renderUsage(event.usage) };
        return blocks.close() + eventLines(last, 'message_delta');
      }
      default:
        throw event satisfies never;
    }
  };

  return {
    contentType: SSE,
    encode: (event) => {
      if (event.type === 'start') {
        const { promptTokens = 0, cachedTokens = 0 } = event;
        usage = { promptTokens, completionTokens: 0, cachedTokens };
        return undefined;
      }
      const opening = started ? '' : begin();
      const events = opening + encodeEvent(event);
      return events === '' ? undefined : events;
    },
    end: () => END,
    error: (error, requestId) => eventLines(anthropicErrors.render(error, requestId).body, 'error'),
    heartbeat: () => PING,
  };
}
