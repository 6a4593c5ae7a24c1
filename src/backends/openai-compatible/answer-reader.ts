/**
 * Turns the chunks of one streamed answer into events. Owned by one generation. It starts with the first chunk, which may contain
 * the prompt's length. `[DONE]` alone is no success: the answer is complete with its finish reason, and ends when the usage has come
 * too, at the server's `[DONE]`, or a second later. If a server reports no usage, its pieces are counted, and its prompt as 0.
 */
import type { GenerationSink } from '../../core/backend.ts';
import type { Clock, Timer } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type {
  GenerationEvent,
  LikelyToken,
  LogprobsOptions,
  TokenLogprob,
  Usage,
} from '../../core/generation.ts';
import { MalformedEvents } from '../../upstream/malformed-events.ts';
import type { ServerSentEvent } from '../../upstream/stream-reader.ts';
import { asArray, asCount, asObject, asText, isObject, type UntypedObject } from '../../upstream/untyped.ts';
import { readContent } from './content-parts.ts';
import { embeddedStatus, streamError } from './errors.ts';
import { ToolCallReader } from './tool-call-reader.ts';
import { finishReasonOf, rejectFailedReason, usageOf } from './whole-answer.ts';

/** The limits of an answer, if known. Tokens. */
export interface AnswerBounds {
  readonly maxTokens: number | undefined;
  /** Prompt and answer together. */
  readonly contextSize: number | undefined;
}

interface AnswerReaderOptions {
  readonly sink: Pick<GenerationSink, 'event'>;
  readonly clock: Clock;
  readonly bounds: AnswerBounds;
  /** What a response with that status would mean. */
  readonly responseError: (status: number, body: unknown) => ServingError;
  /** Absent: log-probabilities are ignored. */
  readonly logprobs?: LogprobsOptions | undefined;
  /** The answer is complete: its connection is no longer needed. */
  readonly onFinish: () => void;
  readonly onUsageMissing: () => void;
  readonly onMalformedEvent?: (() => void) | undefined;
}

const USAGE_GRACE_MS = 1000;
const NO_LOGPROBS: readonly TokenLogprob[] = [];

export class OpenAiAnswerReader {
  readonly #options: AnswerReaderOptions;
  readonly #repeated = new RepeatedChunk();
  readonly #malformed: MalformedEvents;
  #calls: ToolCallReader | undefined;
  /** Of tokens whose text has not come yet. */
  #logprobs = NO_LOGPROBS;
  /** By the server's name. */
  #reason: string | undefined;
  #matchedStop: string | undefined;
  #usage: Usage | undefined;
  #pieces = 0;
  #started = false;
  #finished = false;
  #grace: Timer | undefined;

  constructor(options: AnswerReaderOptions) {
    this.#options = options;
    this.#malformed = new MalformedEvents(options.onMalformedEvent);
  }

