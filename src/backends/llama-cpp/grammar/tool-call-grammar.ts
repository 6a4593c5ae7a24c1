/** A grammar for calls of tools in the form that a model was taught: nothing but calls, each of a tool there is. */
import { ServingError } from '../../../core/errors.ts';
import { RuleBook } from './gbnf/rule-book.ts';
import { choice, literal, repeated, sequence } from './gbnf/text.ts';
import { SCHEMA_LIMITS } from './limits.ts';
import { SchemaCompiler } from './schema/compiler.ts';
import { finished, refusing } from './schema-grammar.ts';

/**
 * Calls as they are written: `opens`, then calls with `between` in between, then `closes`. A call is `callBegins`,
 * its name, `nameEnds`, the JSON of its arguments, `callEnds`. All are literal texts.
 */
export interface CallForm {
  readonly opens: string;
  readonly callBegins: string;
  readonly nameEnds: string;
  readonly callEnds: string;
  readonly between: string;
  readonly closes: string;
  /** The model writes more than one call in one answer. */
  readonly several: boolean;
}

export interface ToolShape {
  readonly name: string;
  /** JSON Schema of an object; a tool without one takes `{}`. */
  readonly parameters?: unknown;
}

export interface ToolCallGrammarOptions {
  /** Those that may be called; their places in the request, for errors. */
  readonly tools: readonly { readonly tool: ToolShape; readonly param: string }[];
  readonly form: CallForm;
  /** Exactly one call, whatever the form allows. */
  readonly single: boolean;
}

const MOST_CALLS = 8;

export function toolCallGrammar({ tools, form, single }: ToolCallGrammarOptions): string {
  checkTools(tools.map(({ tool }) => tool));
  const book = new RuleBook();
  const calls = tools.map(({ tool: { name, parameters }, param }) => {
    const written = JSON.stringify(name).slice(1, -1);
    const given =
      parameters === undefined ? noArguments(book) : argumentsRule({ parameters, name, book, param });
    return sequence(literal(form.callBegins + written + form.nameEnds), given, text(form.callEnds));
  });
  const call = book.add('call', choice(calls));
  const next = book.add('next-call', sequence(text(form.between), call));
  const more = single || !form.several ? '' : repeated(next, 0, MOST_CALLS - 1);
  return finished(book.text(sequence(text(form.opens), call, more, text(form.closes))), 'tools');
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

function noArguments(book: RuleBook): string {
  return sequence(literal('{'), book.json('ws'), literal('}'));
}

function text(literalText: string): string {
  return literalText === '' ? '' : literal(literalText);
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
