/**
 * The grammar that an answer has to follow: that of its output format, of the tool calls it has to make, or of either
 * where it may call tools and its text has a format. Every grammar has passed the checks of check-grammar.ts. What cannot
 * be used is an `invalid_request` that names the field and the place in it.
 */
import { ServingError } from '../../../core/errors.ts';
import type { GenerationRequest, OutputFormat, ToolUse } from '../../../core/generation.ts';
import { type CheckedGrammar, checkGrammar, parseChecked } from './check-grammar.ts';
import { type FlatGrammar, type FlatRule, GrammarError } from './gbnf/flat-grammar.ts';
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
import { type PackedGrammar, packGrammar } from './gbnf/stack-machine.ts';
import { GRAMMAR_LIMITS, SCHEMA_LIMITS } from './limits.ts';
import { SchemaCompiler } from './schema/compiler.ts';
import { requestErrorOf, SchemaError } from './schema/reader.ts';
import { PatternError, parseWholeText, writeExpression } from './schema/regular-expression.ts';

/** What constrains one answer. Plain JSON; at least one of the two is present. */
export interface AnswerConstraint {
  readonly output?: OutputFormat;
  readonly calls?: CallConstraint;
}

interface CallConstraint {
  readonly tools: ToolUse['tools'];
  /** The only tool that may be called; absent: any. */
  readonly named?: string;
  /** Exactly one call, whatever the format allows. */
  readonly single: boolean;
  readonly format: ToolCallFormat;
}

/**
 * How a model writes tool calls: `opens`, then calls with `between` in between, then `closes`. A call is `callBegins`, its
 * name, `nameEnds`, the JSON of its arguments, `callEnds`. All are literal texts.
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

/** A grammar as the engine takes it. Plain JSON. */
export interface CompiledGrammar {
  /** For llama.cpp. The whole answer follows its rule `root`. */
  readonly gbnf: string;
  /** The same grammar, for what follows the answer beside llama.cpp. */
  readonly packed: PackedGrammar;
}

const MAX_CALLS = 8;

/**
 * What constrains the answer to a request; undefined where nothing does. `format`: how the model writes tool calls, absent
 * where it cannot.
 */
export function constraintOf(
  request: GenerationRequest,
  format: ToolCallFormat | undefined,
): AnswerConstraint | undefined {
  const { output, tools } = request;
  if (tools === undefined || format === undefined || !constrainsCalls(request)) return output && { output };
  const { choice: toolChoice, single = false } = tools;
  const named = typeof toolChoice === 'object' ? toolChoice.name : undefined;
  const calls: CallConstraint = {
    tools: tools.tools,
    ...(named !== undefined && { named }),
    single: single || named !== undefined,
    format,
  };
  return toolChoice === 'auto' && output !== undefined ? { output, calls } : { calls };
}

/** The answer has to make calls, or may make them instead of a text in a format. */
export function constrainsCalls({ input, output, tools }: GenerationRequest): boolean {
  if (tools === undefined || tools.choice === 'none' || input.kind !== 'chat') return false;
  return tools.choice !== 'auto' || output !== undefined;
}

export function compileGrammar(constraint: AnswerConstraint): CompiledGrammar {
  const { gbnf, flat } = answerGrammar(constraint);
  return { gbnf, packed: packGrammar(flat) };
}

export function answerGrammar({ output, calls }: AnswerConstraint): CheckedGrammar {
  if (output === undefined && calls === undefined) throw new Error('Nothing constrains the answer.');
  const text = output && outputGrammar(output);
  const called = calls && callsGrammar(calls);
  return text && called ? unionGrammar(text, called) : ((text ?? called) as CheckedGrammar);
}

