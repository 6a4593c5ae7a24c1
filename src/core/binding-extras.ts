/**
 * Fields of other servers' APIs that bind an answer. Where nothing here has read such a field and the backend does not pass
 * it on by its name, it is refused by name: an answer without it would be to another question. Pure.
 */
import type { GenerationRequest } from './generation.ts';

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
export function unreadExtra(
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
export function withoutExtra(request: GenerationRequest, field: string): GenerationRequest {
  const [name = '', part] = field.split('.');
  const { [name]: value, ...extras } = request.extras ?? {};
  if (part === undefined) return { ...request, extras };
  const { [part]: _, ...parts } = Object(value) as Readonly<Record<string, unknown>>;
  return { ...request, extras: { ...extras, [name]: parts } };
}

/** Also without what the client wrote it as. */
export function withoutOutput({ output: _, extras, ...request }: GenerationRequest): GenerationRequest {
  if (extras === undefined) return request;
  const others = Object.entries(extras).filter(([name]) => !OUTPUT_EXTRAS.some((known) => known === name));
  return { ...request, extras: Object.fromEntries(others) };
}

function isGiven(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}
