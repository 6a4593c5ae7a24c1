/**
 * The lines of one streamed answer. Owned by it: keeps the call that the model is writing until it is whole. What does not
 * change from line to line is written once, so that a token costs little.
 */
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import type { AnswerContext, StreamEncoder } from '../generation-route.ts';
import type { AnswerForm } from './answer-form.ts';
import { errorLine } from './errors.ts';
import { renderLogprobs } from './render-logprobs.ts';
import { type RenderedCall, renderCall, renderLastCall } from './render-tool-calls.ts';
import { metricsOf, timeOf } from './timings.ts';

export const NDJSON = 'application/x-ndjson';

type Finish = Extract<GenerationEvent, { type: 'finish' }>;

export class LineEncoder implements StreamEncoder {
  readonly contentType = NDJSON;
  readonly #answer: AnswerContext;
  readonly #begins: string;
  readonly #closes: string;
  readonly #ends: string;
  readonly #withLogprobs: boolean;
  #call:
    | { readonly index: number; readonly id: string; readonly name: string; arguments: string }
    | undefined;

  constructor(options: {
    readonly form: AnswerForm;
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
        return this.#callLine() + this.#textLine(event);
      case 'reasoning':
        return `${this.#callLine()}${this.#begins}"","thinking":${JSON.stringify(event.text)}${this.#ends}`;
      case 'tool-call': {
        const before = this.#callLine();
        this.#call = { index: event.index, id: event.id, name: event.name, arguments: '' };
        return before === '' ? undefined : before;
      }
      case 'tool-arguments':
        if (event.index !== this.#call?.index)
          throw new ServingError('backend_error', {
            message: 'The model’s backend went on with a call that was over.',
          });
        this.#call.arguments += event.delta;
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

  /** Of the call that is whole now, if one was being written. */
  #callLine(): string {
    if (this.#call === undefined) return '';
    const call = renderCall(this.#call, this.#call.index);
    this.#call = undefined;
    return this.#lineOf(call);
  }

  #lineOf(call: RenderedCall): string {
    return `${this.#begins}"","tool_calls":${JSON.stringify([call])}${this.#ends}`;
  }

  #lastLines({ reason, usage }: Finish): string {
    const call = this.#call && renderLastCall(this.#call, this.#call.index, reason);
    const end = { done_reason: doneReasonOf(reason), ...metricsOf(usage, this.#answer.timings()) };
    const last = `${this.#begins}""${this.#closes}true,${JSON.stringify(end).slice(1)}\n`;
    return call === undefined ? last : this.#lineOf(call) + last;
  }
}

/** Calls are no reason of their own there: clients look whether there are any. */
export function doneReasonOf(reason: Finish['reason']): 'stop' | 'length' | 'content_filter' {
  return reason === 'tool_calls' ? 'stop' : reason;
}
