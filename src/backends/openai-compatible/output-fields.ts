/** The form of the text in the words of the OpenAI API and of one dialect. Pure. */
import { unsupported } from '../../core/features.ts';
import type { OutputFormat } from '../../core/generation.ts';
import type { Dialect } from './dialect.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What the dialect has no field for was refused before. */
export function chatOutputFields(output: OutputFormat | undefined, dialect: Dialect): Fields {
  switch (output?.kind) {
    case undefined:
      return {};
    case 'grammar':
      return grammarField(output.grammar, dialect);
    case 'regex':
      return { structured_outputs: { regex: output.regex } };
    case 'choice':
      return { structured_outputs: { choice: output.choices } };
    case 'json':
      return { response_format: { type: 'json_object' } };
    case 'json-schema': {
      // The OpenAI service promises what the schema says, or refuses it, only when it is told to be strict.
      const strict = dialect.flavor === 'generic' ? { strict: true } : {};
      const json_schema = { name: 'answer', schema: output.schema, ...strict };
      return { response_format: { type: 'json_schema', json_schema } };
    }
    default:
      return output satisfies never;
  }
}

/** The OpenAI API has no forms of raw prompts; servers of one's own do. */
export function promptOutputFields(output: OutputFormat | undefined, dialect: Dialect): Fields {
  if (output === undefined) return {};
  switch (dialect.grammarFields) {
    case 'none':
      throw unsupported('format', 'this model’s server together with a raw prompt', {
        advice: 'Leave one of the two away.',
      });
    case 'structured-outputs':
      return chatOutputFields(output, dialect);
    case 'plain':
      if (output.kind === 'json') return { json_schema: { type: 'object' } };
      if (output.kind === 'json-schema') return { json_schema: output.schema };
      return chatOutputFields(output, dialect);
    default:
      return dialect.grammarFields satisfies never;
  }
}

function grammarField(grammar: string, { grammarFields }: Dialect): Fields {
  return grammarFields === 'structured-outputs' ? { structured_outputs: { grammar } } : { grammar };
}
