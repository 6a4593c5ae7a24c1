/**
 * Turns the lines of one streamed answer into events. Owned by one generation. Invariant: after `finish` was pushed
 * nothing else is, and an answer without its last line (`done: true`) is an error.
 */
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import type { EventSink } from '../../upstream/event-stream.ts';
import { asCount, asObject, asText, type Loose } from '../../upstream/lenient.ts';
import { type ErrorContext, promptWasCut, streamFailure } from './upstream-error.ts';

export class AnswerReader {
  readonly #sink: EventSink<GenerationEvent>;
  readonly #context: ErrorContext;
  readonly #onFinish: () => void;
  #finished = false;

  constructor(options: {
    readonly sink: EventSink<GenerationEvent>;
    readonly context: ErrorContext;
    readonly onFinish: () => void;
  }) {
    this.#sink = options.sink;
    this.#context = options.context;
    this.#onFinish = options.onFinish;
  }

  line(line: string): void {
    if (this.#finished || line.trim() === '') return;
    const answer = parse(line);
    const error = asText(answer.error);
    if (error !== undefined) throw streamFailure(error, this.#context);
    const message = asObject(answer.message);
    const thought = asText(message.thinking) ?? asText(answer.thinking);
    if (thought !== undefined) this.#sink.push({ type: 'reasoning', text: thought });
    const text = asText(message.content) ?? asText(answer.response);
    if (text !== undefined) this.#sink.push({ type: 'text', text });
    if (answer.done === true) this.#finish(answer);
  }

  /** The body is over. */
  end(): void {
    if (this.#finished) return;
    throw new ServingError('backend_error', {
      message: 'The model’s backend ended its answer before it was complete.',
    });
  }

  #finish(answer: Loose): void {
    // Counts that are zero are left away by the server.
    const promptTokens = asCount(answer.prompt_eval_count) ?? 0;
    const { contextSize } = this.#context;
    if (contextSize !== undefined && promptTokens >= contextSize)
      throw promptWasCut(promptTokens, contextSize);
    this.#finished = true;
    this.#sink.push({
      type: 'finish',
      reason: answer.done_reason === 'length' ? 'length' : 'stop',
      usage: { promptTokens, completionTokens: asCount(answer.eval_count) ?? 0, cachedTokens: 0 },
    });
    this.#onFinish();
  }
}

function parse(line: string): Loose {
  try {
    return asObject(JSON.parse(line));
  } catch (cause) {
    throw new ServingError('backend_error', {
      message: 'The model’s backend answered something that is not JSON.',
      cause,
    });
  }
}
