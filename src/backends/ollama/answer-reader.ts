/**
 * Turns the lines of one streamed answer into events. Owned by one generation. Invariant: after `finish` was pushed
 * nothing else is, and an answer without its last line (`done: true`) is an error. A call of a tool comes whole.
 */

import type { GenerationSink } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent, LikelyToken, TokenLogprob } from '../../core/generation.ts';
import { asArray, asCount, asObject, asText, isObject, type UntypedObject } from '../../upstream/untyped.ts';
import { type ErrorContext, logprobsUnsupported, promptTruncated, streamError } from './errors.ts';

interface AnswerReaderOptions {
  readonly sink: Pick<GenerationSink, 'event'>;
  readonly context: ErrorContext;
  /** Where they are asked for. */
  readonly logprobs: LogprobsBuffer | undefined;
  /** Calls that are new have others. */
  readonly takenCallIds: ReadonlySet<string>;
  readonly onFinish: () => void;
}

const INCOMPLETE = 'The model’s backend ended its answer before it was complete.';
/** Nothing was generated; no reason at all is told when the process behind the server went away. */
const FAILED_REASONS: readonly string[] = ['load', 'unload'];

export class OllamaAnswerReader {
  readonly #sink: Pick<GenerationSink, 'event'>;
  readonly #context: ErrorContext;
  readonly #logprobs: LogprobsBuffer | undefined;
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
    const answer = asObject(parse(line));
    const error = answer.error ?? undefined;
    if (error !== undefined) throw streamError(asText(error) ?? JSON.stringify(error), this.#context);
    this.#logprobs?.add(answer.logprobs);
    const message = asObject(answer.message);
    const thought = asText(message.thinking) ?? asText(answer.thinking);
    const text = asText(message.content) ?? asText(answer.response);
    const calls = callsOf(message);
    if (thought !== undefined || text !== undefined || calls.length > 0) this.#logprobs?.rejectIfMissing();
    if (thought !== undefined) this.#push({ type: 'reasoning', text: thought });
    if (text !== undefined) this.#push({ type: 'text', text, ...this.#logprobs?.take() });
    for (const call of calls) this.#call(call);
    if (thought !== undefined || calls.length > 0) this.#logprobs?.clear();
    if (answer.done === true) this.#finish(answer);
  }

  /** The body is over. */
  end(): void {
    if (this.#finished) return;
    throw new ServingError('backend_error', { message: INCOMPLETE });
  }

  #call({ id, name, text }: Call): void {
    const index = this.#calls;
    this.#calls += 1;
    this.#push({ type: 'tool-call', index, id: this.#newCallId(id), name });
    this.#push({ type: 'tool-arguments', index, delta: text });
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
    if (!this.#started) this.#sink.event({ type: 'start' });
    this.#started = true;
    this.#sink.event(event);
  }

  #finish(answer: UntypedObject): void {
    const told = asText(answer.done_reason);
    if (told === undefined || FAILED_REASONS.includes(told)) {
      const cause = new Error(`Ollama ended with ${told ?? 'no reason'}`);
      throw new ServingError('backend_error', { message: INCOMPLETE, cause });
    }
    // Counts that are zero are left away by the server.
    const promptTokens = asCount(answer.prompt_eval_count) ?? 0;
    const { contextSize } = this.#context;
    if (contextSize !== undefined && promptTokens >= contextSize)
      throw promptTruncated(promptTokens, contextSize);
    this.#finished = true;
    const completionTokens = asCount(answer.eval_count) ?? 0;
    const ended = this.#calls > 0 ? 'tool_calls' : 'stop';
    // What came after the end of the context was written without the beginning of the conversation.
    const outgrew = contextSize !== undefined && promptTokens + completionTokens > contextSize;
    const isCut = told === 'length' || (outgrew && ended === 'stop');
    this.#push({
      type: 'finish',
      reason: isCut ? 'length' : ended,
      usage: { promptTokens, completionTokens, cachedTokens: 0 },
    });
    this.#onFinish();
  }
}

interface Call {
  readonly id: string | undefined;
  readonly name: string;
  readonly text: string;
}

function callsOf(message: UntypedObject): readonly Call[] {
  return asArray(message.tool_calls)
    .map(asObject)
    .map(({ id, function: called }) => {
      const { name: told, arguments: values } = asObject(called);
      const name = asText(told);
      if (name === undefined) {
        throw new ServingError('backend_error', {
          message: 'The model’s backend sent the call of a tool without its name.',
        });
      }
      return { id: asText(id), name, text: argumentsOf(values, name) };
    });
}

/** An object; some that stand in for the server give its text. */
function argumentsOf(values: unknown, name: string): string {
  const read = typeof values === 'string' && values.trim() !== '' ? parse(values) : asObject(values);
  if (isObject(read)) return JSON.stringify(read);
  throw new ServingError('backend_error', {
    message: `The model’s backend called ${JSON.stringify(name)} with arguments that are no object.`,
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ServingError('backend_error', {
      message: 'The model’s backend answered something that is not JSON.',
      cause,
    });
  }
}

/**
 * The log-probabilities of one answer, which may come before the text that they are of. Owned by one generation. Releases
 * that do not know them are silent about it: then the first piece of the answer has none, and nothing of it is told.
 */

export class LogprobsBuffer {
  readonly #onSilence: () => void;
  #waiting: TokenLogprob[] = [];
  #came = false;

  constructor(onSilence: () => void) {
    this.#onSilence = onSilence;
  }

  add(values: unknown): void {
    const tokens = validEntries(values);
    this.#came ||= tokens.length > 0;
    this.#waiting.push(
      ...tokens.map((token) => ({
        ...likelyToken(token),
        top: validEntries(token.top_logprobs).map(likelyToken),
      })),
    );
  }

  /** Of the text that is told now. */
  take(): { readonly logprobs?: readonly TokenLogprob[] } {
    const logprobs = this.#waiting;
    this.clear();
    return logprobs.length === 0 ? {} : { logprobs };
  }

  /** Those that came were of a thought, or of a call. */
  clear(): void {
    this.#waiting = [];
  }

  /** Before the first piece of the answer is told. Throws. */
  rejectIfMissing(): void {
    if (this.#came) return;
    this.#onSilence();
    throw logprobsUnsupported();
  }
}

interface TokenEntry extends UntypedObject {
  readonly logprob: number;
}

function validEntries(values: unknown): TokenEntry[] {
  const isTold = (value: UntypedObject): value is TokenEntry => typeof value.logprob === 'number';
  return asArray(values).map(asObject).filter(isTold);
}

/** Ids are not told; nor is the text of a token that has none. */
function likelyToken({ token, bytes, logprob }: TokenEntry): LikelyToken {
  const known = Array.isArray(bytes) ? (bytes as number[]) : new TextEncoder().encode(asText(token) ?? '');
  return { bytes: [...known], logprob };
}
