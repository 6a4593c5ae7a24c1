/**
 * A grammar for calls of tools: each is the text that begins a call, an object with the tool's name first and its
 * arguments second, and the text that ends a call.
 */
import { ServingError } from '../../../core/errors.ts';
import { RuleBook } from './gbnf/rule-book.ts';
import { choice, literal, repeated, sequence } from './gbnf/text.ts';
import { SCHEMA_LIMITS } from './limits.ts';
import { SchemaCompiler } from './schema/compiler.ts';
import { finished, refusing } from './schema-grammar.ts';

export interface ToolShape {
  readonly name: string;
  /** JSON Schema of an object; a tool without one takes `{}`. */
  readonly parameters?: unknown;
}

export interface ToolCallGrammarOptions {
  readonly tools: readonly ToolShape[];
  /** Around each call, as the model was trained to write it: `<tool_call>\n` and `\n</tool_call>`. */
  readonly begins: string;
  readonly ends: string;
  /** Between two calls. */
  readonly between?: string;
  /** The key of the arguments: `arguments` or `parameters`. */
  readonly argumentsKey: string;
  /** Exactly one call; else one or more, up to `most`. */
  readonly single: boolean;
  readonly most?: number;
  /** The field of the schema of a tool, for errors. */
  readonly param?: (index: number) => string;
}

const MOST_CALLS = 32;

export function toolCallGrammar(options: ToolCallGrammarOptions): string {
  const { tools, begins, ends, between = '\n', argumentsKey, single, most = MOST_CALLS } = options;
  const { param = (index) => `tools[${index}].parameters` } = options;
  checkTools(tools);
  const book = new RuleBook();
  const ws = book.json('ws');
  const key = sequence(literal(`,`), ws, literal(`${JSON.stringify(argumentsKey)}:`), ws);
  const named = tools.map(({ name, parameters }, index) => {
    const taken =
      parameters === undefined
        ? noArguments(ws)
        : argumentsRule({ parameters, name, book, param: param(index) });
    return sequence(literal(JSON.stringify(name).slice(1)), key, taken);
  });
  const tool = book.add('tool', choice(named));
  const call = book.add(
    'call',
    sequence(
      textPart(begins),
      literal('{'),
      ws,
      literal('"name":'),
      ws,
      literal('"'),
      tool,
      ws,
      literal('}'),
      textPart(ends),
    ),
  );
  if (single || most === 1) return finished(book.text(call), 'tools');
  const next = book.add('next-call', sequence(textPart(between), call));
  return finished(book.text(sequence(call, repeated(next, 0, most - 1))), 'tools');
}

function argumentsRule(tool: { parameters: unknown; name: string; book: RuleBook; param: string }): string {
  return refusing(tool.param, () => {
    const compiler = new SchemaCompiler(tool.parameters, tool.book);
    const kinds = [...compiler.kinds()];
    if (kinds.length !== 1 || kinds[0] !== 'object')
      throw new ServingError('invalid_request', {
        message: `${tool.param} must describe an object: give it "type": "object".`,
        param: tool.param,
      });
    return compiler.root(tool.name);
  });
}

function noArguments(ws: string): string {
  return sequence(literal('{'), ws, literal('}'));
}

function textPart(text: string): string {
  return text === '' ? '' : literal(text);
}

function checkTools(tools: readonly ToolShape[]): void {
  const refused = (message: string) => new ServingError('invalid_request', { message, param: 'tools' });
  if (tools.length === 0) throw refused('tools is empty. Give at least one tool.');
  if (tools.length > SCHEMA_LIMITS.tools)
    throw refused(`tools has ${tools.length} entries. At most ${SCHEMA_LIMITS.tools} are allowed.`);
  const names = new Set(tools.map(({ name }) => name));
  if (names.size < tools.length)
    throw refused('tools has two entries with the same name. Each needs its own.');
}
