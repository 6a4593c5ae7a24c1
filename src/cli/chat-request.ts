/**
 * One answer of a running server, by POST /v1/chat/completions as a stream: what is asked, the pieces as they come, and the receipt at
 * the end. That route, as it takes images, and lets an answer be as long as the model's context permits.
 */
import { durationText } from '../core/duration-text.ts';
import { isCancelled, RemoteError, type RemoteEvents, type RemoteServer } from './remote.ts';

export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } };

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string | readonly ContentPart[];
}

/** By the names of the route: `temperature`, `max_tokens`, `reasoning_effort`, `response_format` … */
export type Parameters = Readonly<Record<string, unknown>>;

export interface ChatRequest {
  /** Undefined: the server's default model. */
  readonly model: string | undefined;
  readonly messages: readonly ChatMessage[];
  readonly parameters: Parameters;
}

export interface AnswerListener {
  reasoning(text: string): void;
  text(text: string): void;
}

/** What is known at the end of an answer. Absent: the server did not tell. */
export interface Receipt {
  readonly model: string | undefined;
  readonly target: string | undefined;
  readonly finishReason: string | undefined;
  readonly usage: Usage | undefined;
  /** Milliseconds by name, as `timings` of native answers. */
  readonly timings: Readonly<Record<string, number>> | undefined;
  /** Fields that the model does not support, and that were dropped. */
  readonly dropped: string | undefined;
  /** Its reader stopped it, and so has none of the server's figures: these are the reader's own. */
  readonly stopped?: { readonly firstTokenMs: number | undefined; readonly afterMs: number };
}

export interface Usage {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

const PATH = '/v1/chat/completions';
const SUCCESS = '[DONE]';

interface Chunk {
  readonly model?: string;
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null; readonly reasoning_content?: string };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number };
  } | null;
  readonly timings?: Readonly<Record<string, number>>;
  readonly error?: { readonly message?: string; readonly code?: string | null };
}

interface Asking {
  readonly listener: AnswerListener;
  readonly signal: AbortSignal;
  /** The signal has ended the answer, which is then rejected. */
  readonly onStopped?: (receipt: Receipt) => void;
}

/** Rejects with a RemoteError, also where the stream ends before the answer does; the listener has then had a part of it. */
export async function askForAnswer(
  server: RemoteServer,
  request: ChatRequest,
  { listener, signal, onStopped }: Asking,
): Promise<Receipt> {
  const receipt = new ReceiptReader();
  try {
    return await readAnswer(server, request, { listener, signal, receipt });
  } catch (error) {
    if (isCancelled(error)) onStopped?.(receipt.stopped());
    throw error;
  }
}

async function readAnswer(
  server: RemoteServer,
  { model, messages, parameters }: ChatRequest,
  { listener, signal, receipt }: Omit<Asking, 'onStopped'> & { readonly receipt: ReceiptReader },
): Promise<Receipt> {
  const body = {
    ...(model !== undefined && { model }),
    messages,
    ...parameters,
    stream: true,
    stream_options: { include_usage: true },
  };
  const events = await server.events(PATH, { body, signal });
  receipt.begin(events.headers);
  for await (const { data } of events) {
    if (data === SUCCESS) return receipt.read();
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error !== undefined)
      throw new RemoteError('refused', chunk.error.message ?? 'The server ended the answer with an error.', {
        ...(typeof chunk.error.code === 'string' && { code: chunk.error.code }),
      });
    receipt.note(chunk);
    for (const { delta } of chunk.choices ?? []) {
      if (delta?.reasoning_content || delta?.content) receipt.noteToken();
      if (delta?.reasoning_content) listener.reasoning(delta.reasoning_content);
      if (delta?.content) listener.text(delta.content);
    }
  }
  throw new RemoteError('broken', `The connection to ${server.address} was lost.`);
}

class ReceiptReader {
  readonly #askedAt = performance.now();
  #headers: RemoteEvents['headers'] = {};
  #firstTokenMs: number | undefined;
  #model: string | undefined;
  #finishReason: string | undefined;
  #usage: Usage | undefined;
  #timings: Receipt['timings'];

  begin(headers: RemoteEvents['headers']): void {
    this.#headers = headers;
  }

  noteToken(): void {
    this.#firstTokenMs ??= performance.now() - this.#askedAt;
  }

  note({ model, choices = [], usage, timings }: Chunk): void {
    this.#model = model ?? this.#model;
    this.#finishReason = choices[0]?.finish_reason ?? this.#finishReason;
    this.#timings = timings ?? this.#timings;
    if (usage)
      this.#usage = {
        promptTokens: usage.prompt_tokens,
        cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
        completionTokens: usage.completion_tokens,
      };
  }

  read(): Receipt {
    return {
      model: this.#model,
      target: this.#header('x-served-target'),
      finishReason: this.#finishReason,
      usage: this.#usage,
      timings: this.#timings,
      dropped: this.#header('x-dropped-parameters'),
    };
  }

  stopped(): Receipt {
    const afterMs = performance.now() - this.#askedAt;
    return { ...this.read(), stopped: { firstTokenMs: this.#firstTokenMs, afterMs } };
  }

  #header(name: string): string | undefined {
    const value = this.#headers[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  }
}

/** In one line: `queue 2 ms, first token 96 ms, 36.7 tokens/s, 16 prompt tokens (4 cached), 8 tokens, target one, 224 ms in all`. */
export function receiptText({ model, target, usage, timings = {}, finishReason, stopped }: Receipt): string {
  const {
    queue_ms: queue,
    ttft_ms: first = stopped?.firstTokenMs,
    generate_ms: generate,
    total_ms: total,
  } = timings;
  const speed =
    usage !== undefined && usage.completionTokens > 1 && generate !== undefined && generate > 0
      ? ((usage.completionTokens - 1) / generate) * 1000
      : undefined;
  return [
    queue === undefined ? undefined : `queue ${durationText(queue)}`,
    first === undefined ? undefined : `first token ${durationText(first)}`,
    speed === undefined ? undefined : `${speed.toFixed(1)} tokens/s`,
    usage && `${counted(usage.promptTokens, 'prompt token')} (${usage.cachedTokens} cached)`,
    usage && counted(usage.completionTokens, 'token'),
    target === undefined ? undefined : `target ${target}`,
    model,
    total === undefined ? undefined : `${durationText(total)} in all`,
    finishReason === undefined || finishReason === 'stop' ? undefined : `ended by ${finishReason}`,
    stopped && `stopped after ${durationText(stopped.afterMs)}, before its end`,
  ]
    .filter((part) => part !== undefined)
    .join(', ');
}

/** Of a refused or failed question, with what may be done about it. */
export function failureText(error: unknown): string {
  if (!(error instanceof RemoteError)) return error instanceof Error ? error.message : String(error);
  const { retryAfterSeconds, message } = error;
  if (retryAfterSeconds === undefined) return message;
  return `${message} Try again in ${counted(retryAfterSeconds, 'second')}.`;
}

function counted(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}
