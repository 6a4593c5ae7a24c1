/**
 * The grammar that an answer has to follow: that of its format, of the calls it has to make, or of either where it may
 * call tools and its text has a format.
 */

import { ServingError } from '../../../core/errors.ts';
import type { GenerationRequest, OutputFormat, ToolUse } from '../../../core/generation.ts';
import { checkGrammar, parseChecked } from './check-grammar.ts';
import { type Alternative, type FlatGrammar, GrammarError } from './gbnf/flat-grammar.ts';
import {
  anyOfTexts,
  characterClass,
  choice,
  GrammarBuilder,
  literal,
  repeated,
  sequence,
  writeGbnf,
} from './gbnf/grammar-builder.ts';
import { parseGbnf } from './gbnf/parser.ts';
import { GRAMMAR_LIMITS, SCHEMA_LIMITS } from './limits.ts';
import { SchemaCompiler } from './schema/compiler.ts';
import { requestErrorOf, SchemaError } from './schema/reader.ts';
import { PatternError, parseWholeText, writeExpression } from './schema/regular-expression.ts';

/** What binds one answer. Plain JSON; at least one of the two is there. */
export interface AnswerConstraint {
  readonly output?: OutputFormat;
  readonly calls?: CallConstraint;
}

interface CallConstraint {
  readonly tools: ToolUse['tools'];
  /** The only one that may be called; absent: any. */
  readonly named?: string;
  /** Exactly one call, whatever the form allows. */
  readonly single: boolean;
  readonly form: ToolCallFormat;
}

/**
 * What binds the answer to a request; undefined where it is free. `form`: how the model writes calls, absent where it
 * cannot.
 */
export function constraintOf(
  request: GenerationRequest,
  form: ToolCallFormat | undefined,
): AnswerConstraint | undefined {
  const { output, tools } = request;
  if (tools === undefined || form === undefined || !constrainsCalls(request)) return output && { output };
  const { choice, single = false } = tools;
  const named = typeof choice === 'object' ? choice.name : undefined;
  const calls: CallConstraint = {
    tools: tools.tools,
    ...(named !== undefined && { named }),
    single: single || named !== undefined,
    form,
  };
  return choice === 'auto' && output !== undefined ? { output, calls } : { calls };
}

/** The answer has to make calls, or may make them instead of a text in a format. */
export function constrainsCalls({ input, output, tools }: GenerationRequest): boolean {
  if (tools === undefined || tools.choice === 'none' || input.kind !== 'chat') return false;
  return tools.choice !== 'auto' || output !== undefined;
}

/** GBNF. Throws `invalid_request` for what cannot be used, naming the place. */
export function answerGrammar({ output, calls }: AnswerConstraint): string {
  if (calls === undefined) return output === undefined ? '' : textGrammar(output);
  const callGrammar = callsGrammar(calls);
  return output === undefined
    ? callGrammar
    : unionGrammar(textGrammar(output), callGrammar, { param: 'format' });
}

function textGrammar(output: OutputFormat): string {
  switch (output.kind) {
    case 'json':
      return jsonGrammar();
    case 'json-schema':
      return schemaGrammar(output.schema, { param: 'format' });
    case 'grammar':
      return checkGrammar(output.grammar);
    case 'regex':
      return regexGrammar(output.regex);
    case 'choice':
      return choiceGrammar(output.choices);
    default:
      return output satisfies never;
  }
}

function callsGrammar({ tools, named, single, form }: CallConstraint): string {
  const all = tools.map((tool, index) => ({ tool, param: `tools[${index}].parameters` }));
  const allowed = named === undefined ? all : all.filter(({ tool }) => tool.name === named);
  return toolCallGrammar({ tools: allowed, form, single });
}

/** A grammar for the values that a JSON Schema describes; docs/structured-output.md says which schemas. */

interface SchemaGrammarOptions {
  /** The field that the schema came in: where errors say it is. */
  readonly param?: string;
}

