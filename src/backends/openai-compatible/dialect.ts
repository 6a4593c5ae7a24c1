/**
 * How servers that speak the OpenAI API differ: which fields beyond it they know, how health is told, what they do in their own way.
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
  /** What is passed on beyond text. */
  readonly supports: readonly Feature[];
  /** Chat templates take `enable_thinking`. */
  readonly templateSwitch: boolean;
  /** Under which names an assistant's earlier thoughts are told. */
  readonly thoughtNames: readonly ('reasoning' | 'reasoning_content')[];
  /** A tool is named in `tool_choice`; else it is the only one that is told, and a call is required. */
  readonly namesTools: boolean;
  /** Where the OpenAI API has no field for it (vllm: `structured_outputs`; llama-server: `grammar`, `json_schema`). */
  readonly grammarFields: 'structured-outputs' | 'plain' | 'none';
  /** Whether chats with tools may have log-probabilities, and whether they come only with at least one alternative. */
  readonly logprobs: { readonly withTools: boolean; readonly fewest: 0 | 1; readonly onPrompts: string };
  readonly tokenizes: boolean;
  /** How a stream can be made to begin with the prompt's length: by the usage in each chunk, or the progress before the first. */
  readonly earlyPrompt: 'usage' | 'progress' | 'none';
  /** `/health` tells whether the engine lives (vllm) or still loads (llama-server). */
  readonly healthPath?: '/health';
  /** Tells how many run at once, and what the model's template can say. */
  readonly propsPath?: '/props';
  /** What `/health` means when it answers 503. */
  readonly unhealthy: 'failed' | 'loading';
  /** `max_tokens: null` asks for all that the context leaves. */
  readonly nullMeansRest: boolean;
  /** Answers for any model name when it serves just one. */
  readonly ignoresModelName: boolean;
}

const OPENAI_FEATURES = [
  'json',
  'json-schema',
  'token-prompt',
  'tools',
  'tool-choice',
  'single-tool-call',
  'strict-tools',
  'tool-messages',
  'images',
  'logprobs',
  'logit-bias',
  'think',
] as const satisfies readonly Feature[];

const LOCAL_FEATURES = [
  ...OPENAI_FEATURES,
  'grammar',
  'top-k',
  'min-p',
  'repeat-penalty',
  'ignore-eos',
] as const satisfies readonly Feature[];

export const DIALECTS: Readonly<Record<Flavor, Dialect>> = {
  vllm: {
    flavor: 'vllm',
    topK: 'top_k',
    minP: 'min_p',
    repeatPenalty: 'repetition_penalty',
    supports: [...LOCAL_FEATURES, 'regex', 'choice', 'min-tokens'],
    templateSwitch: true,
    // Releases differ in which of the two they read; the other is ignored.
    thoughtNames: ['reasoning', 'reasoning_content'],
    namesTools: true,
    grammarFields: 'structured-outputs',
    logprobs: { withTools: true, fewest: 0, onPrompts: 'logprobs' },
    tokenizes: true,
    earlyPrompt: 'usage',
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
    supports: LOCAL_FEATURES,
    templateSwitch: true,
    thoughtNames: ['reasoning_content'],
    // It reads an object there as "auto".
    namesTools: false,
    grammarFields: 'plain',
    // It refuses them in a stream with tools, and 0 alternatives mean none at all.
    logprobs: { withTools: false, fewest: 1, onPrompts: 'n_probs' },
    tokenizes: true,
    earlyPrompt: 'progress',
    healthPath: '/health',
    propsPath: '/props',
    unhealthy: 'loading',
    nullMeansRest: false,
    ignoresModelName: true,
  },
  generic: {
    flavor: 'generic',
    // vLLM and llama-server hold the whole answer to the format, so that no tool could be called.
    supports: [...OPENAI_FEATURES, 'format-beside-tools'],
    templateSwitch: false,
    thoughtNames: [],
    namesTools: true,
    grammarFields: 'none',
    logprobs: { withTools: true, fewest: 0, onPrompts: 'logprobs' },
    tokenizes: false,
    earlyPrompt: 'none',
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
