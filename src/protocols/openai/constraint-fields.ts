/** Fields of vLLM and llama-server that bind what an answer may be; chats, text completions and responses share them. */
import { type Static, Type } from 'typebox';
import { tokenFields } from '../token-fields.ts';
import { ignored, refused } from './generation-fields.ts';

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
      'and whitespace_pattern, go to backends that take them and are refused by all others.',
  },
);

/** At most one of these, and of `response_format`, is given. */
const outputFields = {
  structured_outputs: Type.Optional(structuredOutputs),
  guided_json: Type.Optional(schemaOrText),
  guided_regex: Type.Optional(regex),
  guided_choice: Type.Optional(choices),
  guided_grammar: Type.Optional(grammar),
  grammar: Type.Optional(grammar),
  json_schema: Type.Optional(jsonSchema),
};

export const constraintFields = {
  ...outputFields,
  ...tokenFields,
  prompt_logprobs: refused(Type.Unknown({ description: 'Refused: prompts have no log-probabilities here.' })),
  use_beam_search: refused(Type.Boolean({ description: 'true is refused: answers are sampled.' })),
};

const ConstraintBody = Type.Object(constraintFields);
export type ConstraintBody = Static<typeof ConstraintBody>;
export type ResponseFormat = Static<typeof responseFormat>;
