/**
 * The output of a streamed response, item by item. Owned by one stream. Invariant: an item keeps its place, opens once and
 * closes once: text and reasoning when something else begins, calls with the answer, since the pieces of several may come
 * in turns.
 */
import type { GenerationEvent, RequestId } from '../../../core/generation.ts';
import type { AnsweredAs } from './answered-as.ts';
import type { NumberedEvents } from './numbered-events.ts';
import { originOf } from './offered-tools.ts';
import type { ItemStatus, OutputItemBody } from './output-items.ts';
import {
  type StreamedItem,
  type StreamedMessage,
  type StreamedText,
  streamCall,
  streamCustomCall,
  streamMessage,
  streamReasoning,
  streamSummary,
} from './streamed-items.ts';

export interface StreamedOutput {
  /** Both give what is to be written. */
  add(event: OutputEvent): string;
  /** All that is open ends; what comes last, with that status. */
  close(statusOfLast: ItemStatus): string;
  /** What has come so far. */
  items(statusOfOpen: ItemStatus): OutputItemBody[];
}

export type OutputEvent = Exclude<GenerationEvent, { readonly type: 'start' | 'finish' }>;

interface Entry {
  readonly item: StreamedItem;
  closedAs: ItemStatus | undefined;
}

export function streamedOutput(
  events: NumberedEvents,
  request: RequestId,
  answered: AnsweredAs,
): StreamedOutput {
  const entries: Entry[] = [];
  const calls = new Map<number, StreamedText>();
  let message: StreamedMessage | undefined;
  let thoughts: StreamedText | undefined;
  let hasAnswer = false;

  const place = () => ({ events, request, index: entries.length });
  const open = (item: StreamedItem) => {
    entries.push({ item, closedAs: undefined });
    return item.opening;
  };
  const close = (entry: Entry | undefined, status: ItemStatus) => {
    if (entry === undefined || entry.closedAs !== undefined) return '';
    entry.closedAs = status;
    return entry.item.close(status);
  };
  /** Text and reasoning only grow while they are the last. */
  const closeText = () => {
    const closed = message === undefined && thoughts === undefined ? '' : close(entries.at(-1), 'completed');
    message = undefined;
    thoughts = undefined;
    return closed;
  };
  const openMessage = () => {
    const closed = closeText();
    hasAnswer = true;
    message = streamMessage(place());
    return { message, before: closed + open(message) };
  };

  return {
    add: (event) => {
      switch (event.type) {
        case 'text': {
          if (message !== undefined) return message.add(event.text, event.logprobs);
          const opened = openMessage();
          return opened.before + opened.message.add(event.text, event.logprobs);
        }
        case 'reasoning': {
          if (thoughts !== undefined) return thoughts.add(event.text);
          const closed = closeText();
          thoughts = answered.summarises ? streamSummary(place()) : streamReasoning(place());
          return closed + open(thoughts) + thoughts.add(event.text);
        }
        case 'tool-call': {
          const closed = closeText();
          hasAnswer = true;
          const origin = originOf(answered.tools, event.name);
          const stream = origin.kind === 'function' ? streamCall : streamCustomCall;
          const call = stream(place(), event.id, origin);
          calls.set(event.index, call);
          return closed + open(call);
        }
        case 'tool-arguments':
          return event.delta === '' ? '' : (calls.get(event.index)?.add(event.delta) ?? '');
        default:
          throw event satisfies never;
      }
    },
    close: (statusOfLast) => {
      const opened = hasAnswer ? '' : openMessage().before;
      const last = entries.at(-1);
      return (
        opened + entries.map((entry) => close(entry, entry === last ? statusOfLast : 'completed')).join('')
      );
    },
    items: (statusOfOpen) => entries.map(({ item, closedAs }) => item.body(closedAs ?? statusOfOpen)),
  };
}
