/**
 * What a request may ask that not every backend can do: how to see that it is asked, by which field (in native words), and how
 * to leave it away. A backend refuses what it cannot do before anything is sent; whether it is then left away instead is
 * for serving to say. Pure.
 */

import { ServingError } from './errors.ts';
import type { GenerationRequest, OutputFormat, Sampling } from './generation.ts';

interface FeatureSpec {
  /** The field that asks for it, if the request does. */
  askedBy(request: GenerationRequest): string | undefined;
  /** Where the field alone is not what cannot be done: beside what it cannot. */
  readonly when?: string;
  /** The request without it; absent for what is content and no setting: an answer without it would be to another question. */
  readonly without?: (request: GenerationRequest) => GenerationRequest;
  /**
   * Clients send it unasked and their answers are sound without it: a backend that cannot honour it answers without it in
   * strict compatibility too, and the answer names it as dropped.
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
   * An answer is a call or text in the format: servers that bind the whole answer to one grammar cannot promise both.
   * Where a call is forced the format has nothing to say: see withoutMootFormat().
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

/** `field` in native words: protocols say it in theirs. `who` cannot do it: "the ollama backend", "this model". */
export function unsupported(
  field: string,
  who: string,
  { advice = 'Leave it away, or use another model.', when }: UnsupportedDetails = {},
): ServingError {
  const what = when === undefined ? field : `${field} ${when}`;
  const message = `${what} is not supported by ${who}. ${advice}`;
  return new ServingError('unsupported_parameter', { message, param: field });
}

interface SupportedFeatures {
  readonly backend: string;
  /** A list that lasts: what is missing in it is found once. */
  readonly supports: readonly Feature[];
  /** Names of fields that are passed on as the client wrote them. */
  readonly passes?: ReadonlySet<string>;
}

const PASSES_NONE: ReadonlySet<string> = new Set();

/** Throws for the first feature that is asked for and not among the supported ones. */
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

/** By the list that a backend keeps of what it supports: what to look for in each of its requests. */
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

/** Where a call is forced the answer has no text, so a format for its text asks for nothing. */
export function withoutRedundantFormat(request: GenerationRequest): GenerationRequest {
  const { output, tools } = request;
  const isForced = tools !== undefined && tools.choice !== 'auto' && tools.choice !== 'none';
  return output === undefined || !isForced ? request : withoutOutput(request);
}

/** What every backend knows but a single model may refuse, as those that reason do. A bound on the answer is never left away. */
const PLAIN_FIELDS = {
  temperature: sampling('temperature', 'temperature'),
  'top-p': sampling('topP', 'top_p'),
  seed: sampling('seed', 'seed'),
  'presence-penalty': sampling('presencePenalty', 'presence_penalty'),
  'frequency-penalty': sampling('frequencyPenalty', 'frequency_penalty'),
  stop: {
    askedBy: ({ limits }) => (limits.stop.length === 0 ? undefined : 'stop'),
    without: (request) => ({ ...request, limits: { ...request.limits, stop: [] } }),
  },
} as const satisfies Record<string, FeatureSpec>;

/** What may be dropped of a request that its backend cannot honour: every setting, or optional ones alone. */
export type Droppable = 'settings' | 'optional';

/** The request without what its field (in native words) asks for; undefined where that may not be dropped. */
export function withoutField(
  request: GenerationRequest,
  field: string,
  droppable: Droppable = 'settings',
): GenerationRequest | undefined {
  const specs: readonly FeatureSpec[] = [...Object.values(FEATURES), ...Object.values(PLAIN_FIELDS)];
  const spec = specs.find(({ askedBy }) => askedBy(request) === field);
  if (droppable === 'optional' && !spec?.optional) return undefined;
  if (spec !== undefined) return spec.without?.(request);
  const isExtra = Object.hasOwn(request.extras ?? {}, field.replace(/\..*/, ''));
  return isExtra ? withoutExtra(request, field) : undefined;
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

function limit(name: 'stopTokens' | 'minTokens' | 'ignoreEos', field: string) {
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
  const index = input.messages.findIndex(
    (message) => message.role === 'user' && message.images !== undefined,
  );
  return index === -1 ? undefined : `messages[${index}].images`;
}

/**
 * Fields of other servers' APIs that bind an answer. Where nothing here has read such a field and the backend does not pass
 * it on by its name, it is refused by name: an answer without it would be to another question. Pure.
 */

/** Each constrains the text of the answer; a request has one of them at most. */
export const OUTPUT_EXTRAS = [
  'structured_outputs',
  'guided_json',
  'guided_regex',
  'guided_choice',
  'guided_grammar',
  'grammar',
  'json_schema',
] as const;

/** Field → the values that constrain an answer; all others ask for nothing. */
const OTHER_EXTRAS: Readonly<Record<string, (value: unknown) => boolean>> = {
  // Fields of vLLM that nothing here honours.
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

/** Of `structured_outputs`: what the request's `output` says, and what only concerns how another server does it. */
const SAID_BY_OUTPUT: ReadonlySet<string> = new Set([
  'json',
  'regex',
  'choice',
  'grammar',
  'json_object',
  'disable_fallback',
]);

/** The first that binds the answer and is not passed on; with its part, where only that is not honoured. */
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
    ([name, value]) => isGiven(value) && value !== false && !(output && SAID_BY_OUTPUT.has(name)),
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

/** Also without what the client wrote it as. */
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
