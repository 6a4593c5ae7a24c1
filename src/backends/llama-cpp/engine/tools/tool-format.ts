/**
 * The forms in which models write calls of tools. Data only: a form is chosen by what the template of a model says,
 * read by ToolCallSplitter, written into prompts where a template does not, and forced by a grammar.
 */

import type { Message, Tool, ToolCall } from '../../../../core/generation.ts';
import type { ToolCallFormat } from '../../grammar/answer-grammar.ts';

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
  readonly written: ToolCallFormat;
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
const listBetween = (begins: string, ends: string): ToolCallFormat => ({
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
export function writeCalls(
  calls: readonly Pick<ToolCall, 'name' | 'arguments'>[],
  form: ToolCallFormat,
): string {
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

/**
 * For models whose template knows of no tools, or asks for a form that is not read here: tools, calls and results
 * as plain messages, in the form most models have seen. Pure.
 */

/** A tool as templates know it: the shape of OpenAI's API. */
export function toolDefinition({ name, description = '', parameters }: Tool): object {
  const noArguments = { type: 'object', properties: {} };
  return { type: 'function', function: { name, description, parameters: parameters ?? noArguments } };
}

/** The same conversation with system, user and assistant alone, and without calls. */
export function spellOutTools(messages: readonly Message[], tools: readonly Tool[]): readonly Message[] {
  const spelled: Message[] = [];
  for (const [index, message] of spellOutCalls(messages, hermes.written).entries()) {
    if (message.role !== 'tool') {
      spelled.push(message);
      continue;
    }
    const response = `<tool_response>\n${message.content}\n</tool_response>`;
    const before = messages[index - 1]?.role === 'tool' ? spelled.pop() : undefined;
    spelled.push({ role: 'user', content: before ? `${before.content}\n${response}` : response });
  }
  if (tools.length === 0) return spelled;
  const own = spelled[0]?.role === 'system' ? spelled.shift() : undefined;
  const content = own === undefined ? instructions(tools) : `${own.content}\n\n${instructions(tools)}`;
  return [{ role: 'system', content }, ...spelled];
}

/** The calls of earlier answers, as text of the model. */
export function spellOutCalls(messages: readonly Message[], form: ToolCallFormat): readonly Message[] {
  return messages.map((message) => {
    if (message.role !== 'assistant' || message.toolCalls === undefined) return message;
    const { toolCalls, ...said } = message;
    const { content } = said;
    const calls = writeCalls(toolCalls, form);
    return { ...said, content: content === '' || calls === '' ? content + calls : `${content}\n${calls}` };
  });
}

function instructions(tools: readonly Tool[]): string {
  const { callBegins, nameEnds, callEnds } = hermes.written;
  return [
    'You can call tools. Each is described here by a line of JSON:',
    '<tools>',
    ...tools.map((tool) => spacedJson(toolDefinition(tool))),
    '</tools>',
    '',
    'To call one, answer with its name and the JSON object of its arguments, like this, once for each call:',
    `${callBegins}name of the tool${nameEnds}{"name of an argument": its value}${callEnds}`,
    '',
    'What a tool answers comes back within <tool_response></tool_response>. When no tool is needed, answer in words.',
  ].join('\n');
}

/** JSON with a blank after each comma and colon, as models have mostly seen it. */
function spacedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(', ')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}: ${spacedJson(member)}`).join(', ')}}`;
}
