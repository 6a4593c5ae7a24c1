/**
 * The features that not every backend supports: how to see that a request asks for one, by which field (its native name), and
 * how to drop it. A backend refuses what it does not support before it sends anything; serving decides whether the field
 * is then dropped instead. Pure.
 */
import { ServingError } from './errors.ts';
import type { GenerationRequest, OutputFormat, Sampling } from './generation.ts';
import { imagesOf } from './tool-images.ts';

interface FeatureSpec {
  /** The field that asks for it, if the request does. */
  askedBy(request: GenerationRequest): string | undefined;
  /** Completes the error where the field is supported, but not in this combination. */
  readonly when?: string;
  /** The request without it; absent for content: without it the answer would be to another question. */
  readonly without?: (request: GenerationRequest) => GenerationRequest;
  /**
   * Clients send it by default and their answers are sound without it: it is dropped in strict compatibility too, and the
   * response names it as dropped.
   */
  readonly optional?: true;
}

export const FEATURES = {
  json: output('json'),
  'json-schema': output('json-schema'),
  grammar: output('grammar'),
  regex: output('regex'),
  choice: output('choice'),
  tools: {
    askedBy: ({ tools }) => (tools === undefined ? undefined : 'tools'),
    without: ({ tools: _, ...request }) => request,
  },
  /**
   * The answer is a call, or text in the format: servers that constrain the whole answer by one grammar cannot do both.
   * Where a call is forced the format is redundant: see withoutRedundantFormat().
   */
  'format-beside-tools': {
    askedBy: ({ output, tools }) =>
      output === undefined || tools?.choice !== 'auto' ? undefined : outputField(output),
    when: 'beside tools that may be called',
    without: withoutOutput,
  },
  'tool-choice': {
    askedBy: ({ tools }) =>
      tools?.choice === 'required' || typeof tools?.choice === 'object' ? 'tool_choice' : undefined,
    without: (request) =>
      request.tools === undefined ? request : { ...request, tools: { ...request.tools, choice: 'auto' } },
  },
  'single-tool-call': {
    askedBy: ({ tools }) => (tools?.single && tools.choice !== 'none' ? 'parallel_tool_calls' : undefined),
    without: (request) => {
      if (request.tools === undefined) return request;
      const { single: _, ...tools } = request.tools;
      return { ...request, tools };
    },
  },
  /** A forced call follows its schema anyway. */
  'strict-tools': {
    askedBy: ({ tools }) => {
      if (tools?.choice !== 'auto') return undefined;
      const index = tools.tools.findIndex(({ strict }) => strict);
      return index === -1 ? undefined : `tools[${index}].strict`;
    },
    without: (request) => {
      if (request.tools === undefined) return request;
      const tools = request.tools.tools.map(({ strict: _, ...tool }) => tool);
      return { ...request, tools: { ...request.tools, tools } };
    },
    optional: true,
  },
  /** The last message is the beginning of the answer. */
  continuation: {
    askedBy: ({ input }) =>
      input.kind === 'chat' && input.continuesLast ? 'continue_final_message' : undefined,
  },
  'token-prompt': {
    askedBy: ({ input }) => (input.kind === 'tokens' ? 'prompt' : undefined),
    when: 'made of token ids',
  },
  'tool-messages': { askedBy: toolMessage },
  images: { askedBy: messageWithImages },
  logprobs: {
    askedBy: ({ logprobs }) => (logprobs === undefined ? undefined : 'logprobs'),
    without: ({ logprobs: _, ...request }) => request,
  },
  'logit-bias': sampling('logitBias', 'logit_bias'),
  'bad-words': sampling('badWords', 'bad_words'),
  'top-k': sampling('topK', 'top_k'),
  'min-p': sampling('minP', 'min_p'),
  'repeat-penalty': sampling('repeatPenalty', 'repeat_penalty'),
  'repeat-last-n': samplingBeyond('repeatLastN', 'repeat_last_n', 64),
  'typical-p': samplingBeyond('typicalP', 'typical_p', 1),
  mirostat: {
    ...sampling('mirostat', 'mirostat'),
    askedBy: ({ sampling: { mirostat } }) => (mirostat?.mode ? 'mirostat' : undefined),
  },
  /** Without an effect where a context is never shifted. */
  'keep-tokens': { ...limit('keepTokens', 'num_keep'), optional: true },
  'stop-tokens': limit('stopTokens', 'stop_token_ids'),
  'min-tokens': limit('minTokens', 'min_tokens'),
  'ignore-eos': limit('ignoreEos', 'ignore_eos'),
  /** Asked only where the model is to think: one that cannot has nothing to switch off. */
  think: {
    askedBy: ({ thinking }) => (thinking === undefined || thinking === false ? undefined : 'think'),
    without: ({ thinking: _, ...request }) => request,
  },
} as const satisfies Record<string, FeatureSpec>;

export type Feature = keyof typeof FEATURES;

interface UnsupportedDetails {
  /** What to do instead. */
  readonly advice?: string;
  readonly when?: string | undefined;
}

