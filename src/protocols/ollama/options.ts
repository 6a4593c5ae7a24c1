/** `options` become sampling and limits. What would change the answer and cannot be had is refused, unless it asks for what is anyway. */
import { unsupported } from '../../core/features.ts';
import type { Limits, LogprobsWish, Sampling } from '../../core/generation.ts';
import type { FoundModel } from '../generation-route.ts';
import type { FieldNames } from '../route-base.ts';
import type { Options } from './options-schema.ts';

/** Native field → what it is called here. */
export const OPTION_NAMES: FieldNames = {
  temperature: 'options.temperature',
  top_p: 'options.top_p',
  top_k: 'options.top_k',
  min_p: 'options.min_p',
  seed: 'options.seed',
  presence_penalty: 'options.presence_penalty',
  frequency_penalty: 'options.frequency_penalty',
  repeat_penalty: 'options.repeat_penalty',
  stop: 'options.stop',
  max_tokens: 'options.num_predict',
};

/**
 * What these are when nobody says it. `mirostat_tau` and `mirostat_eta` mean nothing without mirostat, and `num_keep` nothing
 * where a context is never shifted.
 */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  repeat_last_n: 64,
  mirostat: 0,
  tfs_z: 1,
  typical_p: 1,
  penalize_newline: true,
};

/** `num_ctx` is no such thing: the context is as configured, and a prompt that does not fit is refused whatever was asked for. */
export function refuseUnknownArts(options: Options): void {
  const given: Readonly<Record<string, unknown>> = options;
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    if (given[name] === undefined || given[name] === usual) continue;
    throw unsupported(`options.${name}`, 'this server', { advice: `Leave it away: it is always ${usual}.` });
  }
}

/** What a client may say and changes nothing, as X-Dropped-Parameters names it. */
export function droppedFields({
  keep_alive,
  options = {},
}: {
  readonly keep_alive?: number | string;
  readonly options?: { readonly num_ctx?: number };
}): { dropped?: readonly string[] } {
  const dropped = [
    ...(keep_alive === undefined ? [] : ['keep_alive']),
    ...(options.num_ctx === undefined ? [] : ['options.num_ctx']),
  ];
  return dropped.length === 0 ? {} : { dropped };
}

/** Zero seconds, in any unit that durations are written in. */
export function asksToUnload(keepAlive: number | string | undefined): boolean {
  return keepAlive === 0 || /^[+-]?0+(\.0*)?(ns|us|µs|ms|s|m|h)?$/.test(String(keepAlive ?? ''));
}

export function parseSampling(options: Options): Sampling {
  const { temperature, top_p, top_k, min_p, seed } = options;
  const { repeat_penalty, presence_penalty, frequency_penalty } = options;
  return {
    ...(temperature !== undefined && { temperature }),
    ...(top_p !== undefined && { topP: top_p }),
    ...(top_k !== undefined && { topK: Math.max(0, top_k) }),
    ...(min_p !== undefined && { minP: min_p }),
    ...(seed !== undefined && seed >= 0 && { seed }),
    ...(presence_penalty !== undefined && { presencePenalty: presence_penalty }),
    ...(frequency_penalty !== undefined && { frequencyPenalty: frequency_penalty }),
    ...(repeat_penalty !== undefined && { repeatPenalty: repeat_penalty }),
  };
}

/** No number, 0 and below: there is no limit but the context. */
export function parseLimits({ num_predict, stop = [] }: Options, { contextSize }: FoundModel): Limits {
  const isLimit = num_predict !== undefined && num_predict > 0;
  return {
    ...(isLimit && { maxTokens: Math.min(num_predict, contextSize ?? num_predict) }),
    stop: typeof stop === 'string' ? [stop] : stop,
  };
}

export function parseLogprobs(body: {
  readonly logprobs?: boolean;
  readonly top_logprobs?: number;
}): LogprobsWish | undefined {
  return body.logprobs ? { top: body.top_logprobs ?? 0 } : undefined;
}
