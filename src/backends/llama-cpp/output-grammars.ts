/**
 * The grammars that hold answers to the form that was asked for. Owns those of recent schemas: an ordinary one takes
 * milliseconds, one at the limits some hundred.
 */
import type { OutputFormat } from '../../core/generation.ts';
import { checkGrammar } from './grammar/check-grammar.ts';
import { choiceGrammar } from './grammar/choice-grammar.ts';
import { jsonGrammar } from './grammar/json-grammar.ts';
import { regexGrammar } from './grammar/regex-grammar.ts';
import { schemaGrammar } from './grammar/schema-grammar.ts';
import { RecentResults } from './recent-results.ts';

const SCHEMAS_KEPT = 64;

export class OutputGrammars {
  readonly #json = jsonGrammar();
  readonly #ofSchemas = new RecentResults(SCHEMAS_KEPT, (schema) =>
    schemaGrammar(JSON.parse(schema), { param: 'format' }),
  );
  readonly #ofRegexes = new RecentResults(SCHEMAS_KEPT, (regex) => regexGrammar(regex));
  readonly #ofChoices = new RecentResults(SCHEMAS_KEPT, (choices) => choiceGrammar(JSON.parse(choices)));
  readonly #checked = new RecentResults(SCHEMAS_KEPT, (grammar) => checkGrammar(grammar));

  /** Throws `invalid_request` for what cannot be used, naming the place. */
  of(output: OutputFormat): string {
    switch (output.kind) {
      case 'json':
        return this.#json;
      case 'json-schema':
        return this.#ofSchemas.of(JSON.stringify(output.schema));
      case 'grammar':
        return this.#checked.of(output.grammar);
      case 'regex':
        return this.#ofRegexes.of(output.regex);
      case 'choice':
        return this.#ofChoices.of(JSON.stringify(output.choices));
      default:
        return output satisfies never;
    }
  }
}