/** `field` by its native name: the edge translates it. `who` does not support it: "the ollama backend", "this model". */
export function unsupported(
  field: string,
  who: string,
  { advice = 'Remove it, or use another model.', when }: UnsupportedDetails = {},
): ServingError {
  const what = when === undefined ? field : `${field} ${when}`;
  const message = `${what} is not supported by ${who}. ${advice}`;
  return new ServingError('unsupported_parameter', { message, param: field });
}

interface SupportedFeatures {
  readonly backend: string;
  /** The same list with every call: what it lacks is worked out once. */
  readonly supports: readonly Feature[];
  /** Names of fields that are passed on as the client wrote them. */
  readonly passes?: ReadonlySet<string>;
}

const PASSES_NONE: ReadonlySet<string> = new Set();

/** Throws for the first feature that the request asks for and the backend does not support. */
export function refuseUnsupported(
  request: GenerationRequest,
  { backend, supports, passes = PASSES_NONE }: SupportedFeatures,
): void {
  for (const { askedBy, when } of missingAmong(supports)) {
    const field = askedBy(request);
    if (field !== undefined) throw unsupported(field, whoIs(backend), { when });
  }
  const extra = request.extras && unsupportedExtra(request, passes);
  if (extra !== undefined) throw unsupported(extra, whoIs(backend));
}

function whoIs(backend: string): string {
  return `the ${backend} backend, which serves this model`;
}

/** By a backend's list of what it supports: the features to look for in each of its requests. */
const MISSING = new WeakMap<readonly Feature[], readonly FeatureSpec[]>();

function missingAmong(supports: readonly Feature[]): readonly FeatureSpec[] {
  const known = MISSING.get(supports);
  if (known !== undefined) return known;
  const features = Object.keys(FEATURES) as Feature[];
  const missing = features
    .filter((feature) => !supports.includes(feature))
    .map((feature) => FEATURES[feature]);
  MISSING.set(supports, missing);
  return missing;
}

/** The request without a format for its text where a tool call is forced, since the answer then has no text. */
export function withoutRedundantFormat(request: GenerationRequest): GenerationRequest {
  const { output, tools } = request;
  const isForced = tools !== undefined && tools.choice !== 'auto' && tools.choice !== 'none';
  return output === undefined || !isForced ? request : withoutOutput(request);
}

/** Fields that every backend supports and a single model may still refuse, as reasoning models do. `maxTokens` is never dropped. */
const COMMON_FIELDS = {
  temperature: sampling('temperature', 'temperature'),
  'top-p': sampling('topP', 'top_p'),
  seed: sampling('seed', 'seed'),
  'presence-penalty': sampling('presencePenalty', 'presence_penalty'),
  'frequency-penalty': sampling('frequencyPenalty', 'frequency_penalty'),
  stop: {
    askedBy: ({ limits }) => (limits.stop.length === 0 ? undefined : 'stop'),
    without: (request) => ({ ...request, limits: { ...request.limits, stop: [] } }),
  },
  /** That the model is not to think. The answer is sound if it thinks all the same, only later: its client is told, and not refused. */
  'think-off': {
    askedBy: (request) => (asksNotToThink(request) ? 'think' : undefined),
    without: ({ thinking: _, ...request }) => request,
    optional: true,
  },
} as const satisfies Record<string, FeatureSpec>;

/** What may be dropped of a request where its backend does not support it: every setting, or only the optional ones. */
export type Droppable = 'settings' | 'optional';

/** The request without a field (by its native name); undefined where it may not be dropped. */
export function withoutField(
  request: GenerationRequest,
  field: string,
  droppable: Droppable = 'settings',
): GenerationRequest | undefined {
  const specs: readonly FeatureSpec[] = [...Object.values(FEATURES), ...Object.values(COMMON_FIELDS)];
  const spec = specs.find(({ askedBy }) => askedBy(request) === field);
  if (droppable === 'optional' && !spec?.optional) return undefined;
  if (spec !== undefined) return spec.without?.(request);
  const isExtra = Object.hasOwn(request.extras ?? {}, field.replace(/\..*/, ''));
  return isExtra ? withoutExtra(request, field) : undefined;
}

/** Its client says so, and the answer begins where a model would think: after a chat template, and not in the middle of a message. */
export function asksNotToThink({
  thinking,
  thinkingIsDefault,
  input,
}: Pick<GenerationRequest, 'thinking' | 'thinkingIsDefault' | 'input'>): boolean {
  return thinking === false && !thinkingIsDefault && input.kind === 'chat' && !input.continuesLast;
}

/** The native field that asks for a format of the text. */
export function outputField({ kind }: OutputFormat): string {
  return kind === 'json' || kind === 'json-schema' ? 'format' : kind;
}

function output(kind: OutputFormat['kind']) {
  return {
    askedBy: ({ output }: GenerationRequest) => (output?.kind === kind ? outputField(output) : undefined),
    without: withoutOutput,
  };
}