  event({ event: name, data }: ServerSentEvent): void {
    if (this.#finished) return;
    if (data === '[DONE]') {
      this.end();
      return;
    }
    const repeated = name === undefined ? this.#repeated.textOf(data) : undefined;
    if (repeated !== undefined) {
      this.#malformed.readable();
      this.#push({ type: 'text', text: repeated });
      return;
    }
    const chunk = this.#parse(data);
    if (chunk === undefined) return;
    if (name === 'error' || (chunk.error !== undefined && chunk.error !== null)) throw this.#failure(chunk);
    const usage = usageOf(chunk.usage);
    this.#start(usage, chunk.prompt_progress);
    const choice = asArray(chunk.choices)[0];
    // If each chunk has a usage, only the one without a choice has the details.
    const isLastUsage = usage !== undefined && (choice === undefined || this.#usage === undefined);
    this.#usage = usage ?? this.#usage;
    if (choice !== undefined) this.#choice(asObject(choice));
    if (usage === undefined && choice !== undefined) this.#noteRepeatable(data, asObject(choice));
    if (this.#reason === undefined) return;
    if (isLastUsage) this.#finish();
    else this.#grace ??= this.#options.clock.schedule(USAGE_GRACE_MS, () => this.#finish());
  }

  /** A line of the stream that is part of no event. */
  malformed(line: string): void {
    if (this.#finished) return;
    this.#malformed.skip(line, { isComplete: this.#reason !== undefined });
  }

  /** `[DONE]`, or the end of the body. */
  end(): void {
    if (this.#finished) return;
    if (this.#reason !== undefined) {
      this.#finish();
      return;
    }
    throw new ServingError('backend_error', {
      message: 'The model’s backend ended its answer before it was complete.',
      // Nothing of it was an event: a page, compressed bytes, an empty body.
      failure: this.#started ? 'cut' : 'garbage',
    });
  }

  /** Nothing is read any more. */
  dispose(): void {
    this.#grace?.cancel();
  }

  /** Undefined: it cannot be read, and is skipped. */
  #parse(data: string): UntypedObject | undefined {
    let cause: unknown;
    try {
      const chunk: unknown = JSON.parse(data);
      if (isObject(chunk)) {
        this.#malformed.readable();
        return chunk;
      }
    } catch (thrown) {
      cause = thrown;
    }
    this.#malformed.skip(data, { isComplete: this.#reason !== undefined, cause });
    return undefined;
  }

  /** Log-probabilities differ from chunk to chunk, and so do reasoning or calls beside the text. */
  #noteRepeatable(data: string, { delta, finish_reason }: UntypedObject): void {
    const { content, role: _, ...others } = asObject(delta);
    const isTextAlone = Object.values(others).every((other) => other === null);
    if (typeof content !== 'string' || !isTextAlone || finish_reason || this.#options.logprobs) return;
    this.#repeated.learn(data, content);
  }

  #choice(choice: UntypedObject): void {
    const delta = asObject(choice.delta);
    const content = readContent(delta.content);
    const reasoning = asText(delta.reasoning_content) ?? asText(delta.reasoning) ?? content.reasoning;
    if (reasoning !== undefined) this.#push({ type: 'reasoning', text: reasoning });
    const text = content.text ?? asText(choice.text) ?? asText(delta.refusal);
    const { logprobs } = this.#options;
    if (logprobs === undefined) {
      if (text !== undefined) this.#push({ type: 'text', text });
    } else {
      const isOther = reasoning !== undefined || Array.isArray(delta.tool_calls);
      if (isOther) this.#logprobs = NO_LOGPROBS;
      // An empty text is part of a character. Without any text, the server withholds the token.
      const isText = typeof (delta.content ?? choice.text) === 'string' && !isOther;
      this.#textWithLogprobs(
        text,
        isText || text !== undefined ? readLogprobs(choice.logprobs, logprobs.top) : [],
      );
    }
    if (Array.isArray(delta.tool_calls)) {
      this.#calls ??= new ToolCallReader((event) => this.#push(event));
      this.#calls.read(delta.tool_calls);
    }
    const reason = asText(choice.finish_reason);
    if (reason !== undefined) this.#complete(reason, choice.stop_reason);
  }

  #textWithLogprobs(text: string | undefined, came: readonly TokenLogprob[]): void {
    if (came.length > 0) this.#logprobs = this.#logprobs.length === 0 ? came : [...this.#logprobs, ...came];
    if (text === undefined) return;
    const logprobs = this.#logprobs;
    this.#logprobs = NO_LOGPROBS;
    this.#push({ type: 'text', text, ...(logprobs.length > 0 && { logprobs }) });
  }

  #complete(reason: string, stop: unknown): void {
    rejectFailedReason(reason);
    this.#reason = reason;
    this.#matchedStop = asText(stop);
  }

  /** On request, the first chunk contains the prompt's length: in its usage, or as progress. */
  #start(usage: Usage | undefined, progress: unknown): void {
    if (this.#started) return;
    this.#started = true;
    const { total, cache } = asObject(progress);
    const promptTokens = usage?.promptTokens ?? asCount(total);
    const cachedTokens = usage?.cachedTokens ?? asCount(cache);
    this.#options.sink.event({
      type: 'start',
      ...(promptTokens !== undefined && { promptTokens }),
      ...(cachedTokens !== undefined && { cachedTokens }),
    });
  }

  /** Before the first piece it may be a rejection of the request: some servers check parts of it only after they have sent 200. */
  #failure(chunk: UntypedObject): ServingError {
    const status = this.#pieces === 0 ? embeddedStatus(chunk) : undefined;
    return status === undefined ? streamError(chunk) : this.#options.responseError(status, chunk);
  }

  #push(event: GenerationEvent): void {
    this.#pieces += 1;
    this.#options.sink.event(event);
  }

  #finish(): void {
    const given = this.#reason;
    if (this.#finished || given === undefined) return;
    this.#finished = true;
    this.#grace?.cancel();
    if (this.#usage === undefined) this.#options.onUsageMissing();
    const isCut = given === 'length' || this.#callIsCut(given);
    this.#calls?.end({ isCut });
    this.#options.sink.event({
      type: 'finish',
      reason: isCut ? 'length' : finishReasonOf(given, this.#calls?.called ?? false),
      ...(this.#matchedStop === undefined ? {} : { matchedStop: this.#matchedStop }),
      usage: this.#usage ?? { promptTokens: 0, completionTokens: this.#pieces, cachedTokens: 0 },
    });
    this.#options.onFinish();
  }

  /**
   * vLLM ends with `tool_calls` even if a limit cut the last call. If the answer's length or limit is unknown, arguments that are
   * not JSON reveal it.
   */
  #callIsCut(given: string): boolean {
    const calls = this.#calls;
    // Cut before the call's name.
    if (calls === undefined || !calls.called) return given === 'tool_calls' && this.#isAtBound === true;
    return calls.lastIsOpen && (this.#isAtBound ?? !calls.lastIsEmpty);
  }

  /** The answer is as long as it may be. Undefined: unknown. */
  get #isAtBound(): boolean | undefined {
    const { maxTokens, contextSize } = this.#options.bounds;
    if (this.#usage === undefined || (maxTokens === undefined && contextSize === undefined)) return undefined;
    const { promptTokens, completionTokens } = this.#usage;
    return (
      completionTokens >= (maxTokens ?? Number.POSITIVE_INFINITY) ||
      promptTokens + completionTokens >= (contextSize ?? Number.POSITIVE_INFINITY)
    );
  }
}

