/** What an answer cost, from the last chunk and the headers of its response. Pure. */
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

/** Of the tokens after the first, in the time after it; undefined where that cannot be said. */
export function tokensPerSecond({ completionTokens = 0, generateMs = 0 }: Receipt): number | undefined {
  if (completionTokens < 2 || generateMs <= 0) return undefined;
  return ((completionTokens - 1) * 1000) / generateMs;
}

/** A label and its value each, the short ones first. */
export function receiptRows(receipt: Receipt): readonly (readonly [string, string])[] {
  const { queueMs, firstTokenMs, generateMs, gatewayMs, totalMs, promptTokens, cachedTokens } = receipt;
  const rate = tokensPerSecond(receipt);
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Queue', inMs(queueMs)],
    ['First token', inMs(firstTokenMs)],
    ['Speed', rate === undefined ? undefined : `${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`],
    ['Tokens', numberText(receipt.completionTokens)],
    ['Prompt tokens', numberText(promptTokens)],
    ['Cached', cachedTokens === undefined ? undefined : numberText(cachedTokens)],
    ['Generating', inMs(generateMs)],
    ['Gateway', inMs(gatewayMs)],
    ['Total', inMs(totalMs)],
    ['Model', receipt.servedModel],
    ['Target', receipt.servedTarget],
    ['Attempts', numberText(receipt.attempts)],
    ['Request', receipt.requestId],
  ];
  return rows.flatMap(([label, value]) => (value === undefined ? [] : [[label, value] as const]));
}

export function inMs(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined;
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 100 ? `${Math.round(ms)} ms` : `${Number(ms.toFixed(1))} ms`;
}

function numberText(value: number | undefined): string | undefined {
  return value?.toLocaleString('en');
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

type Mutable<T> = { -readonly [K in keyof T]?: T[K] | undefined };

function withoutUndefined(receipt: Mutable<Receipt>): Receipt {
  return Object.fromEntries(Object.entries(receipt).filter(([, value]) => value !== undefined));
}
