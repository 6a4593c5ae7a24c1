/** What streamed and whole answers end with: the reason and the usage. Pure. */
import type { FinishReason } from '../../core/generation.ts';
import type { Usage } from '../../core/usage.ts';
import { asCount, asObject } from '../../upstream/lenient.ts';
import { streamFailure } from './upstream-error.ts';

const FAILED_REASONS = ['abort', 'error'];

/** Throws for the reasons that are none: the server gave the answer up. */
export function checkReason(reason: string): void {
  if (FAILED_REASONS.includes(reason)) throw streamFailure({ message: `finish_reason ${reason}` });
}

/** Servers say "stop" where calls ended the answer, and have reasons of their own for its natural end. */
export function reasonOf(reason: string, called: boolean): FinishReason {
  if (reason === 'length' || reason === 'content_filter') return reason;
  return called ? 'tool_calls' : 'stop';
}

/** Undefined where the server tells none. */
export function usageOf(value: unknown): Usage | undefined {
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
