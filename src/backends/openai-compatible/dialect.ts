/**
 * How servers that speak the OpenAI API differ: which fields beyond it they know, and how health is told.
 * A flavour's name is written in this folder only.
 */

import type { Feature } from '../../core/features.ts';
import { asArray, asObject, asText } from '../../upstream/lenient.ts';
import type { JsonAnswer, Upstream } from '../../upstream/upstream.ts';

export type Flavor = 'vllm' | 'llama-server' | 'generic';

export interface Dialect {
  readonly flavor: Flavor;
  /** The names of sampling fields that the OpenAI API lacks; absent: not known there. */
  readonly topK?: string;
  readonly minP?: string;
  readonly repeatPenalty?: string;
  /** What is passed on beyond text. The OpenAI service itself promises no schema without its `strict` subset. */
  readonly supports: readonly Feature[];
  /** Chat templates take `enable_thinking`. */
  readonly templateSwitch: boolean;
  /** `/health` tells whether the engine lives (vllm) or still loads (llama-server). */
  readonly healthPath?: '/health';
  /** What `/health` means when it answers 503. */
  readonly unhealthy: 'failed' | 'loading';
  /** `max_tokens: null` asks for all that the context leaves. */
  readonly nullMeansRest: boolean;
  /** Answers for any model name when it serves just one. */
  readonly ignoresModelName: boolean;
}

export const DIALECTS: Readonly<Record<Flavor, Dialect>> = {
  vllm: {
    flavor: 'vllm',
    topK: 'top_k',
    minP: 'min_p',
    repeatPenalty: 'repetition_penalty',
    supports: [
      'json',
      'json-schema',
      'format-beside-tools',
      'logit-bias',
      'top-k',
      'min-p',
      'repeat-penalty',
      'think',
    ],
    templateSwitch: true,
    healthPath: '/health',
    unhealthy: 'failed',
    nullMeansRest: true,
    ignoresModelName: false,
  },
  'llama-server': {
    flavor: 'llama-server',
    topK: 'top_k',
    minP: 'min_p',
    repeatPenalty: 'repeat_penalty',
    supports: [
      'json',
      'json-schema',
      'format-beside-tools',
      'logit-bias',
      'top-k',
      'min-p',
      'repeat-penalty',
      'think',
    ],
    templateSwitch: true,
    healthPath: '/health',
    unhealthy: 'loading',
    nullMeansRest: false,
    ignoresModelName: true,
  },
  generic: {
    flavor: 'generic',
    supports: ['format-beside-tools', 'logit-bias', 'think'],
    templateSwitch: false,
    unhealthy: 'failed',
    nullMeansRest: false,
    ignoresModelName: false,
  },
};

/** By what the server says of itself. Undefined while it cannot tell, for example behind a proxy that finds it down. */
export async function detectDialect(upstream: Upstream, signal: AbortSignal): Promise<Dialect | undefined> {
  const models = await upstream.json({ method: 'GET', path: '/v1/models', signal });
  const owners = asArray(asObject(models.body).data).map((entry) => asText(asObject(entry).owned_by));
  if (models.headers.server === 'llama.cpp' || owners.includes('llamacpp')) return DIALECTS['llama-server'];
  if (owners.includes('vllm')) return DIALECTS.vllm;
  if (models.status >= 500) return undefined;
  const version = await upstream.json({ method: 'GET', path: '/version', signal });
  if (saysVllmVersion(version)) return DIALECTS.vllm;
  const props = await upstream.json({ method: 'GET', path: '/props', signal });
  const isLlamaServer = props.status === 200 && 'default_generation_settings' in asObject(props.body);
  return isLlamaServer ? DIALECTS['llama-server'] : DIALECTS.generic;
}

/** Other servers have a `/version` too; this one runs on uvicorn. */
function saysVllmVersion({ status, headers, body }: JsonAnswer): boolean {
  return status === 200 && headers.server === 'uvicorn' && asText(asObject(body).version) !== undefined;
}
