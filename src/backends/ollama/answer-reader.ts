/**
 * Turns the lines of one streamed answer into events. Owned by one generation. Nothing follows `finish`; an answer without its
 * last line (`done: true`) is an error. A tool call comes in one piece.
 */
import type { GenerationSink } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent, LikelyToken, TokenLogprob } from '../../core/generation.ts';
import { MalformedEvents } from '../../upstream/malformed-events.ts';
import { asArray, asCount, asObject, asText, isObject, type UntypedObject } from '../../upstream/untyped.ts';
import { type ErrorContext, logprobsUnsupported, promptTruncated, streamError } from './errors.ts';

interface AnswerReaderOptions {
  readonly sink: Pick<GenerationSink, 'event'>;
  readonly context: ErrorContext;
  /** If they were requested. */
  readonly logprobs: LogprobsBuffer | undefined;
  /** Of the conversation so far: new calls get other ids. */
  readonly usedCallIds: ReadonlySet<string>;
  readonly onFinish: () => void;
  readonly onMalformedEvent?: (() => void) | undefined;
}

const INCOMPLETE = 'The model’s backend ended its answer before it was complete.';
/** Nothing was generated. Without any reason, the process behind the server died. */
const FAILED_REASONS: readonly string[] = ['load', 'unload'];

export class OllamaAnswerReader {
  readonly #sink: Pick<GenerationSink, 'event'>;
  readonly #context: ErrorContext;
  readonly #logprobs: LogprobsBuffer | undefined;
  readonly #onFinish: () => void;
  readonly #callIds: Set<string>;
  readonly #malformed: MalformedEvents;
  #calls = 0;
  #started = false;
  #finished = false;

  constructor(options: AnswerReaderOptions) {
    this.#sink = options.sink;
    this.#context = options.context;
    this.#logprobs = options.logprobs;
    this.#onFinish = options.onFinish;
    this.#callIds = new Set(options.usedCallIds);
    this.#malformed = new MalformedEvents(options.onMalformedEvent);
  }

  line(line: string): void {
    if (this.#finished || line.trim() === '') return;
    const answer = this.#parse(line);
    if (answer === undefined) return;
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
    // Nothing of it was a line: an empty body.
    throw new ServingError('backend_error', {
      message: INCOMPLETE,
      failure: this.#started ? 'cut' : 'garbage',
    });
  }

  /** Undefined: it cannot be read, and is skipped. */
  #parse(line: string): UntypedObject | undefined {
    let cause: unknown;
    try {
      const answer: unknown = JSON.parse(line);
      if (isObject(answer)) {
        this.#malformed.readable();
        return answer;
      }
    } catch (thrown) {
      cause = thrown;
    }
    this.#malformed.skip(line, { isComplete: false, cause });
    return undefined;
  }

  #call({ id, name, text }: Call): void {
    const index = this.#calls;
    this.#calls += 1;
    this.#push({ type: 'tool-call', index, id: this.#newCallId(id), name });
    this.#push({ type: 'tool-arguments', index, delta: text });
  }

  /** Old releases send none. */
  #newCallId(given: string | undefined): string {
    let id = given;
    for (let number = this.#callIds.size; id === undefined || this.#callIds.has(id); number += 1)
      id = `call_${number}`;
    this.#callIds.add(id);
    return id;
  }

  /** Nothing is passed on before the first piece: until then the request may be rejected and tried again without a field. */
  #push(event: GenerationEvent): void {
    if (!this.#started) this.#sink.event({ type: 'start' });
    this.#started = true;
    this.#sink.event(event);
  }

  #finish(answer: UntypedObject): void {
    const doneReason = asText(answer.done_reason);
    if (doneReason === undefined || FAILED_REASONS.includes(doneReason)) {
      const cause = new Error(`Ollama ended with ${doneReason ?? 'no reason'}`);
      throw new ServingError('backend_error', { message: INCOMPLETE, failure: 'cut', cause });
    }
    // The server omits counts that are zero.
    const promptTokens = asCount(answer.prompt_eval_count) ?? 0;
    const { contextSize } = this.#context;
    if (contextSize !== undefined && promptTokens >= contextSize)
      throw promptTruncated(promptTokens, contextSize);
    this.#finished = true;
    const completionTokens = asCount(answer.eval_count) ?? 0;
    const reason = this.#calls > 0 ? 'tool_calls' : 'stop';
    // Beyond the context's end, the server writes without having the beginning of the conversation.
    const exceedsContext = contextSize !== undefined && promptTokens + completionTokens > contextSize;
    const isCut = doneReason === 'length' || (exceedsContext && reason === 'stop');
    this.#push({
      type: 'finish',
      reason: isCut ? 'length' : reason,
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
      const { name: given, arguments: values } = asObject(called);
      const name = asText(given);
      if (name === undefined) {
        throw new ServingError('backend_error', {
          message: 'The model’s backend sent a tool call without a name.',
          failure: 'garbage',
        });
      }
      return { id: asText(id), name, text: argumentsOf(values, name) };
    });
}

/** An object. Some servers with the same API send its text. */
function argumentsOf(values: unknown, name: string): string {
  const read = typeof values === 'string' && values.trim() !== '' ? parse(values) : asObject(values);
  if (isObject(read)) return JSON.stringify(read);
  throw new ServingError('backend_error', {
    message: `The model’s backend called ${JSON.stringify(name)} with arguments that are not an object.`,
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
 * Log-probabilities may come before their text: they wait for it. Owned by one generation. Old releases ignore the request for
 * them: then the first piece of the answer has none, and none of the answer is passed on.
 */
export class LogprobsBuffer {
  readonly #onMissing: () => void;
  #waiting: TokenLogprob[] = [];
  #arrived = false;

  constructor(onMissing: () => void) {
    this.#onMissing = onMissing;
  }

  add(values: unknown): void {
    const tokens = validEntries(values);
    this.#arrived ||= tokens.length > 0;
    this.#waiting.push(
      ...tokens.map((token) => ({
        ...likelyToken(token),
        top: validEntries(token.top_logprobs).map(likelyToken),
      })),
    );
  }

  /** Those of the text that is passed on now. */
  take(): { readonly logprobs?: readonly TokenLogprob[] } {
    const logprobs = this.#waiting;
    this.clear();
    return logprobs.length === 0 ? {} : { logprobs };
  }

  /** They belonged to reasoning, or to a call. */
  clear(): void {
    this.#waiting = [];
  }

  /** To be called before the first piece is passed on. */
  rejectIfMissing(): void {
    if (this.#arrived) return;
    this.#onMissing();
    throw logprobsUnsupported();
  }
}

interface TokenEntry extends UntypedObject {
  readonly logprob: number;
}

function validEntries(values: unknown): TokenEntry[] {
  const isEntry = (value: UntypedObject): value is TokenEntry => typeof value.logprob === 'number';
  return asArray(values).map(asObject).filter(isEntry);
}

/** Ollama sends no token ids, and no text for a token that has none. */
function likelyToken({ token, bytes, logprob }: TokenEntry): LikelyToken {
  const known = Array.isArray(bytes) ? (bytes as number[]) : new TextEncoder().encode(asText(token) ?? '');
  return { bytes: [...known], logprob };
}
