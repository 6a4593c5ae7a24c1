/**
 * How servers that speak the OpenAI API differ: which fields beyond it they know, how they report their health, and which fields of
 * a request are passed on to them unchanged. Data and pure functions; a flavor's name is written in this folder only.
 */
import { type Feature, OUTPUT_EXTRAS } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';

type ReasoningField = 'reasoning' | 'reasoning_content';

/** How a target's earlier reasoning is told; `auto`: as its server reads it. */
export type ReasoningSetting = 'auto' | 'none' | ReasoningField;

export type Flavor = 'vllm' | 'llama-server' | 'generic';

export interface Dialect {
  readonly flavor: Flavor;
  /** Names of sampling fields that the OpenAI API lacks. Absent: unknown to the server. */
  readonly topK?: string;
  readonly minP?: string;
  readonly repeatPenalty?: string;
  readonly repeatLastN?: string;
  readonly typicalP?: string;
  readonly mirostat?: { readonly mode: string; readonly tau: string; readonly eta: string };
  /** How much of a prompt stays where the context is shifted. */
  readonly keepTokens?: string;
  /** Features of a request, beyond text, that the server supports. */
  readonly supports: readonly Feature[];
  /** Chat templates take `enable_thinking`. */
  readonly templateSwitch: boolean;
  /** Fields for an assistant's earlier reasoning. */
  readonly reasoningFields: readonly ReasoningField[];
  /** They are there beside calls also where nothing was thought: some services reject calls without them. */
  readonly reasoningBesideCalls?: boolean;
  /** `tool_choice` may name a tool. Otherwise that tool alone is sent, and a call is required. */
  readonly namesTools: boolean;
  /** For formats that the OpenAI API lacks (vllm: `structured_outputs`; llama-server: `grammar`, `json_schema`). */
  readonly grammarFields: 'structured-outputs' | 'plain' | 'none';
  /** Whether chats with tools may have log-probabilities, the fewest alternatives, and the field's name for raw prompts. */
  readonly logprobs: { readonly withTools: boolean; readonly minTop: 0 | 1; readonly promptField: string };
  readonly tokenizes: boolean;
  /** `base64`: a quarter of the bytes, and cheaper to read. Others of these servers may not know it. */
  readonly embeddingFormat: 'float' | 'base64';
  /** How a stream can begin with the prompt's length: in the usage of each chunk, or as progress before the first. */
  readonly promptTokensFrom: 'usage' | 'progress' | 'none';
  /** Whether the engine is alive (vllm), or still loading (llama-server). */
  readonly healthPath?: '/health';
  /** How many requests run at once, and what the model's chat template supports. */
  readonly propsPath?: '/props';
  /** Routes that report its load; the first that the server has counts. */
  readonly loadPaths: readonly ('/metrics' | '/slots')[];
  /** It reports its load in a header of whole answers, if asked. */
  readonly reportsLoad: boolean;
  /** What a 503 of `/health` means. */
  readonly unhealthyState: 'failed' | 'loading';
  /** `max_tokens: null` asks for all that the context leaves. */
  readonly nullMeansRest: boolean;
  /** Serves any model name if it has only one model. */
  readonly ignoresModelName: boolean;
  /** A model that /v1/models does not list is not served. */
  readonly listsAllModels: boolean;
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
    // Releases read one or the other, and ignore the rest.
    reasoningFields: ['reasoning', 'reasoning_content'],
    namesTools: true,
    grammarFields: 'structured-outputs',
    logprobs: { withTools: true, minTop: 0, promptField: 'logprobs' },
    embeddingFormat: 'base64',
    tokenizes: true,
    promptTokensFrom: 'usage',
    healthPath: '/health',
    loadPaths: ['/metrics'],
    reportsLoad: true,
    unhealthyState: 'failed',
    nullMeansRest: true,
    ignoresModelName: false,
    listsAllModels: true,
  },
  'llama-server': {
    flavor: 'llama-server',
    topK: 'top_k',
    minP: 'min_p',
    repeatPenalty: 'repeat_penalty',
    repeatLastN: 'repeat_last_n',
    typicalP: 'typical_p',
    mirostat: { mode: 'mirostat', tau: 'mirostat_tau', eta: 'mirostat_eta' },
    keepTokens: 'n_keep',
    supports: [...LOCAL_FEATURES, 'repeat-last-n', 'typical-p', 'mirostat', 'keep-tokens'],
    templateSwitch: true,
    reasoningFields: ['reasoning_content'],
    // It reads an object there as "auto".
    namesTools: false,
    grammarFields: 'plain',
    // It rejects them in a stream with tools, and takes 0 alternatives as none at all.
    logprobs: { withTools: false, minTop: 1, promptField: 'n_probs' },
    embeddingFormat: 'base64',
    tokenizes: true,
    promptTokensFrom: 'progress',
    healthPath: '/health',
    propsPath: '/props',
    loadPaths: ['/metrics', '/slots'],
    reportsLoad: false,
    unhealthyState: 'loading',
    nullMeansRest: false,
    ignoresModelName: true,
    listsAllModels: true,
  },
  generic: {
    flavor: 'generic',
    // vLLM and llama-server constrain the whole answer to the format, so that no tool could be called.
    supports: [...OPENAI_FEATURES, 'format-beside-tools'],
    templateSwitch: false,
    reasoningFields: [],
    namesTools: true,
    grammarFields: 'none',
    logprobs: { withTools: true, minTop: 0, promptField: 'logprobs' },
    embeddingFormat: 'float',
    tokenizes: false,
    promptTokensFrom: 'none',
    loadPaths: [],
    reportsLoad: false,
    unhealthyState: 'failed',
    nullMeansRest: false,
    ignoresModelName: false,
    listsAllModels: false,
  },
};