/** No quotation mark, backslash or control character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes them.
const PLAIN = /^[^"\\\u0000-\u001f]+$/;
const NAME = '"content"';

/**
 * Reads a chunk without parsing its JSON if it differs from an earlier one only in its text, as nearly all chunks of a stream do:
 * what surrounds the text is compared, and the text has no character that JSON escapes.
 */
export class RepeatedChunk {
  #before = '';
  /** Empty: there is nothing to compare with. */
  #after = '';

  /** `data` has been parsed: `text` is all that it tells, and is the value of a field named `content`. */
  learn(data: string, text: string): void {
    this.#after = '';
    const name = data.indexOf(NAME);
    // Another field of that name might be the one that is found.
    if (name === -1 || name !== data.lastIndexOf(NAME) || !PLAIN.test(text)) return;
    const from = data.indexOf('"', name + NAME.length) + 1;
    const to = from + text.length;
    if (from === 0 || data.slice(from, to) !== text || data[to] !== '"') return;
    this.#before = data.slice(0, from);
    this.#after = data.slice(to);
  }

  /** Undefined: it has to be parsed. */
  textOf(data: string): string | undefined {
    const from = this.#before.length;
    const to = data.length - this.#after.length;
    if (this.#after === '' || to <= from) return undefined;
    // Six times as fast as startsWith, which compares one character after the other.
    if (data.slice(to) !== this.#after || data.slice(0, from) !== this.#before) return undefined;
    const text = data.slice(from, to);
    return PLAIN.test(text) ? text : undefined;
  }
}

/** For a probability of 0: JSON has no -Infinity. Servers send lower numbers, or none. */
const MIN_LOGPROB = -9999;

/** Of one choice: a `content` list or, for raw prompts of some servers, the older format of four lists. */
function readLogprobs(value: unknown, top: number): readonly TokenLogprob[] {
  const logprobs = asObject(value);
  if (Array.isArray(logprobs.content)) return logprobs.content.map((entry) => tokenLogprob(entry, top));
  const values = asArray(logprobs.token_logprobs);
  const alternatives = asArray(logprobs.top_logprobs);
  return asArray(logprobs.tokens).map((token, place) => ({
    bytes: bytesOf({ token }),
    logprob: logprobOf(values[place]),
    top: topTokens(
      Object.entries(asObject(alternatives[place])).map(([text, logprob]) =>
        likelyToken({ token: text, logprob }),
      ),
      top,
    ),
  }));
}

function tokenLogprob(value: unknown, top: number): TokenLogprob {
  const entry = asObject(value);
  const others = top === 0 ? [] : asArray(entry.top_logprobs).map((other) => likelyToken(asObject(other)));
  return { ...likelyToken(entry), top: topTokens(others, top) };
}

function likelyToken(entry: UntypedObject): LikelyToken {
  const token = asCount(entry.id);
  const known = { bytes: bytesOf(entry), logprob: logprobOf(entry.logprob) };
  return token === undefined ? known : { token, ...known };
}

/** Servers put the chosen token first, and send one more than requested. */
function topTokens(tokens: LikelyToken[], top: number): readonly LikelyToken[] {
  return tokens.sort((one, other) => other.logprob - one.logprob).slice(0, top);
}

function logprobOf(value: unknown): number {
  return typeof value === 'number' ? Math.max(value, MIN_LOGPROB) : MIN_LOGPROB;
}

function bytesOf({ bytes, token }: UntypedObject): readonly number[] {
  if (Array.isArray(bytes)) return bytes.filter((byte): byte is number => asCount(byte) !== undefined);
  return typeof token === 'string' ? [...Buffer.from(token)] : [];
}
