/**
 * Structured output: the fields that constrain the text of an answer, OpenAI's, vLLM's and llama-server's, become the core's
 * OutputFormat. At most one is given. Where the core has a name of its own for it, errors and X-Dropped-Parameters keep the
 * client's.
 */
import { type Static, Type } from 'typebox';
import { outputField } from '../../core/features.ts';
import type { OutputFormat } from '../../core/generation.ts';
import { refuseDeepNesting } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';
import type { FieldNames } from '../protocol.ts';
import { ignored } from './request-fields.ts';

const jsonSchema = Type.Object({}, { additionalProperties: true, title: 'an object (a JSON Schema)' });
/** vLLM takes the text of one too. */
const schemaOrText = Type.Union([jsonSchema, Type.String({ minLength: 1 })]);
const regex = Type.String({
  minLength: 1,
  description: 'The whole text matches this regular expression.',
});
const choices = Type.Array(Type.String(), {
  minItems: 1,
  maxItems: 1000,
  description: 'The text is exactly one of these.',
});
const grammar = Type.String({ minLength: 1, description: 'The text follows this grammar (GBNF).' });

export const responseFormat = Type.Object(
  {
    type: Type.Enum(['text', 'json_object', 'json_schema']),
    json_schema: Type.Optional(
      Type.Object({
        name: Type.String({ minLength: 1 }),
        description: ignored(),
        schema: Type.Optional(jsonSchema),
        strict: ignored('Accepted; the schema is always kept to.'),
      }),
    ),
    schema: Type.Optional(jsonSchema),
  },
  {
    description:
      'json_object: a JSON object; json_schema: JSON that the schema allows. schema: as llama-server has it, with either.',
  },
);

const structuredOutputs = Type.Object(
  {
    json: Type.Optional(schemaOrText),
    regex: Type.Optional(regex),
    choice: Type.Optional(choices),
    grammar: Type.Optional(grammar),
    json_object: Type.Optional(Type.Boolean({ description: 'The text is a JSON object.' })),
  },
  {
    additionalProperties: true,
    description:
      'As vLLM has it: one of json (a JSON Schema), regex, choice, grammar and json_object. Other parts, such as structural_tag ' +
      'and whitespace_pattern, go to backends that take them and are rejected by all others.',
  },
);

/** At most one of these, and of `response_format` or `text.format`, is given. */
export const constraintFields = {
  structured_outputs: Type.Optional(structuredOutputs),
  guided_json: Type.Optional(schemaOrText),
  guided_regex: Type.Optional(regex),
  guided_choice: Type.Optional(choices),
  guided_grammar: Type.Optional(grammar),
  grammar: Type.Optional(grammar),
  json_schema: Type.Optional(jsonSchema),
};

const ConstraintFields = Type.Object({ ...constraintFields, response_format: Type.Optional(responseFormat) });

type ConstraintFields = Static<typeof ConstraintFields>;

interface StructuredOutput {
  readonly output?: OutputFormat;
  /** Native field → what this body calls it. */
  readonly fieldNames?: FieldNames;
}

/** What one field asks for, and where in the body it stands. */
interface Constraint {
  readonly field: string;
  readonly path: string;
  readonly output: OutputFormat;
}

type Reader = (body: ConstraintFields) => readonly Constraint[];

/** In the order in which contradictions name them. */
const READERS: readonly Reader[] = [
  ({ response_format: format }) => (format === undefined ? [] : responseFormatConstraint(format)),
  ({ structured_outputs: parts }) => (parts === undefined ? [] : structuredOutputConstraints(parts)),
  ({ guided_json }) => schemaConstraint('guided_json', guided_json),
  ({ guided_regex }) => constraint('guided_regex', guided_regex, asRegex),
  ({ guided_choice }) => constraint('guided_choice', guided_choice, asChoice),
  ({ guided_grammar }) => constraint('guided_grammar', guided_grammar, asGrammar),
  ({ grammar }) => constraint('grammar', grammar, asGrammar),
  ({ json_schema }) => schemaConstraint('json_schema', json_schema),
];

const asRegex = (given: string): OutputFormat => ({ kind: 'regex', regex: given });
const asChoice = (given: readonly string[]): OutputFormat => ({ kind: 'choice', choices: given });
const asGrammar = (given: string): OutputFormat => ({ kind: 'grammar', grammar: given });
const asSchema = (given: object): OutputFormat => ({ kind: 'json-schema', schema: given });
const asJson = (): OutputFormat => ({ kind: 'json' });
const asItIs = (given: OutputFormat): OutputFormat => given;

/** Throws where two are given, or one is not valid. `textFormat`: what /v1/responses has in place of `response_format`. */
export function parseStructuredOutput(body: ConstraintFields, textFormat?: OutputFormat): StructuredOutput {
  const all = [...constraint('text.format', textFormat, asItIs), ...READERS.flatMap((read) => read(body))];
  const [first, second] = all;
  if (first === undefined) return {};
  if (second !== undefined)
    throw invalid(
      second.field,
      `${second.path} and ${first.path} are both given, but at most one of them is allowed: each constrains the whole text.`,
    );
  // The route itself has the names of its own field.
  if (first.output === textFormat) return { output: textFormat };
  return { output: first.output, fieldNames: namesFor(first) };
}

/** Of `response_format` the whole is named, unless something within its schema is. */
function namesFor({ field, path, output }: Constraint): FieldNames {
  const whole = field === 'response_format' ? field : path;
  return { [outputField(output)]: (rest: string) => (rest === '' ? whole : path + rest) };
}

function responseFormatConstraint({
  type,
  json_schema,
  schema: beside,
}: Static<typeof responseFormat>): readonly Constraint[] {
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
  if (schema === undefined) return constraint(field, type, asJson);
  return schemaConstraint(field, schema, named === undefined ? `${field}.schema` : `${inner}.schema`);
}

function structuredOutputConstraints({
  json,
  regex,
  choice,
  grammar,
  json_object,
}: Static<typeof structuredOutputs>): readonly Constraint[] {
  const field = 'structured_outputs';
  return [
    ...schemaConstraint(field, json, `${field}.json`),
    ...constraint(field, regex, asRegex, `${field}.regex`),
    ...constraint(field, choice, asChoice, `${field}.choice`),
    ...constraint(field, grammar, asGrammar, `${field}.grammar`),
    ...constraint(field, json_object || undefined, asJson, `${field}.json_object`),
  ];
}

function schemaConstraint(
  field: string,
  given: object | string | undefined,
  path = field,
): readonly Constraint[] {
  const schema = typeof given === 'string' ? parseSchema(given, path) : given;
  if (schema !== undefined) refuseDeepNesting(schema, path);
  return constraint(field, schema, asSchema, path);
}

/** None where nothing is given. */
function constraint<Given>(
  field: string,
  given: Given | undefined,
  outputOf: (given: Given) => OutputFormat,
  path = field,
): readonly Constraint[] {
  return given === undefined ? [] : [{ field, path, output: outputOf(given) }];
}

function parseSchema(text: string, path: string): object {
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch {
    schema = undefined;
  }
  if (typeof schema === 'object' && schema !== null && !Array.isArray(schema)) return schema;
  throw invalid(path, `${path} is a text, but not that of a JSON Schema: it must be the JSON of an object.`);
}