function sampling(name: keyof Sampling, field: string) {
  return {
    askedBy: (request: GenerationRequest) => (request.sampling[name] === undefined ? undefined : field),
    without: (request: GenerationRequest): GenerationRequest => {
      const { [name]: _, ...rest } = request.sampling;
      return { ...request, sampling: rest };
    },
  };
}

/** `usual`: the value that it has everywhere where nobody sets it. */
function samplingBeyond(name: 'repeatLastN' | 'typicalP', field: string, usual: number) {
  return {
    ...sampling(name, field),
    askedBy: ({ sampling: { [name]: value = usual } }: GenerationRequest) =>
      value === usual ? undefined : field,
  };
}

function limit(name: 'stopTokens' | 'minTokens' | 'ignoreEos' | 'keepTokens', field: string) {
  return {
    askedBy: (request: GenerationRequest) => (request.limits[name] === undefined ? undefined : field),
    without: (request: GenerationRequest): GenerationRequest => {
      const { [name]: _, ...rest } = request.limits;
      return { ...request, limits: rest };
    },
  };
}

function toolMessage({ input }: GenerationRequest): string | undefined {
  if (input.kind !== 'chat') return undefined;
  const index = input.messages.findIndex(
    (message) => message.role === 'tool' || (message.role === 'assistant' && message.toolCalls !== undefined),
  );
  if (index === -1) return undefined;
  return `messages[${index}].${input.messages[index]?.role === 'tool' ? 'role' : 'tool_calls'}`;
}

function messageWithImages({ input }: GenerationRequest): string | undefined {
  if (input.kind !== 'chat') return undefined;
  const index = input.messages.findIndex((message) => imagesOf(message) !== undefined);
  return index === -1 ? undefined : `messages[${index}].images`;
}

// Extras that constrain an answer, from the APIs of other servers. Where no protocol has read such a field and the backend does
// not pass it on, it is refused by its name: without it the answer would be to another question.

/** Each constrains the text of the answer; a request has at most one of them. */
export const OUTPUT_EXTRAS = [
  'structured_outputs',
  'guided_json',
  'guided_regex',
  'guided_choice',
  'guided_grammar',
  'grammar',
  'json_schema',
] as const;

/** Field → whether its value constrains the answer. */
const OTHER_EXTRAS: Readonly<Record<string, (value: unknown) => boolean>> = {
  // Fields of vLLM that are not supported here.
  add_generation_prompt: (value) => value === false,
  allowed_token_ids: isGiven,
  guided_whitespace_pattern: isGiven,
  include_stop_str_in_output: (value) => value === true,
  structural_tag: isGiven,
  // Fields of SGLang.
  ebnf: isGiven,
  // Fields that another route reads.
  bad_words: isGiven,
  choice: isGiven,
  continue_final_message: (value) => value === true,
  echo: (value) => value === true,
  prompt_logprobs: (value) => isGiven(value) && value !== false,
  regex: isGiven,
  response_format: (value) => isGiven(value) && Object(value).type !== 'text',
  stop_token_ids: isGiven,
  use_beam_search: (value) => value === true,
};

/** Parts of `structured_outputs` that the request's `output` covers, or that only concern the implementation of another server. */
const COVERED_BY_OUTPUT: ReadonlySet<string> = new Set([
  'json',
  'regex',
  'choice',
  'grammar',
  'json_object',
  'disable_fallback',
]);

/** The first extra that constrains the answer and is not passed on; with the name of its part, where only that is unsupported. */
function unsupportedExtra(
  { extras = {}, output }: Pick<GenerationRequest, 'extras' | 'output'>,
  passes: ReadonlySet<string>,
): string | undefined {
  const isLeft = (name: string) => !passes.has(name) && Object.hasOwn(extras, name);
  const other = Object.entries(OTHER_EXTRAS).find(([name, binds]) => isLeft(name) && binds(extras[name]));
  if (other !== undefined) return other[0];
  const written = OUTPUT_EXTRAS.find((name) => isLeft(name) && isGiven(extras[name]));
  if (written === undefined) return undefined;
  if (written !== 'structured_outputs') return output === undefined ? written : undefined;
  const part = Object.entries(Object(extras[written])).find(
    ([name, value]) => isGiven(value) && value !== false && !(output && COVERED_BY_OUTPUT.has(name)),
  );
  return part === undefined ? undefined : `${written}.${part[0]}`;
}

/** The request without an extra, or without a part of one. */
function withoutExtra(request: GenerationRequest, field: string): GenerationRequest {
  const [name = '', part] = field.split('.');
  const { [name]: value, ...extras } = request.extras ?? {};
  if (part === undefined) return { ...request, extras };
  const { [part]: _, ...parts } = Object(value) as Readonly<Record<string, unknown>>;
  return { ...request, extras: { ...extras, [name]: parts } };
}

/** The request without its output format, in whatever field the client wrote it. */
function withoutOutput({ output: _, extras, ...request }: GenerationRequest): GenerationRequest {
  if (extras === undefined) return request;
  const others = Object.entries(extras).filter(([name]) => !OUTPUT_EXTRAS.some((known) => known === name));
  return { ...request, extras: Object.fromEntries(others) };
}

function isGiven(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}
