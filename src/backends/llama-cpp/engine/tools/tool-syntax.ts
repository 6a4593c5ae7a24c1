/**
 * How models write tool calls: one entry for each syntax. A syntax is chosen by the model's template, read by
 * ToolCallSplitter, and enforced by grammars. Where a template knows no tools, or a syntax that is not read here, tools,
 * calls and results are spelled out as plain messages in the syntax that most models have seen. Pure.
 */
import type { Message, Tool, ToolCall } from '../../../../core/generation.ts';
import type { ToolCallFormat } from '../../grammar/answer-grammar.ts';

export interface ToolSyntax {
  readonly name: string;
  /** Opens one or more calls, wherever it comes in an answer. */
  readonly begins: string;
  /** Closes what `begins` opened; empty: the end of the JSON does. */
  readonly ends: string;
  /** An answer may also begin with the JSON itself. */
  readonly bare: boolean;
  /** Set if a call is a name and its arguments instead of one JSON object: the marks between the two. */
  readonly named?: { readonly argumentsBegin: string; readonly idBegins: string };
  /** For grammars, and for calls in prompts. */
  readonly format: ToolCallFormat;
}

/** How to recognise a syntax in a template that knows tools. */
interface Signs {
  /** The template has all of these. */
  readonly has: readonly string[];
  /** And none of these: they belong to another syntax with the same beginning. */
  readonly lacks?: readonly string[];
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
const list = (name: string, begins: string, ends = ''): ToolSyntax => ({
  name,
  begins,
  ends,
  bare: false,
  format: listBetween(begins, ends),
});

/** Qwen, Hermes, Granite 4, SmolLM2 and many more; also used where a template knows no tools. */
export const hermes: ToolSyntax = {
  name: 'hermes',
  begins: '<tool_call>',
  ends: '</tool_call>',
  bare: false,
  format: {
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
export const llama3: ToolSyntax = {
  name: 'llama3',
  begins: '<|python_tag|>',
  ends: '',
  bare: true,
  format: { ...object('parameters'), opens: '', between: '; ', closes: '', several: false },
};

/** Mistral from 2025 on. */
export const mistralNamed: ToolSyntax = {
  name: 'mistral-named',
  begins: '[TOOL_CALLS]',
  ends: '',
  bare: false,
  named: { argumentsBegin: '[ARGS]', idBegins: '[CALL_ID]' },
  format: {
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

const SYNTAXES: readonly (readonly [ToolSyntax, Signs])[] = [
  [mistralNamed, { has: ['[TOOL_CALLS]', '[ARGS]'] }],
  [mistralList, { has: ['[TOOL_CALLS]'] }],
  [apriel, { has: ['<tool_calls>['] }],
  [hermes, { has: ['<tool_call>'], lacks: ['<function=', '<arg_key>', '<invoke', '<param'] }],
  [granite, { has: ['<|tool_call|>'] }],
  [nemotron, { has: ['<TOOLCALL>'] }],
  [functools, { has: ['functools['] }],
  [llama3, { has: ['"parameters": dictionary of argument'] }],
];

/** The syntax that a template asks its model for; undefined: none that is known here. */
export function syntaxOfTemplate(source: string): ToolSyntax | undefined {
  return SYNTAXES.find(
    ([, { has, lacks = [] }]) =>
      has.every((text) => source.includes(text)) && !lacks.some((text) => source.includes(text)),
  )?.[0];
}

/** Texts that a model may have as special tokens, and that are read nevertheless. */
export function marksOf({ begins, ends, named }: ToolSyntax): readonly string[] {
  return [begins, ends, named?.argumentsBegin ?? '', named?.idBegins ?? ''].filter((mark) => mark !== '');
}

/** Calls as the model itself would have written them. */
export function writeCalls(
  calls: readonly Pick<ToolCall, 'name' | 'arguments'>[],
  format: ToolCallFormat,
): string {
  if (calls.length === 0) return '';
  const written = calls.map(
    (call) =>
      format.callBegins +
      JSON.stringify(call.name).slice(1, -1) +
      format.nameEnds +
      call.arguments +
      format.callEnds,
  );
  return format.opens + written.join(format.between) + format.closes;
}

/** A tool as templates know it: the shape of OpenAI's API. */
export function toolDefinition({ name, description = '', parameters }: Tool): object {
  const noArguments = { type: 'object', properties: {} };
  return { type: 'function', function: { name, description, parameters: parameters ?? noArguments } };
}

/** The same conversation without tool messages and calls. */
export function spellOutTools(messages: readonly Message[], tools: readonly Tool[]): readonly Message[] {
  const spelled: Message[] = [];
  for (const [index, message] of spellOutCalls(messages, hermes.format).entries()) {
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

/** With the calls of earlier answers in their text. */
export function spellOutCalls(messages: readonly Message[], format: ToolCallFormat): readonly Message[] {
  return messages.map((message) => {
    if (message.role !== 'assistant' || message.toolCalls === undefined) return message;
    const { toolCalls, ...plain } = message;
    const { content } = plain;
    const calls = writeCalls(toolCalls, format);
    return { ...plain, content: content === '' || calls === '' ? content + calls : `${content}\n${calls}` };
  });
}

function instructions(tools: readonly Tool[]): string {
  const { callBegins, nameEnds, callEnds } = hermes.format;
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