function outputGrammar(output: OutputFormat): CheckedGrammar {
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

/** JSON mode: one JSON object, and nothing around it. A constant, so its test runs the checks. */
function jsonGrammar(): CheckedGrammar {
  const builder = new GrammarBuilder();
  const gbnf = builder.build(builder.json('object'));
  return { gbnf, flat: parseGbnf(gbnf) };
}

/** The values that a JSON Schema describes; docs/structured-output.md says which schemas. */
export function schemaGrammar(schema: unknown, { param = 'schema' } = {}): CheckedGrammar {
  const builder = new GrammarBuilder();
  const root = withRequestErrors(param, () => new SchemaCompiler(schema, builder).root('document'));
  return checked(builder.build(root), param);
}

/** The texts that a regular expression matches as a whole. */
export function regexGrammar(regex: string): CheckedGrammar {
  const builder = new GrammarBuilder();
  const root = withRequestErrors('regex', () =>
    writeExpression(parseWholeText(regex), { builder, one: characterClass, isOne: () => true }),
  );
  return checked(builder.build(root), 'regex');
}

/** Exactly one of some texts: those that begin alike share their beginning. */
export function choiceGrammar(choices: readonly string[]): CheckedGrammar {
  const { enumValues, enumCharacters } = SCHEMA_LIMITS;
  const characters = choices.reduce((sum, { length }) => sum + length, 0);
  if (choices.length > enumValues)
    throw invalid('choice', `has ${choices.length} entries. At most ${enumValues} are allowed.`);
  if (characters > enumCharacters)
    throw invalid('choice', `has ${characters} characters. At most ${enumCharacters} are allowed.`);
  if (characters === 0) throw invalid('choice', 'has no text. Give at least one that is not empty.');
  const builder = new GrammarBuilder();
  const root = withRequestErrors('choice', () => anyOfTexts(choices, builder));
  return checked(builder.build(root), 'choice');
}

function callsGrammar({ tools, named, single, format }: CallConstraint): CheckedGrammar {
  const all = tools.map((tool, index) => ({ tool, param: `tools[${index}].parameters` }));
  const allowed = named === undefined ? all : all.filter(({ tool }) => tool.name === named);
  return toolCallGrammar({ tools: allowed, format, single });
}

export interface ToolCallGrammarOptions {
  /** Those that may be called, and where each stands in the request, for errors. A tool without parameters takes `{}`. */
  readonly tools: readonly {
    readonly tool: { readonly name: string; readonly parameters?: unknown };
    readonly param: string;
  }[];
  readonly format: ToolCallFormat;
  /** Exactly one call, whatever the format allows. */
  readonly single: boolean;
}

/** Nothing but calls of these tools, as the model writes them. */
export function toolCallGrammar({ tools, format, single }: ToolCallGrammarOptions): CheckedGrammar {
  checkTools(tools.map(({ tool }) => tool.name));
  const builder = new GrammarBuilder();
  const calls = tools.map(({ tool, param }) => {
    const name = JSON.stringify(tool.name).slice(1, -1);
    return sequence(
      literal(format.callBegins + name + format.nameEnds),
      tool.parameters === undefined
        ? sequence(literal('{'), builder.json('ws'), literal('}'))
        : withRequestErrors(param, () => argumentsRule(tool.name, tool.parameters, { builder, param })),
      optionalLiteral(format.callEnds),
    );
  });
  const call = builder.add('call', choice(calls));
  const next = builder.add('next-call', sequence(optionalLiteral(format.between), call));
  const more = single || !format.several ? '' : repeated(next, 0, MAX_CALLS - 1);
  const root = sequence(optionalLiteral(format.opens), call, more, optionalLiteral(format.closes));
  return checked(builder.build(root), 'tools');
}

function checkTools(names: readonly string[]): void {
  if (names.length === 0) throw invalid('tools', 'is empty. Give at least one tool.');
  if (names.length > SCHEMA_LIMITS.tools)
    throw invalid('tools', `has ${names.length} entries. At most ${SCHEMA_LIMITS.tools} are allowed.`);
  if (new Set(names).size < names.length)
    throw invalid('tools', 'has two entries with the same name. Each needs its own.');
}

function argumentsRule(
  name: string,
  parameters: unknown,
  { builder, param }: { readonly builder: GrammarBuilder; readonly param: string },
): string {
  const compiler = new SchemaCompiler(parameters, builder);
  const types = [...compiler.types()];
  if (types.length !== 1 || types[0] !== 'object')
    throw invalid(param, 'must describe an object: give it "type": "object".');
  return compiler.root(name);
}

function optionalLiteral(text: string): string {
  return text === '' ? '' : literal(text);
}

/** The texts of either grammar. */
function unionGrammar(text: CheckedGrammar, calls: CheckedGrammar): CheckedGrammar {
  const offset = text.flat.rules.length;
  const moved = calls.flat.rules.map(
    (rule): FlatRule => ({
      ...rule,
      alternatives: rule.alternatives.map((symbols) =>
        symbols.map((symbol) =>
          symbol.kind === 'rule' ? { kind: 'rule', index: symbol.index + offset } : symbol,
        ),
      ),
    }),
  );
  const root: FlatRule = {
    name: 'root',
    line: 1,
    alternatives: [
      [{ kind: 'rule', index: text.flat.root }],
      [{ kind: 'rule', index: offset + calls.flat.root }],
    ],
  };
  const rules = [...text.flat.rules, ...moved, root];
  const union: FlatGrammar = { rules, root: rules.length - 1 };
  return checked(writeGbnf(union), 'format');
}

/** A grammar that was made here passes the checks that a client's own has to pass. */
function checked(gbnf: string, param: string): CheckedGrammar {
  if (gbnf.length > GRAMMAR_LIMITS.characters)
    throw unusable(param, `it has more than ${GRAMMAR_LIMITS.characters} characters`);
  return withRequestErrors(param, () => parseChecked(gbnf));
}

/** What is wrong with a schema, an expression or a grammar is an error of the request. */
function withRequestErrors<Result>(param: string, compile: () => Result): Result {
  try {
    return compile();
  } catch (thrown) {
    if (thrown instanceof SchemaError) throw requestErrorOf(thrown, param);
    if (thrown instanceof PatternError) throw invalid(param, thrown.message);
    if (thrown instanceof GrammarError) throw unusable(param, thrown.message);
    throw thrown;
  }
}

function unusable(param: string, reason: string): ServingError {
  return invalid(param, `makes a grammar that cannot be used: ${reason}.`);
}

function invalid(param: string, what: string): ServingError {
  return new ServingError('invalid_request', { message: `${param} ${what}`, param });
}
