/** What a conversation sends beside its messages: the fields, what they may be, and how they are read. Only what is set is sent. Pure. */

export interface Settings {
  readonly system: string;
  /** As the person wrote them, by field; absent or empty: not sent. */
  readonly parameters: Readonly<Partial<Record<ParameterName, string>>>;
  /** JSON: a list of tools. */
  readonly tools: string;
  /** JSON: the schema of the answer. */
  readonly schema: string;
}

export const EMPTY_SETTINGS: Settings = { system: '', parameters: {}, tools: '', schema: '' };

export type ParameterName =
  | 'temperature'
  | 'top_p'
  | 'top_k'
  | 'min_p'
  | 'max_tokens'
  | 'seed'
  | 'presence_penalty'
  | 'frequency_penalty'
  | 'repetition_penalty'
  | 'stop'
  | 'reasoning_effort';

export interface Parameter {
  readonly name: ParameterName;
  readonly label: string;
  readonly kind: 'number' | 'integer' | 'lines' | 'choice';
  readonly min?: number;
  /** The least value is above this. */
  readonly above?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  readonly hint: string;
}

/** In the order in which they are shown. The bounds are those of POST /v1/chat/completions. */
export const PARAMETERS: readonly Parameter[] = [
  { name: 'temperature', label: 'Temperature', kind: 'number', min: 0, max: 2, hint: '0 to 2' },
  { name: 'top_p', label: 'Top p', kind: 'number', min: 0, max: 1, hint: '0 to 1' },
  { name: 'top_k', label: 'Top k', kind: 'integer', min: -1, hint: '0: off' },
  { name: 'min_p', label: 'Min p', kind: 'number', min: 0, max: 1, hint: '0 to 1' },
  { name: 'max_tokens', label: 'Max tokens', kind: 'integer', min: 1, hint: 'of the answer' },
  { name: 'seed', label: 'Seed', kind: 'integer', hint: 'whole number' },
  { name: 'presence_penalty', label: 'Presence penalty', kind: 'number', min: -2, max: 2, hint: '−2 to 2' },
  { name: 'frequency_penalty', label: 'Frequency penalty', kind: 'number', min: -2, max: 2, hint: '−2 to 2' },
  {
    name: 'repetition_penalty',
    label: 'Repetition penalty',
    kind: 'number',
    above: 0,
    max: 2,
    hint: '1: off',
  },
  {
    name: 'reasoning_effort',
    label: 'Reasoning',
    kind: 'choice',
    choices: ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'],
    hint: 'where the model thinks',
  },
  { name: 'stop', label: 'Stop strings', kind: 'lines', max: 64, hint: 'one a line, at most 64' },
];

export type ParameterValue = number | string | readonly string[];

/** `value` undefined: not set. `problem`: what is wrong with it, in words. */
export interface ReadParameter {
  readonly value?: ParameterValue;
  readonly problem?: string;
}

/** Whole numbers beyond are not told apart. */
const MOST = Number.MAX_SAFE_INTEGER;
const WHOLE_NUMBER = /^-?\d+$/;
const DECIMAL_NUMBER = /^-?(?:\d+[.,]?\d*|[.,]\d+)$/;

export function readParameter(
  { kind, label, min = -MOST, above, max = MOST, choices }: Parameter,
  given = '',
): ReadParameter {
  if (kind === 'lines') {
    const lines = given.split('\n').filter((line) => line !== '');
    if (lines.length > max) return { problem: `${label}: at most ${max} lines.` };
    return lines.length === 0 ? {} : { value: lines };
  }
  const text = given.trim();
  if (text === '') return {};
  if (kind === 'choice')
    return choices?.includes(text) ? { value: text } : { problem: `${label}: not known.` };
  const written = text.replace(/^\u2212/, '-');
  // A comma is a decimal point for some people and parts thousands for others: in a whole number it is neither.
  if (kind === 'integer' && !WHOLE_NUMBER.test(written))
    return { problem: `${label} must be a whole number, in digits alone.` };
  if (kind === 'number' && !DECIMAL_NUMBER.test(written)) return { problem: `${label} must be a number.` };
  const value = Number(written.replace(',', '.'));
  if (above !== undefined && value <= above) return { problem: `${label} must be above ${above}.` };
  if (value < min) return { problem: `${label} must be at least ${min}.` };
  if (value > max) return { problem: `${label} must be at most ${max}.` };
  return { value };
}

export interface ToolDefinition {
  readonly type: 'function';
  readonly function: {
    readonly name: string;
    readonly description?: string;
    readonly parameters?: Readonly<Record<string, unknown>>;
  };
}

export type ReadJson<Value> = { readonly value?: Value; readonly problem?: string };

const TOOL_NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/** A list of tools, each as OpenAI writes it (`{ type, function }`) or the function alone. */
export function readTools(text: string): ReadJson<readonly ToolDefinition[]> {
  const { value: list, problem } = readJson(text);
  if (problem !== undefined) return { problem };
  if (list === undefined) return {};
  if (!Array.isArray(list)) return { problem: 'The tools must be a list: [ … ].' };
  const tools: ToolDefinition[] = [];
  for (const [at, each] of list.entries()) {
    const definition: unknown = isObject(each) && isObject(each.function) ? each.function : each;
    if (!isObject(definition) || typeof definition.name !== 'string')
      return { problem: `Tool ${at + 1} needs a name.` };
    if (!TOOL_NAME.test(definition.name))
      return { problem: `Tool ${at + 1}: a name has 1 to 64 letters, digits, _ or -.` };
    if (definition.parameters !== undefined && !isObject(definition.parameters))
      return { problem: `${definition.name}: parameters must be a JSON Schema.` };
    tools.push({
      type: 'function',
      function: {
        name: definition.name,
        ...(typeof definition.description === 'string' && { description: definition.description }),
        ...(isObject(definition.parameters) && { parameters: definition.parameters }),
      },
    });
  }
  return tools.length === 0 ? {} : { value: tools };
}

export function readSchema(text: string): ReadJson<Readonly<Record<string, unknown>>> {
  const { value, problem } = readJson(text);
  if (problem !== undefined) return { problem };
  if (value === undefined) return {};
  return isObject(value) ? { value } : { problem: 'The schema must be an object: { … }.' };
}

function readJson(text: string): ReadJson<unknown> {
  if (text.trim() === '') return {};
  try {
    return { value: JSON.parse(text) };
  } catch (thrown) {
    return { problem: `Not valid JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}` };
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** All that is wrong with the settings; empty: they can be sent. */
export function problemsOf({ parameters, tools, schema }: Settings): readonly string[] {
  return [
    ...PARAMETERS.map((parameter) => readParameter(parameter, parameters[parameter.name]).problem),
    readTools(tools).problem,
    readSchema(schema).problem,
  ].filter((problem) => problem !== undefined);
}
