/**
 * The lines of one streamed answer. Owned by it: keeps the calls that the model is writing until they are whole, and
 * writes them in their order. What does not change from line to line is written once, so that a token costs little.
 */
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import type { AnswerContext, StreamEncoder } from '../generation-route.ts';
import { objectIn } from '../object-in.ts';
import type { AnswerForm } from './answer-form.ts';
import { errorLine } from './errors.ts';
import { renderLogprobs } from './render-logprobs.ts';
import { type IndexedCall, type RenderedCall, renderCall, renderCalls } from './render-tool-calls.ts';
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
  /** Begun and not written yet, in their order. */
  readonly #calls = new Map<number, IndexedCall & { arguments: string }>();

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
  return text.trimEnd().endsWith('}') && objectIn(text) !== undefined;
}

/** Calls are no reason of their own there: clients look whether there are any. */
export function doneReasonOf(reason: Finish['reason']): 'stop' | 'length' | 'content_filter' {
  return reason === 'tool_calls' ? 'stop' : reason;
}
