/** Answers of /api/chat and /api/generate, whole or as lines. */
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
import { modelOf, parseJsonObject, renderToken } from '../rendering.ts';
import { type AnswerFormat, errorLine, metricsOf, type RenderedCall, timeOf } from './answer.ts';

export interface AnswerStyle {
  readonly format: AnswerFormat;
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
  { format, model }: AnswerStyle,
  { text, reasoning, toolCalls, logprobs, finishReason, usage }: GenerationResult,
  { answer, withLogprobs }: { readonly answer: AnswerContext; readonly withLogprobs: boolean },
): unknown {
  const indexed = toolCalls.map((call, index) => ({ ...call, index }));
  return {
    model: modelOf(model, answer),
    created_at: timeOf(answer.createdAt),
    ...format.content({ text, thinking: reasoning, calls: renderCalls(indexed, finishReason) }),
    done: true,
    ...format.end(
      { done_reason: doneReasonOf(finishReason) },
      metricsOf(usage, answer),
      withLogprobs ? { logprobs: renderLogprobs(logprobs) } : {},
    ),
  };
}

export const NDJSON = 'application/x-ndjson';

type Finish = Extract<GenerationEvent, { type: 'finish' }>;

/**
 * The lines of one streamed answer. It keeps the calls that the model is writing until they are whole, and writes them in their
 * order. The text that all lines share is made once, so that a token costs little.
 */
export class LineEncoder implements StreamEncoder {
  readonly contentType = NDJSON;
  readonly #answer: AnswerContext;
  /** Made with the first line. */
  #beginning: string | undefined;
  readonly #options: { readonly format: AnswerFormat; readonly model: string };
  readonly #closes: string;
  readonly #ends: string;
  readonly #withLogprobs: boolean;
  /** Begun and not written yet, in their order. */
  readonly #calls = new Map<number, IndexedCall & { arguments: string }>();

  constructor(options: {
    readonly format: AnswerFormat;
    /** As the client named it. */
    readonly model: string;
    readonly answer: AnswerContext;
    readonly withLogprobs: boolean;
  }) {
    const { format, model, answer, withLogprobs } = options;
    this.#answer = answer;
    this.#options = { format, model };
    this.#beginning = undefined;
    this.#closes = `${format.closes},"done":`;
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
        this.#appendArguments(event);
        return undefined;
      case 'finish':
        return this.#lastLines(event);
      default:
        throw event satisfies never;
    }
  }

  get #begins(): string {
    if (this.#beginning !== undefined) return this.#beginning;
    const { format, model } = this.#options;
    const head = { model: modelOf(model, this.#answer), created_at: timeOf(this.#answer.createdAt) };
    this.#beginning = `${JSON.stringify(head).slice(0, -1)},${format.opens}`;
    return this.#beginning;
  }

  /** `finish` has written the line with `done: true`. */
  end(): string {
    return '';
  }

  error(error: ServingError): string {
    return errorLine(error);
  }

  /** An empty text: clients append it and nothing changes. */
  heartbeat(): string {
    return `${this.#begins}""${this.#ends}`;
  }

  #textLine({ text, logprobs = [] }: Extract<GenerationEvent, { type: 'text' }>): string {
    const begun = this.#begins + JSON.stringify(text);
    if (!this.#withLogprobs) return begun + this.#ends;
    return `${begun}${this.#closes}false,"logprobs":${JSON.stringify(renderLogprobs(logprobs))}}\n`;
  }

  #appendArguments({ index, delta }: Extract<GenerationEvent, { type: 'tool-arguments' }>): void {
    const call = this.#calls.get(index);
    if (call !== undefined) call.arguments += delta;
    else if (delta.trim() !== '')
      throw new ServingError('backend_error', {
        message: 'The model’s backend sent arguments of a tool call that had ended.',
      });
  }

  /** Called when something else begins, as looking with every piece would cost too much. A call waits for those before it. */
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

/** Ollama has no reason for tool calls: clients look for the calls. */
function doneReasonOf(reason: Finish['reason']): 'stop' | 'length' | 'content_filter' {
  return reason === 'tool_calls' ? 'stop' : reason;
}

/** `index`: its position among the calls of the answer. */
interface IndexedCall extends ToolCall {
  readonly index: number;
}

/** Throws `backend_error` for a finished call whose arguments are no object: the client would never see that call. */
function renderCall({ index, id, name, arguments: text }: IndexedCall): RenderedCall {
  const values = parseJsonObject(text === '' ? '{}' : text);
  if (values !== undefined) return { id, function: { index, name, arguments: values } };
  throw new ServingError('backend_error', {
    message: `The model called ${JSON.stringify(name)} with arguments that are not a JSON object.`,
  });
}

/** The calls at the end of an answer, without one that was cut off by its length. */
function renderCalls(calls: readonly IndexedCall[], reason: FinishReason): readonly RenderedCall[] {
  return calls.flatMap((call, position) => {
    const mayBeWhole = call.arguments === '' && position < calls.length - 1;
    const isCut = reason === 'length' && !mayBeWhole && parseJsonObject(call.arguments) === undefined;
    return isCut ? [] : renderCall(call);
  });
}

function renderLogprobs(logprobs: readonly TokenLogprob[]) {
  return logprobs.map((token) => ({
    ...renderToken(token),
    ...(token.top.length > 0 && { top_logprobs: token.top.map(renderToken) }),
  }));
}
