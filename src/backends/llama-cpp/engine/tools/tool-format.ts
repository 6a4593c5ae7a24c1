/**
 * The forms in which models write calls of tools. Data only: a form is chosen by what the template of a model says,
 * read by ToolCallSplitter, written into prompts where a template does not, and forced by a grammar.
 */
import type { ToolCall } from '../../../../core/generation.ts';
import type { CallForm } from '../../grammar/tool-call-grammar.ts';

export interface ToolFormat {
  readonly name: string;
  /** Opens one or more calls, wherever it comes in an answer. */
  readonly begins: string;
  /** Closes what `begins` opened; empty: the end of the JSON does. */
  readonly ends: string;
  /** An answer may as well begin with the JSON itself. */
  readonly bare: boolean;
  /** Set where a call is a name and its arguments rather than one JSON object: what stands between the two. */
  readonly named?: { readonly argumentsBegin: string; readonly idBegins: string };
  readonly written: CallForm;
}

/** How a template that knows of tools tells which form its model was taught. */
interface Signs {
  /** All of these stand in the template. */
  readonly says: readonly string[];
  /** None of these does: they belong to forms that only begin alike. */
  readonly not?: readonly string[];
}

const object = (argumentsKey: string) => ({
  callBegins: '{"name": "',
  nameEnds: `", "${argumentsKey}": `,
  callEnds: '}',
});
const listBetween = (begins: string, ends: string): CallForm => ({
  ...object('arguments'),
  opens: `${begins}[`,
  between: ', ',
  closes: `]${ends}`,
  several: true,
});
const list = (name: string, begins: string, ends = ''): ToolFormat => ({
  name,
  begins,
  ends,
  bare: false,
  written: listBetween(begins, ends),
});

/** Qwen, Hermes, Granite 4, SmolLM2 and many more; also what models are asked for whose template knows of no tools. */
export const hermes: ToolFormat = {
  name: 'hermes',
  begins: '<tool_call>',
  ends: '</tool_call>',
  bare: false,
  written: {
    opens: '',
    callBegins: '<tool_call>\n{"name": "',
    nameEnds: '", "arguments": ',
    callEnds: '}\n</tool_call>',
    between: '\n',
    closes: '',
    several: true,
  },
};

/** Llama 3.1 to 3.3. */
export const llama3: ToolFormat = {
  name: 'llama3',
  begins: '<|python_tag|>',
  ends: '',
  bare: true,
  written: { ...object('parameters'), opens: '', between: '; ', closes: '', several: false },
};

/** Mistral from 2025 on. */
export const mistralNamed: ToolFormat = {
  name: 'mistral-named',
  begins: '[TOOL_CALLS]',
  ends: '',
  bare: false,
  named: { argumentsBegin: '[ARGS]', idBegins: '[CALL_ID]' },
  written: {
    opens: '',
    callBegins: '[TOOL_CALLS]',
    nameEnds: '[ARGS]',
    callEnds: '',
    between: '',
    closes: '',
    several: true,
  },
};

export const mistralList = list('mistral-list', '[TOOL_CALLS]');
export const granite = list('granite', '<|tool_call|>');
export const nemotron = list('nemotron', '<TOOLCALL>', '</TOOLCALL>');
export const apriel = list('apriel', '<tool_calls>', '</tool_calls>');
export const functools = list('functools', 'functools');

const FORMATS: readonly (readonly [ToolFormat, Signs])[] = [
  [mistralNamed, { says: ['[TOOL_CALLS]', '[ARGS]'] }],
  [mistralList, { says: ['[TOOL_CALLS]'] }],
  [apriel, { says: ['<tool_calls>['] }],
  [hermes, { says: ['<tool_call>'], not: ['<function=', '<arg_key>', '<invoke', '<param'] }],
  [granite, { says: ['<|tool_call|>'] }],
  [nemotron, { says: ['<TOOLCALL>'] }],
  [functools, { says: ['functools['] }],
  [llama3, { says: ['"parameters": dictionary of argument'] }],
];

/** The form that a template asks its model for; undefined: none that is known here. */
export function formatOfTemplate(source: string): ToolFormat | undefined {
  return FORMATS.find(
    ([, { says, not = [] }]) =>
      says.every((text) => source.includes(text)) && !not.some((text) => source.includes(text)),
  )?.[0];
}

/** Texts that a model may have as special tokens, and that have to be read nevertheless. */
export function marksOf({ begins, ends, named }: ToolFormat): readonly string[] {
  return [begins, ends, named?.argumentsBegin ?? '', named?.idBegins ?? ''].filter((mark) => mark !== '');
}

/** Calls as the model itself would have written them. */
export function writeCalls(calls: readonly Pick<ToolCall, 'name' | 'arguments'>[], form: CallForm): string {
  if (calls.length === 0) return '';
  const written = calls.map(
    (call) =>
      form.callBegins +
      JSON.stringify(call.name).slice(1, -1) +
      form.nameEnds +
      call.arguments +
      form.callEnds,
  );
  return form.opens + written.join(form.between) + form.closes;
}
