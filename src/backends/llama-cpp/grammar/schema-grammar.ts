/** A grammar for the values that a JSON Schema describes; docs/structured-output.md says which schemas. */
import { ServingError } from '../../../core/errors.ts';
import { readGrammar } from './check-grammar.ts';
import { GrammarProblem } from './gbnf/flat-grammar.ts';
import { RuleBook } from './gbnf/rule-book.ts';
import { GRAMMAR_LIMITS } from './limits.ts';
import { SchemaCompiler } from './schema/compiler.ts';
import { SchemaProblem, toRefusal } from './schema/problem.ts';

export interface SchemaGrammarOptions {
  /** The field that the schema came in: where errors say it is. */
  readonly param?: string;
}

/** Throws `invalid_request` for what is not supported, contradictory or too large, naming the keyword and its place. */
export function schemaGrammar(schema: unknown, { param = 'schema' }: SchemaGrammarOptions = {}): string {
  const book = new RuleBook();
  const root = refusing(param, () => new SchemaCompiler(schema, book).root('document'));
  return finished(book.text(root), param);
}

/** Runs what compiles a schema; its problems become errors of the request. */
export function refusing<Result>(param: string, compile: () => Result): Result {
  try {
    return compile();
  } catch (thrown) {
    if (thrown instanceof SchemaProblem) throw toRefusal(thrown, param);
    if (thrown instanceof GrammarProblem) throw unusable(param, thrown.message);
    throw thrown;
  }
}

/** The text as the engine shall have it, once it has passed the checks that a client's own grammar has to pass. */
export function finished(gbnf: string, param: string): string {
  if (gbnf.length > GRAMMAR_LIMITS.characters)
    throw unusable(param, `it has more than ${GRAMMAR_LIMITS.characters} characters`);
  try {
    return readGrammar(gbnf).gbnf;
  } catch (thrown) {
    if (!(thrown instanceof GrammarProblem)) throw thrown;
    throw unusable(param, thrown.message);
  }
}

function unusable(param: string, reason: string): ServingError {
  return new ServingError('invalid_request', {
    message: `${param} makes a grammar that cannot be used: ${reason}.`,
    param,
  });
}