/** Every flavor's, as one target wants them. */
export function dialectsOf(reasoning: ReasoningSetting = 'auto'): Readonly<Record<Flavor, Dialect>> {
  if (reasoning === 'auto') return DIALECTS;
  const reasoningFields = reasoning === 'none' ? [] : [reasoning];
  const asSet = (dialect: Dialect) => ({ ...dialect, reasoningFields, reasoningBesideCalls: true });
  const { vllm, generic, 'llama-server': llamaServer } = DIALECTS;
  return { vllm: asSet(vllm), generic: asSet(generic), 'llama-server': asSet(llamaServer) };
}

/**
 * Request fields that no protocol here knows but the server does: passed on unchanged, like those in the target's `pass_fields`.
 * Omitted on purpose: what cuts prompts (truncate_prompt_tokens), what is decided here (priority, n, id_slot), what our answers have
 * no place for (prompt_logprobs, return_token_ids), what runs a client’s code (chat_template), what allocates as much memory as it
 * says (mm_processor_kwargs).
 */
export const PASSED_FIELDS: Readonly<Record<Flavor, readonly string[]>> = {
  vllm: [
    'user',
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
    'user',
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
  generic: ['user'],
};

/** Fields that the protocols here know, or that this server sets: never passed on. */
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

/** Throws an Error that names the first field that may not be passed on. */
export function checkPassFields(fields: readonly string[]): void {
  const bad = fields.find((field) => OWN_FIELDS.has(field));
  if (bad === undefined) return;
  throw new Error(`pass_fields contains ${bad}, which this server reads or sets itself. Remove it.`);
}

/** The dialect's, and the target's own. */
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

/** Features whose field has the same name at these servers. */
const FEATURES_BY_NAME: Readonly<Record<string, Feature>> = {
  bad_words: 'bad-words',
  continue_final_message: 'continuation',
  stop_token_ids: 'stop-tokens',
};

/** What a server supports because the field is passed on. */
export function passedFeatures(names: ReadonlySet<string>): readonly Feature[] {
  return Object.entries(FEATURES_BY_NAME).flatMap(([name, feature]) => (names.has(name) ? [feature] : []));
}

/**
 * The output format goes to the server as the client wrote it. The older names do not count: vLLM silently ignores them since 0.12.
 */
export function setsOutputFormat(passed: Readonly<Record<string, unknown>>, flavor: Flavor): boolean {
  const written = OUTPUT_EXTRAS.find((name) => Object.hasOwn(passed, name));
  return written !== undefined && !(flavor === 'vllm' && written.startsWith('guided_'));
}
