/** The grammar that holds an answer to the form that was asked for. Pure. */
import type { OutputFormat } from '../../core/generation.ts';
import { checkGrammar } from './grammar/check-grammar.ts';
import { jsonGrammar } from './grammar/json-grammar.ts';
import { schemaGrammar } from './grammar/schema-grammar.ts';

/** Throws `invalid_request` for a schema or a grammar that cannot be used, naming the place. */
export function grammarFor(output: OutputFormat): string {
  switch (output.kind) {
    case 'json':
      return jsonGrammar();
    case 'json-schema':
      return schemaGrammar(output.schema, { param: 'format' });
    case 'grammar':
      checkGrammar(output.grammar);
      return output.grammar;
    default:
      return output satisfies never;
  }
}
