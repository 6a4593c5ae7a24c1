/**
 * The fields that constrain the text of an answer become the core's OutputFormat: one of them at most. What the core calls
 * by a name of its own keeps the name that the client gave it, in errors and in X-Dropped-Parameters.
 */

import { outputField } from '../../core/features.ts';
import type { OutputFormat } from '../../core/generation.ts';
import { refuseDeepNesting } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';
import type { FieldNames } from '../protocol.ts';
import type { ConstraintBody, ResponseFormat } from './request-fields.ts';

export interface StructuredOutput {
  readonly output?: OutputFormat;
  /** Native field → what this body calls it. */
  readonly fieldNames?: FieldNames;
}

export interface ConstraintFields extends ConstraintBody {
  readonly response_format?: ResponseFormat;
}

/** What one field asks for, and where in the body it stands. */
interface Constraint {
  readonly field: string;
  readonly path: string;
  readonly output: OutputFormat;
}

type Field = keyof ConstraintFields & string;
type Reader = (body: ConstraintFields) => readonly Constraint[];

/** In the order in which contradictions name them. */
const READERS: Readonly<Partial<Record<Field, Reader>>> = {
  response_format: ({ response_format: format }) => (format === undefined ? [] : readResponseFormat(format)),
  structured_outputs: ({ structured_outputs: parts }) =>
    parts === undefined ? [] : readStructuredOutputs(parts),
  guided_json: ({ guided_json }) => asked('guided_json', schemaOutput(guided_json, 'guided_json')),
  guided_regex: ({ guided_regex }) => asked('guided_regex', regexOutput(guided_regex)),
  guided_choice: ({ guided_choice }) => asked('guided_choice', choiceOutput(guided_choice)),
  guided_grammar: ({ guided_grammar }) => asked('guided_grammar', grammarOutput(guided_grammar)),
  grammar: ({ grammar }) => asked('grammar', grammarOutput(grammar)),
  json_schema: ({ json_schema }) => asked('json_schema', schemaOutput(json_schema, 'json_schema')),
};

/** Throws where two are given, or one says nothing. `textFormat`: what /v1/responses has in place of `response_format`. */
export function parseStructuredOutput(body: ConstraintFields, textFormat?: OutputFormat): StructuredOutput {
  const all = Object.values(READERS).flatMap((read) => read(body));
  const [first, second] = [...asked('text.format', textFormat), ...all];
  if (first === undefined) return {};
  if (second !== undefined)
    throw invalid(
      second.field,
      `${second.path} and ${first.path} are both given, but at most one of them is allowed: each constrains the whole text.`,
    );
  // The route itself knows what it calls its own.
  if (first.output === textFormat) return { output: textFormat };
  return { output: first.output, fieldNames: namesFor(first) };
}

/** Of `response_format` the whole is named, unless something within its schema is. */
function namesFor({ field, path, output }: Constraint): FieldNames {
  const whole = field === 'response_format' ? field : path;
  return { [outputField(output)]: (rest: string) => (rest === '' ? whole : path + rest) };
}

function readResponseFormat({ type, json_schema, schema: beside }: ResponseFormat): readonly Constraint[] {
  const field = 'response_format';
  const inner = `${field}.json_schema`;
  if (type === 'text') return [];
  if (type === 'json_schema' && beside === undefined && json_schema === undefined)
    throw invalid(inner, `${inner} is missing. It must be an object with name and schema.`);
  const named = json_schema?.schema;
  if (named !== undefined && beside !== undefined)
    throw invalid(
      `${field}.schema`,
      `${field}.schema and ${inner}.schema are both given, but at most one of them is allowed.`,
    );
  if (named !== undefined && type !== 'json_schema')
    throw invalid(inner, `${inner} is only allowed with ${field}.type "json_schema".`);
  const schema = named ?? beside;
  if (schema === undefined) return [{ field, path: field, output: { kind: 'json' } }];
  const path = named === undefined ? `${field}.schema` : `${inner}.schema`;
  refuseDeepNesting(schema, path);
  return [{ field, path, output: { kind: 'json-schema', schema } }];
}

function readStructuredOutputs({
  json,
  regex,
  choice,
  grammar,
  json_object,
}: NonNullable<ConstraintBody['structured_outputs']>): readonly Constraint[] {
  const field = 'structured_outputs';
  const at = (part: string, output: OutputFormat | undefined) =>
    output === undefined ? [] : [{ field, path: `${field}.${part}`, output }];
  return [
    ...at('json', schemaOutput(json, `${field}.json`)),
    ...at('regex', regexOutput(regex)),
    ...at('choice', choiceOutput(choice)),
    ...at('grammar', grammarOutput(grammar)),
    ...at('json_object', json_object ? { kind: 'json' } : undefined),
  ];
}

function asked(field: string, output: OutputFormat | undefined): readonly Constraint[] {
  return output === undefined ? [] : [{ field, path: field, output }];
}

function schemaOutput(given: object | string | undefined, path: string): OutputFormat | undefined {
  if (given === undefined) return undefined;
  const schema = typeof given === 'string' ? schemaIn(given, path) : given;
  refuseDeepNesting(schema, path);
  return { kind: 'json-schema', schema };
}

function regexOutput(regex: string | undefined): OutputFormat | undefined {
  return regex === undefined ? undefined : { kind: 'regex', regex };
}

function choiceOutput(choices: readonly string[] | undefined): OutputFormat | undefined {
  return choices === undefined ? undefined : { kind: 'choice', choices };
}

function grammarOutput(grammar: string | undefined): OutputFormat | undefined {
  return grammar === undefined ? undefined : { kind: 'grammar', grammar };
}

function schemaIn(text: string, path: string): object {
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch {
    schema = undefined;
  }
  if (typeof schema === 'object' && schema !== null && !Array.isArray(schema)) return schema;
  throw invalid(path, `${path} is a text, but not that of a JSON Schema: it must be the JSON of an object.`);
}