/** Throws `invalid_request` for what is not supported, contradictory or too large, naming the keyword and its place. */
export function schemaGrammar(schema: unknown, { param = 'schema' }: SchemaGrammarOptions = {}): string {
  const book = new GrammarBuilder();
  const root = withRequestErrors(param, () => new SchemaCompiler(schema, book).root('document'));
  return checkedGrammar(book.build(root), param);
}

/** Runs what compiles a schema; its problems become errors of the request. */
function withRequestErrors<Result>(param: string, compile: () => Result): Result {
  try {
    return compile();
  } catch (thrown) {
    if (thrown instanceof SchemaError) throw requestErrorOf(thrown, param);
    if (thrown instanceof GrammarError) throw unusableGrammar(param, thrown.message);
    throw thrown;
  }
}

/** The text as the engine shall have it, once it has passed the checks that a client's own grammar has to pass. */
function checkedGrammar(gbnf: string, param: string): string {
  if (gbnf.length > GRAMMAR_LIMITS.characters)
    throw unusableGrammar(param, `it has more than ${GRAMMAR_LIMITS.characters} characters`);
  try {
    return parseChecked(gbnf).gbnf;
  } catch (thrown) {
    if (!(thrown instanceof GrammarError)) throw thrown;
    throw unusableGrammar(param, thrown.message);
  }
}

function unusableGrammar(param: string, reason: string): ServingError {
  return new ServingError('invalid_request', {
    message: `${param} makes a grammar that cannot be used: ${reason}.`,
    param,
  });
}

/** JSON mode: any one JSON object, and nothing around it. */

export function jsonGrammar(): string {
  const book = new GrammarBuilder();
  return book.build(book.json('object'));
}

/** A grammar for the texts that a regular expression matches as a whole. */

const REGEX_FIELD = 'regex';

/** Throws `invalid_request` for what a grammar cannot express. */
export function regexGrammar(regex: string): string {
  const book = new GrammarBuilder();
  const root = withRequestErrors(REGEX_FIELD, () =>
    writeExpression(readRegex(regex), { book, one: characterClass, isOne: () => true }),
  );
  return checkedGrammar(book.build(root), REGEX_FIELD);
}

function readRegex(regex: string) {
  try {
    return parseWholeText(regex);
  } catch (thrown) {
    if (!(thrown instanceof PatternError)) throw thrown;
    throw new ServingError('invalid_request', {
      message: `${REGEX_FIELD} ${thrown.message}`,
      param: REGEX_FIELD,
    });
  }
}

/** A grammar for exactly one of some texts: those that begin alike share their beginning. */

const CHOICE_FIELD = 'choice';

/** Throws `invalid_request` where there are too many, or none that has a character. */
export function choiceGrammar(choices: readonly string[]): string {
  const characters = choices.reduce((sum, choice) => sum + choice.length, 0);
  if (choices.length > SCHEMA_LIMITS.enumValues)
    throw invalidChoice(`has ${choices.length} entries. At most ${SCHEMA_LIMITS.enumValues} are allowed.`);
  if (characters > SCHEMA_LIMITS.enumCharacters)
    throw invalidChoice(`has ${characters} characters. At most ${SCHEMA_LIMITS.enumCharacters} are allowed.`);
  if (characters === 0) throw invalidChoice('has no text. Give at least one that is not empty.');
  return withRequestErrors(CHOICE_FIELD, () => {
    const book = new GrammarBuilder();
    return checkedGrammar(book.build(anyOfTexts(choices, book)), CHOICE_FIELD);
  });
}

function invalidChoice(what: string): ServingError {
  return new ServingError('invalid_request', { message: `${CHOICE_FIELD} ${what}`, param: CHOICE_FIELD });
}

/** A grammar for calls of tools in the form that a model was taught: nothing but calls, each of a tool there is. */

/**
 * Calls as they are written: `opens`, then calls with `between` in between, then `closes`. A call is `callBegins`,
 * its name, `nameEnds`, the JSON of its arguments, `callEnds`. All are literal texts.
 */
