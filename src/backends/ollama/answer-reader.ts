/**
 * Turns the lines of one streamed answer into events. Owned by one generation. Invariant: after `finish` was pushed
 * nothing else is, and an answer without its last line (`done: true`) is an error. A call of a tool comes whole.
 */
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent } from '../../core/generation.ts';
import type { EventSink } from '../../upstream/event-stream.ts';
import { asArray, asCount, asObject, asText, type Loose } from '../../upstream/lenient.ts';
import type { AnswerLogprobs } from './answer-logprobs.ts';
import { type ErrorContext, promptWasCut, streamFailure } from './upstream-error.ts';

export interface AnswerReaderOptions {
  readonly sink: EventSink<GenerationEvent>;
  readonly context: ErrorContext;
  /** Where they are asked for. */
  readonly logprobs: AnswerLogprobs | undefined;
  /** Calls that are new have others. */
  readonly takenCallIds: ReadonlySet<string>;
  readonly onFinish: () => void;
}

export class AnswerReader {
  readonly #sink: EventSink<GenerationEvent>;
  readonly #context: ErrorContext;
  readonly #logprobs: AnswerLogprobs | undefined;
  readonly #onFinish: () => void;
  readonly #callIds: Set<string>;
  #calls = 0;
  #started = false;
  #finished = false;

  constructor(options: AnswerReaderOptions) {
    this.#sink = options.sink;
    this.#context = options.context;
    this.#logprobs = options.logprobs;
    this.#onFinish = options.onFinish;
    this.#callIds = new Set(options.takenCallIds);
  }

  line(line: string): void {
    if (this.#finished || line.trim() === '') return;
    const answer = parse(line);
    const error = asText(answer.error);
    if (error !== undefined) throw streamFailure(error, this.#context);
    this.#logprobs?.take(answer.logprobs);
    const message = asObject(answer.message);
    const thought = asText(message.thinking) ?? asText(answer.thinking);
    const text = asText(message.content) ?? asText(answer.response);
    const calls = callsOf(message);
    if (thought !== undefined || text !== undefined || calls.length > 0) this.#logprobs?.refuseSilence();
    if (thought !== undefined) this.#push({ type: 'reasoning', text: thought });
    if (text !== undefined) this.#push({ type: 'text', text, ...this.#logprobs?.ofText() });
    for (const call of calls) this.#call(call);
    if (thought !== undefined || calls.length > 0) this.#logprobs?.forget();
    if (answer.done === true) this.#finish(answer);
  }

  /** The body is over. */
  end(): void {
    if (this.#finished) return;
    throw new ServingError('backend_error', {
      message: 'The model’s backend ended its answer before it was complete.',
    });
  }

  #call({ id, name, values }: Call): void {
    const index = this.#calls;
    this.#calls += 1;
    this.#push({ type: 'tool-call', index, id: this.#newCallId(id), name });
    this.#push({ type: 'tool-arguments', index, delta: JSON.stringify(values) });
  }

  /** Old releases give none. */
  #newCallId(given: string | undefined): string {
    let id = given;
    for (let number = this.#callIds.size; id === undefined || this.#callIds.has(id); number += 1)
      id = `call_${number}`;
    this.#callIds.add(id);
    return id;
  }

  /** Nothing is told before the first piece: what is refused then may be asked again without. */
  #push(event: GenerationEvent): void {
    if (!this.#started) this.#sink.push({ type: 'start' });
    this.#started = true;
    this.#sink.push(event);
  }

  #finish(answer: Loose): void {
    // Counts that are zero are left away by the server.
    const promptTokens = asCount(answer.prompt_eval_count) ?? 0;
    const { contextSize } = this.#context;
    if (contextSize !== undefined && promptTokens >= contextSize)
      throw promptWasCut(promptTokens, contextSize);
    this.#finished = true;
    const ended = this.#calls > 0 ? 'tool_calls' : 'stop';
    this.#push({
      type: 'finish',
      reason: answer.done_reason === 'length' ? 'length' : ended,
      usage: { promptTokens, completionTokens: asCount(answer.eval_count) ?? 0, cachedTokens: 0 },
    });
    this.#onFinish();
  }
}

interface Call {
  readonly id: string | undefined;
  readonly name: string;
  readonly values: Loose;
}

function callsOf(message: Loose): readonly Call[] {
  return asArray(message.tool_calls)
    .map(asObject)
    .flatMap(({ id, function: called }) => {
      const { name, arguments: values } = asObject(called);
      const known = asText(name);
      return known === undefined ? [] : { id: asText(id), name: known, values: asObject(values) };
    });
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
