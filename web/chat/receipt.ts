/** What an answer cost, from the last chunk and the headers of its response. Pure. */
import { duration, number, plural, tokenRate, tokensPerSecond } from '../ui/amounts.ts';
import { isObject } from './settings.ts';

export interface Receipt {
  readonly promptTokens?: number;
  readonly cachedTokens?: number;
  readonly completionTokens?: number;
  readonly queueMs?: number;
  readonly firstTokenMs?: number;
  readonly generateMs?: number;
  readonly gatewayMs?: number;
  readonly totalMs?: number;
  /** What answered, where the server told it. */
  readonly servedModel?: string;
  readonly servedTarget?: string;
  readonly attempts?: number;
  readonly requestId?: string;
}

export function receiptOfHeaders(headers: { get(name: string): string | null }): Receipt {
  const attempts = Number(headers.get('x-attempts') ?? Number.NaN);
  const servedModel = headers.get('x-served-model');
  const servedTarget = headers.get('x-served-target');
  const requestId = headers.get('x-request-id');
  return {
    ...(servedModel && { servedModel }),
    ...(servedTarget && { servedTarget }),
    ...(attempts > 0 && { attempts }),
    ...(requestId && { requestId }),
  };
}

/** `usage` and `timings` of the last chunk. */
export function receiptOfChunk(usage: unknown, timings: unknown): Receipt {
  const used = isObject(usage) ? usage : {};
  const details = isObject(used.prompt_tokens_details) ? used.prompt_tokens_details : {};
  const times = isObject(timings) ? timings : {};
  return withoutUndefined({
    promptTokens: numberOf(used.prompt_tokens),
    cachedTokens: numberOf(details.cached_tokens),
    completionTokens: numberOf(used.completion_tokens),
    queueMs: numberOf(times.queue_ms),
    firstTokenMs: numberOf(times.ttft_ms),
    generateMs: numberOf(times.generate_ms),
    gatewayMs: numberOf(times.gateway_ms),
    totalMs: numberOf(times.total_ms),
  });
}

export const speedOf = ({ completionTokens, generateMs }: Receipt): number | undefined =>
  tokensPerSecond(completionTokens, generateMs);

/** A label and its value each, the short ones first. */
export function receiptRows(receipt: Receipt): readonly (readonly [string, string])[] {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Queue', where(receipt.queueMs, duration)],
    ['First token', where(receipt.firstTokenMs, duration)],
    ['Speed', where(speedOf(receipt), tokenRate)],
    ['Tokens', where(receipt.completionTokens, number)],
    ['Prompt tokens', where(receipt.promptTokens, number)],
    ['Cached', where(receipt.cachedTokens, number)],
    ['Generating', where(receipt.generateMs, duration)],
    ['Gateway', where(receipt.gatewayMs, duration)],
    ['Total', where(receipt.totalMs, duration)],
    ['Model', receipt.servedModel],
    ['Target', receipt.servedTarget],
    ['Attempts', where(receipt.attempts, number)],
    ['Request', receipt.requestId],
  ];
  return rows.flatMap(([label, value]) => (value === undefined ? [] : [[label, value] as const]));
}

/** The main figures in one line. */
export function receiptSummary(receipt: Receipt): string {
  const { completionTokens, queueMs, firstTokenMs, cachedTokens = 0 } = receipt;
  const parts = [
    where(completionTokens, (count) => plural(count, 'token')),
    where(speedOf(receipt), tokenRate),
    where(firstTokenMs, (ms) => `first token ${duration(ms)}`),
    where(queueMs, (ms) => `queue ${duration(ms)}`),
    cachedTokens > 0 ? `${number(cachedTokens)} cached` : undefined,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? 'Receipt' : parts.join(' · ');
}

/** Undefined stays so. */
function where(value: number | undefined, write: (value: number) => string): string | undefined {
  return value === undefined ? undefined : write(value);
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

type Mutable<T> = { -readonly [K in keyof T]?: T[K] | undefined };

function withoutUndefined(receipt: Mutable<Receipt>): Receipt {
  return Object.fromEntries(Object.entries(receipt).filter(([, value]) => value !== undefined));
}
