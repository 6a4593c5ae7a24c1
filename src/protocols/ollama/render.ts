/** Answers of /api/chat and /api/generate, whole or in lines; and the one to a request that asks nothing. */

import { ServingError } from '../../core/errors.ts';
import type {
  FinishReason,
  GenerationEvent,
  GenerationRequest,
  GenerationResult,
  TokenLogprob,
  ToolCall,
} from '../../core/generation.ts';
import type { AnswerContext, AnswerRenderer, StreamEncoder } from '../protocol.ts';
import { parseJsonObject, renderToken } from '../rendering.ts';
import { type AnswerFormat, errorLine, metricsOf, type RenderedCall, timeOf } from './answer.ts';

export interface AnswerStyle {
  readonly form: AnswerFormat;
  /** As the client named it. */
  readonly model: string;
}

export function ollamaRenderer(style: AnswerStyle, { logprobs }: GenerationRequest): AnswerRenderer {
  const withLogprobs = logprobs !== undefined;
  return {
    whole: ([result], answer) => renderWhole(style, result as GenerationResult, { answer, withLogprobs }),
    stream: (answer) => new LineEncoder({ ...style, answer, withLogprobs }),
  };
}

function renderWhole(
  { form, model }: AnswerStyle,
  { text, reasoning, toolCalls, logprobs, finishReason, usage }: GenerationResult,
  { answer, withLogprobs }: { readonly answer: AnswerContext; readonly withLogprobs: boolean },
): unknown {
  const indexed = toolCalls.map((call, index) => ({ ...call, index }));
  return {
    model,
    created_at: timeOf(answer.createdAt),
    ...form.content({ text, thinking: reasoning, calls: renderCalls(indexed, finishReason) }),
    done: true,
    ...form.end(
      { done_reason: doneReasonOf(finishReason) },
      metricsOf(usage, answer),
      withLogprobs ? { logprobs: renderLogprobs(logprobs) } : {},
    ),
  };
}

/**
 * The lines of one streamed answer. Owned by it: keeps the calls that the model is writing until they are whole, and
 * writes them in their order. What does not change from line to line is written once, so that a token costs little.
 */

export const NDJSON = 'application/x-ndjson';

type Finish = Extract<GenerationEvent, { type: 'finish' }>;

export class LineEncoder implements StreamEncoder {
  readonly contentType = NDJSON;
  readonly #answer: AnswerContext;
  readonly #begins: string;
  readonly #closes: string;
  readonly #ends: string;
  readonly #withLogprobs: boolean;
  /** Begun and not written yet, in their order. */
  readonly #calls = new Map<number, IndexedCall & { arguments: string }>();

  constructor(options: {
    readonly form: AnswerFormat;
    /** As the client named it. */
    readonly model: string;
    readonly answer: AnswerContext;
    readonly withLogprobs: boolean;
  }) {
    const { form, model, answer, withLogprobs } = options;
    const head = JSON.stringify({ model, created_at: timeOf(answer.createdAt) }).slice(0, -1);
    this.#answer = answer;
    this.#begins = `${head},${form.opens}`;
    this.#closes = `${form.closes},"done":`;
    this.#ends = `${this.#closes}false}\n`;
    this.#withLogprobs = withLogprobs;
  }

  encode(event: GenerationEvent): string | undefined {
    switch (event.type) {
      case 'start':
        return undefined;
      case 'text':
        return this.#wholeCalls() + this.#textLine(event);
      case 'reasoning':
        return `${this.#wholeCalls()}${this.#begins}"","thinking":${JSON.stringify(event.text)}${this.#ends}`;
      case 'tool-call': {
        const before = this.#wholeCalls();
        this.#calls.set(event.index, { index: event.index, id: event.id, name: event.name, arguments: '' });
        return before === '' ? undefined : before;
      }
      case 'tool-arguments':
        this.#goOn(event);
        return undefined;
      case 'finish':
        return this.#lastLines(event);
      default:
        throw event satisfies never;
    }
  }

  /** The line with `done: true` has been written by then. */
  end(): string {
    return '';
  }

  error(error: ServingError): string {
    return errorLine(error);
  }

  /** A piece without text: clients add it and nothing changes. */
  heartbeat(): string {
    return `${this.#begins}""${this.#ends}`;
  }

  #textLine({ text, logprobs = [] }: Extract<GenerationEvent, { type: 'text' }>): string {
    const begun = this.#begins + JSON.stringify(text);
    if (!this.#withLogprobs) return begun + this.#ends;
    return `${begun}${this.#closes}false,"logprobs":${JSON.stringify(renderLogprobs(logprobs))}}\n`;
  }

  #goOn({ index, delta }: Extract<GenerationEvent, { type: 'tool-arguments' }>): void {
    const call = this.#calls.get(index);
    if (call !== undefined) call.arguments += delta;
    else if (delta.trim() !== '')
      throw new ServingError('backend_error', {
        message: 'The model’s backend went on with a call that was over.',
      });
  }

  /** Looked for when something else begins, not with every piece. Calls wait for those before them. */
  #wholeCalls(): string {
    let lines = '';
    for (const call of this.#calls.values()) {
      if (!isWhole(call.arguments)) break;
      this.#calls.delete(call.index);
      lines += this.#lineOf(renderCall(call));
    }
    return lines;
  }

  #lineOf(call: RenderedCall): string {
    return `${this.#begins}"","tool_calls":${JSON.stringify([call])}${this.#ends}`;
  }

  #lastLines({ reason, usage }: Finish): string {
    const calls = renderCalls([...this.#calls.values()], reason).map((call) => this.#lineOf(call));
    const end = { done_reason: doneReasonOf(reason), ...metricsOf(usage, this.#answer) };
    const last = `${this.#begins}""${this.#closes}true,${JSON.stringify(end).slice(1)}\n`;
    return calls.join('') + last;
  }
}

function isWhole(text: string): boolean {
  return text.trimEnd().endsWith('}') && parseJsonObject(text) !== undefined;
}

/** Calls are no reason of their own there: clients look whether there are any. */
function doneReasonOf(reason: Finish['reason']): 'stop' | 'length' | 'content_filter' {
  return reason === 'tool_calls' ? 'stop' : reason;
}

/** Tool calls as Ollama shows them: whole ones alone, their arguments as an object. One that the end of the answer cut off is none. */

/** By its place among the calls of the answer. */
interface IndexedCall extends ToolCall {
  readonly index: number;
}

/** Throws `backend_error` where a call is over and has no arguments that can be called with: nobody would hear of it. */
function renderCall({ index, id, name, arguments: text }: IndexedCall): RenderedCall {
  const values = parseJsonObject(text === '' ? '{}' : text);
  if (values !== undefined) return { id, function: { index, name, arguments: values } };
  throw new ServingError('backend_error', {
    message: `The model called ${JSON.stringify(name)} with arguments that are no JSON object.`,
  });
}

/** The calls that an answer ended with; one that its length cut off is none. */
function renderCalls(calls: readonly IndexedCall[], reason: FinishReason): readonly RenderedCall[] {
  return calls.flatMap((call, position) => {
    const mayBeWhole = call.arguments === '' && position < calls.length - 1;
    const isCut = reason === 'length' && !mayBeWhole && parseJsonObject(call.arguments) === undefined;
    return isCut ? [] : renderCall(call);
  });
}

/** Log-probabilities as Ollama shows them. */

function renderLogprobs(logprobs: readonly TokenLogprob[]) {
  return logprobs.map((token) => ({
    ...renderToken(token),
    ...(token.top.length > 0 && { top_logprobs: token.top.map(renderToken) }),
  }));
}
