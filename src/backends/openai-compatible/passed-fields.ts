/**
 * Fields of clients that no protocol here knows but the server behind a target does: passed on by name, as they came, and only
 * those listed here or in the target's `pass_fields`. None may say again what this server decides. Pure.
 */
import { OUTPUT_EXTRAS } from '../../core/binding-extras.ts';
import type { Feature } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import type { Flavor } from './dialect.ts';

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
const OURS: ReadonlySet<string> = new Set([
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
  const bad = fields.find((field) => OURS.has(field));
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
    ([name, value]) => names.has(name) && !OURS.has(name) && value !== null,
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
export function saysOutput(passed: Readonly<Record<string, unknown>>, flavor: Flavor): boolean {
  const written = OUTPUT_EXTRAS.find((name) => Object.hasOwn(passed, name));
  return written !== undefined && !(flavor === 'vllm' && written.startsWith('guided_'));
}
