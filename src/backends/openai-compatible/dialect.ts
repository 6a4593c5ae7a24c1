/**
 * How servers that speak the OpenAI API differ: which fields beyond it they know, how health is told, what they do in their own way.
 * A flavour's name is written in this folder only.
 */

import { type Feature, OUTPUT_EXTRAS } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import { asArray, asObject, asText } from '../../upstream/untyped.ts';
import type { JsonResponse, Upstream } from '../../upstream/upstream.ts';

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
  if (isVllmVersion(version)) return DIALECTS.vllm;
  const props = await upstream.json({ method: 'GET', path: '/props', signal });
  const isLlamaServer = props.status === 200 && 'default_generation_settings' in asObject(props.body);
  return isLlamaServer ? DIALECTS['llama-server'] : DIALECTS.generic;
}

/** Other servers have a `/version` too; this one runs on uvicorn. */
function isVllmVersion({ status, headers, body }: JsonResponse): boolean {
  return status === 200 && headers.server === 'uvicorn' && asText(asObject(body).version) !== undefined;
}

/**
 * Fields of clients that no protocol here knows but the server behind a target does: passed on by name, as they came, and only
 * those listed here or in the target's `pass_fields`. None may say again what this server decides. Pure.
 */

/**
 * Left out on purpose: what cuts prompts (truncate_prompt_tokens), what is decided here (priority, n, id_slot), what the
 * answers of this server have no place for (prompt_logprobs, return_token_ids), what runs a client’s code (chat_template),
 * what takes as much memory as it says (mm_processor_kwargs).
 */
export const PASSED_FIELDS: Readonly<Record<Flavor, readonly string[]>> = {
  vllm: [
    'chat_template_kwargs',
    'add_generation_prompt',
    'continue_final_message',
    'add_special_tokens',
    'documents',
    'structured_outputs',
    'guided_json',
    'guided_regex',
    'guided_choice',
    'guided_grammar',
    'guided_whitespace_pattern',
    'guided_decoding_backend',
    'stop_token_ids',
    'include_stop_str_in_output',
    'skip_special_tokens',
    'spaces_between_special_tokens',
    'allowed_token_ids',
    'bad_words',
    'thinking_token_budget',
    'include_reasoning',
    'repetition_detection',
    'cache_salt',
  ],
  'llama-server': [
    'chat_template_kwargs',
    'add_generation_prompt',
    'continue_final_message',
    'grammar',
    'json_schema',
    'cache_prompt',
    'samplers',
    'min_keep',
    'dynatemp_range',
    'dynatemp_exponent',
    'typical_p',
    'top_n_sigma',
    'xtc_probability',
    'xtc_threshold',
    'repeat_last_n',
    'dry_multiplier',
    'dry_base',
    'dry_allowed_length',
    'dry_penalty_last_n',
    'dry_sequence_breakers',
    'mirostat',
    'mirostat_tau',
    'mirostat_eta',
    'thinking_budget_tokens',
    'reasoning_format',
  ],
  generic: [],
};

/** What a request says in its own right, or what this server decides. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'prompt',
  'stream',
  'stream_options',
  'n',
  'n_cmpl',
  'best_of',
  'echo',
  'suffix',
  'max_tokens',
  'max_completion_tokens',
  'n_predict',
  'min_tokens',
  'ignore_eos',
  'stop',
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'seed',
  'presence_penalty',
  'frequency_penalty',
  'repetition_penalty',
  'repeat_penalty',
  'logit_bias',
  'logprobs',
  'top_logprobs',
  'n_probs',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'response_format',
  'reasoning_effort',
]);

/** Throws an Error whose message names the first that may not be passed on. */
export function checkPassFields(fields: readonly string[]): void {
  const bad = fields.find((field) => OWN_FIELDS.has(field));
  if (bad === undefined) return;
  throw new Error(
    `pass_fields names ${bad}, which requests say in their own right or this server decides. Leave it away.`,
  );
}

/** Those of a dialect, and a target's own. */
export function passedNames(flavor: Flavor, own: readonly string[]): ReadonlySet<string> {
  return new Set([...PASSED_FIELDS[flavor], ...own]);
}

const NOTHING = {};

/** `null` counts as absent. */
export function passedFields(
  { extras }: Pick<GenerationRequest, 'extras'>,
  names: ReadonlySet<string>,
): Readonly<Record<string, unknown>> {
  if (extras === undefined) return NOTHING;
  const passed = Object.entries(extras).filter(
    ([name, value]) => names.has(name) && !OWN_FIELDS.has(name) && value !== null,
  );
  return Object.fromEntries(passed);
}

/** Fields that requests say in their own right, under the very names that these servers have for them. */
const FEATURES_BY_NAME: Readonly<Record<string, Feature>> = {
  bad_words: 'bad-words',
  continue_final_message: 'continuation',
  stop_token_ids: 'stop-tokens',
};

/** What a server can do because it takes the field of that name. */
export function passedFeatures(names: ReadonlySet<string>): readonly Feature[] {
  return Object.entries(FEATURES_BY_NAME).flatMap(([name, feature]) => (names.has(name) ? [feature] : []));
}

/**
 * The format of the text goes to the server as the client wrote it. Its older names do not say it alone: releases of vLLM from
 * 0.12 on ignore them without a word.
 */
export function setsOutputFormat(passed: Readonly<Record<string, unknown>>, flavor: Flavor): boolean {
  const written = OUTPUT_EXTRAS.find((name) => Object.hasOwn(passed, name));
  return written !== undefined && !(flavor === 'vllm' && written.startsWith('guided_'));
}