export interface ToolCallFormat {
  readonly opens: string;
  readonly callBegins: string;
  readonly nameEnds: string;
  readonly callEnds: string;
  readonly between: string;
  readonly closes: string;
  /** The model writes more than one call in one answer. */
  readonly several: boolean;
}

export interface ToolSignature {
  readonly name: string;
  /** JSON Schema of an object; a tool without one takes `{}`. */
  readonly parameters?: unknown;
}

export interface ToolCallGrammarOptions {
  /** Those that may be called; their places in the request, for errors. */
  readonly tools: readonly { readonly tool: ToolSignature; readonly param: string }[];
  readonly form: ToolCallFormat;
  /** Exactly one call, whatever the form allows. */
  readonly single: boolean;
}

const MAX_CALLS = 8;

export function toolCallGrammar({ tools, form, single }: ToolCallGrammarOptions): string {
  checkTools(tools.map(({ tool }) => tool));
  const book = new GrammarBuilder();
  const calls = tools.map(({ tool: { name, parameters }, param }) => {
    const written = JSON.stringify(name).slice(1, -1);
    const given =
      parameters === undefined ? noArguments(book) : argumentsRule({ parameters, name, book, param });
    return sequence(literal(form.callBegins + written + form.nameEnds), given, text(form.callEnds));
  });
  const call = book.add('call', choice(calls));
  const next = book.add('next-call', sequence(text(form.between), call));
  const more = single || !form.several ? '' : repeated(next, 0, MAX_CALLS - 1);
  return checkedGrammar(book.build(sequence(text(form.opens), call, more, text(form.closes))), 'tools');
}

function argumentsRule(tool: {
  parameters: unknown;
  name: string;
  book: GrammarBuilder;
  param: string;
}): string {
  return withRequestErrors(tool.param, () => {
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

function noArguments(book: GrammarBuilder): string {
  return sequence(literal('{'), book.json('ws'), literal('}'));
}

function text(literalText: string): string {
  return literalText === '' ? '' : literal(literalText);
}

function checkTools(tools: readonly ToolSignature[]): void {
  const refused = (message: string) => new ServingError('invalid_request', { message, param: 'tools' });
  if (tools.length === 0) throw refused('tools is empty. Give at least one tool.');
  if (tools.length > SCHEMA_LIMITS.tools)
    throw refused(`tools has ${tools.length} entries. At most ${SCHEMA_LIMITS.tools} are allowed.`);
  const names = new Set(tools.map(({ name }) => name));
  if (names.size < tools.length)
    throw refused('tools has two entries with the same name. Each needs its own.');
}

/** A grammar for the texts of either of two: what holds an answer that is a call of a tool or text in a format. */

interface UnionGrammarOptions {
  /** The field at fault where the two together are too much. */
  readonly param: string;
}

/** Both have passed their checks; throws `invalid_request` where what they are together does not. */
function unionGrammar(one: string, other: string, { param }: UnionGrammarOptions): string {
  const first = parseGbnf(one);
  const second = parseGbnf(other);
  const moved = second.rules.map((rule) => ({
    ...rule,
    alternatives: rule.alternatives.map((symbols) => movedBy(first.rules.length, symbols)),
  }));
  const alternatives: readonly Alternative[] = [
    [{ kind: 'rule', index: first.root }],
    [{ kind: 'rule', index: first.rules.length + second.root }],
  ];
  const root = { name: 'root', line: 1, alternatives };
  const rules = [...first.rules, ...moved, root];
  const union: FlatGrammar = { rules, root: rules.length - 1 };
  return checkedGrammar(writeGbnf(union), param);
}

function movedBy(count: number, symbols: Alternative): Alternative {
  return symbols.map((symbol) =>
    symbol.kind === 'rule' ? { kind: 'rule', index: symbol.index + count } : symbol,
  );
}
