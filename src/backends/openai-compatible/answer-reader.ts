/**
 * Turns the chunks of one streamed answer into events. Owned by one generation. `[DONE]` is no success by itself: the
 * answer is complete with its finish reason, and is given at once when the usage is here too, when the server says it is
 * over, or a second later. A server that reports no usage has its pieces counted, and its prompt as 0.
 */
import type { Clock, Timer } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import type { FinishReason, GenerationEvent, LogprobsWish, TokenLogprob } from '../../core/generation.ts';
import type { Usage } from '../../core/usage.ts';
import type { EventSink } from '../../upstream/event-stream.ts';
import { asArray, asCount, asObject, asText, type Loose } from '../../upstream/lenient.ts';
import type { ServerSentEvent } from '../../upstream/sse-reader.ts';
import { readLogprobs } from './logprob-fields.ts';
import { ToolCallReader } from './tool-call-reader.ts';
import { streamFailure } from './upstream-error.ts';

export interface AnswerReaderOptions {
  readonly sink: EventSink<GenerationEvent>;
  readonly clock: Clock;
  /** Absent: log-probabilities are not read. */
  readonly logprobs?: LogprobsWish | undefined;
  /** The answer is complete: its connection may go. */
  readonly onFinish: () => void;
  readonly onUsageMissing: () => void;
}

const USAGE_GRACE_MS = 1000;
const FAILED_REASONS = ['abort', 'error'];
const NO_LOGPROBS: readonly TokenLogprob[] = [];

export class AnswerReader {
  readonly #options: AnswerReaderOptions;
  #calls: ToolCallReader | undefined;
  /** Of tokens that made no text yet. */
  #logprobs = NO_LOGPROBS;
  #reason: FinishReason | undefined;
  #matchedStop: string | undefined;
  #usage: Usage | undefined;
  #pieces = 0;
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
    const chunk = parse(data);
    if (name === 'error' || (chunk.error !== undefined && chunk.error !== null)) throw streamFailure(chunk);
    const usage = usageOf(chunk.usage);
    this.#usage = usage ?? this.#usage;
    const choice = asArray(chunk.choices)[0];
    if (choice !== undefined) this.#choice(asObject(choice));
    if (this.#reason === undefined) return;
    if (usage !== undefined) this.#finish();
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
    if (FAILED_REASONS.includes(reason)) throw streamFailure({ message: `finish_reason ${reason}` });
    this.#calls?.end();
    this.#reason = reasonOf(reason, this.#calls?.called ?? false);
    this.#matchedStop = asText(stop);
  }

  #push(event: GenerationEvent): void {
    this.#pieces += 1;
    this.#options.sink.push(event);
  }

  #finish(): void {
    const reason = this.#reason;
    if (this.#finished || reason === undefined) return;
    this.#finished = true;
    this.#grace?.cancel();
    if (this.#usage === undefined) this.#options.onUsageMissing();
    this.#options.sink.push({
      type: 'finish',
      reason,
      ...(this.#matchedStop === undefined ? {} : { matchedStop: this.#matchedStop }),
      usage: this.#usage ?? { promptTokens: 0, completionTokens: this.#pieces, cachedTokens: 0 },
    });
    this.#options.onFinish();
  }
}

/** Servers say "stop" where calls ended the answer, and have reasons of their own for its natural end. */
function reasonOf(reason: string, called: boolean): FinishReason {
  if (reason === 'length' || reason === 'content_filter') return reason;
  return called ? 'tool_calls' : 'stop';
}

function usageOf(value: unknown): Usage | undefined {
  const usage = asObject(value);
  const promptTokens = asCount(usage.prompt_tokens);
  const completionTokens = asCount(usage.completion_tokens);
  if (promptTokens === undefined || completionTokens === undefined) return undefined;
  const cachedTokens = asCount(asObject(usage.prompt_tokens_details).cached_tokens) ?? 0;
  const reasoningTokens = asCount(asObject(usage.completion_tokens_details).reasoning_tokens);
  return {
    promptTokens,
    completionTokens,
    cachedTokens,
    ...(reasoningTokens !== undefined && { reasoningTokens }),
  };
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
