/**
 * Turns the chunks of one streamed answer into events. Owned by one generation. It starts with the first chunk, which may tell
 * the prompt's length. `[DONE]` is no success by itself: the answer is complete with its finish reason, and is given at once
 * when the usage is here too, when the server says it is over, or a second later. A server that reports no usage has its
 * pieces counted, and its prompt as 0.
 */

import type { GenerationSink } from '../../core/backend.ts';
import type { Clock, Timer } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent, LogprobsWish, TokenLogprob } from '../../core/generation.ts';
import type { Usage } from '../../core/usage.ts';
import { asArray, asCount, asObject, asText, type Loose } from '../../upstream/lenient.ts';
import type { ServerSentEvent } from '../../upstream/sse-reader.ts';
import { checkReason, reasonOf, usageOf } from './answer-end.ts';
import { readLogprobs } from './logprob-fields.ts';
import { RepeatedChunk } from './repeated-chunk.ts';
import { ToolCallReader } from './tool-call-reader.ts';
import { refusedWithin, streamFailure } from './upstream-error.ts';

/** What an answer may have, as far as it is known. Tokens. */
export interface AnswerBounds {
  readonly maxTokens: number | undefined;
  /** Prompt and answer together. */
  readonly contextSize: number | undefined;
}

export interface AnswerReaderOptions {
  readonly sink: Pick<GenerationSink, 'event'>;
  readonly clock: Clock;
  readonly bounds: AnswerBounds;
  /** What an answer of that status would mean. */
  readonly refusal: (status: number, body: unknown) => ServingError;
  /** Absent: log-probabilities are not read. */
  readonly logprobs?: LogprobsWish | undefined;
  /** The answer is complete: its connection may go. */
  readonly onFinish: () => void;
  readonly onUsageMissing: () => void;
}

const USAGE_GRACE_MS = 1000;
const NO_LOGPROBS: readonly TokenLogprob[] = [];

export class AnswerReader {
  readonly #options: AnswerReaderOptions;
  readonly #repeated = new RepeatedChunk();
  #calls: ToolCallReader | undefined;
  /** Of tokens that made no text yet. */
  #logprobs = NO_LOGPROBS;
  /** As the server gave it. */
  #reason: string | undefined;
  #matchedStop: string | undefined;
  #usage: Usage | undefined;
  #pieces = 0;
  #started = false;
  #finished = false;
  #grace: Timer | undefined;

  constructor(options: AnswerReaderOptions) {
    this.#options = options;
  }

  event({ name, data }: ServerSentEvent): void {
    if (this.#finished) return;
    if (data === '[DONE]') {
      this.end();
      return;
    }
    const repeated = name === undefined ? this.#repeated.textOf(data) : undefined;
    if (repeated !== undefined) {
      this.#push({ type: 'text', text: repeated });
      return;
    }
    const chunk = parse(data);
    if (name === 'error' || (chunk.error !== undefined && chunk.error !== null)) throw this.#failure(chunk);
    const usage = usageOf(chunk.usage);
    this.#start(usage, chunk.prompt_progress);
    const choice = asArray(chunk.choices)[0];
    // Where each chunk has one, the details are told only with the one that has no choice.
    const isLastUsage = usage !== undefined && (choice === undefined || this.#usage === undefined);
    this.#usage = usage ?? this.#usage;
    if (choice !== undefined) this.#choice(asObject(choice));
    if (usage === undefined && choice !== undefined) this.#noteRepeatable(data, asObject(choice));
    if (this.#reason === undefined) return;
    if (isLastUsage) this.#finish();
    else this.#grace ??= this.#options.clock.schedule(USAGE_GRACE_MS, () => this.#finish());
  }

  /** The server says that it is over, or the body is. */
  end(): void {
    if (this.#finished) return;
    if (this.#reason !== undefined) {
      this.#finish();
      return;
    }
    throw new ServingError('backend_error', {
      message: 'The model’s backend ended its answer before it was complete.',
    });
  }

  /** Nobody reads any more. */
  dispose(): void {
    this.#grace?.cancel();
  }

  /** Log-probabilities differ from chunk to chunk, and so does a thought or a call beside the text. */
  #noteRepeatable(data: string, { delta, finish_reason }: Loose): void {
    const { content, role: _, ...others } = asObject(delta);
    const isTextAlone = Object.values(others).every((other) => other === null);
    if (typeof content !== 'string' || !isTextAlone || finish_reason || this.#options.logprobs) return;
    this.#repeated.learn(data, content);
  }

  #choice(choice: Loose): void {
    const delta = asObject(choice.delta);
    const thought = asText(delta.reasoning_content) ?? asText(delta.reasoning);
    if (thought !== undefined) this.#push({ type: 'reasoning', text: thought });
    const text = asText(delta.content) ?? asText(choice.text) ?? asText(delta.refusal);
    const wish = this.#options.logprobs;
    if (wish === undefined) {
      if (text !== undefined) this.#push({ type: 'text', text });
    } else {
      const isOther = thought !== undefined || Array.isArray(delta.tool_calls);
      if (isOther) this.#logprobs = NO_LOGPROBS;
      // An empty text is part of a character; none at all is what the server keeps to itself.
      const isText = typeof (delta.content ?? choice.text) === 'string' && !isOther;
      this.#textWithLogprobs(
        text,
        isText || text !== undefined ? readLogprobs(choice.logprobs, wish.top) : [],
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
    checkReason(reason);
    this.#reason = reason;
    this.#matchedStop = asText(stop);
  }

  /** Servers that are asked for it tell the prompt's length with their first chunk: in its usage, or as their progress with it. */
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

  /** Before the first piece it may be a refusal of what was asked: some servers find that out after they have sent their 200. */
  #failure(chunk: Loose): ServingError {
    const status = this.#pieces === 0 ? refusedWithin(chunk) : undefined;
    return status === undefined ? streamFailure(chunk) : this.#options.refusal(status, chunk);
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
      reason: isCut ? 'length' : reasonOf(given, this.#calls?.called ?? false),
      ...(this.#matchedStop === undefined ? {} : { matchedStop: this.#matchedStop }),
      usage: this.#usage ?? { promptTokens: 0, completionTokens: this.#pieces, cachedTokens: 0 },
    });
    this.#options.onFinish();
  }

  /**
   * vLLM ends with `tool_calls` where its bound has cut the last call, too. Where nobody tells how long the answer is, or how
   * long it may be, arguments that are no JSON show it.
   */
  #callIsCut(given: string): boolean {
    const calls = this.#calls;
    // Cut before its name.
    if (calls === undefined || !calls.called) return given === 'tool_calls' && this.#isAtBound === true;
    return calls.lastIsOpen && (this.#isAtBound ?? !calls.lastIsEmpty);
  }

  /** The answer is as long as it may be. Undefined: not known. */
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

function parse(data: string): Loose {
  try {
    return asObject(JSON.parse(data));
  } catch (cause) {
    throw new ServingError('backend_error', {
      message: 'The model’s backend answered something that is not JSON.',
      cause,
    });
  }
}
