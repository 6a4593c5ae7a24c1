/** What the examples of request bodies have in common. The default model answers each of them as it stands. */

export const QUESTION = 'What is the capital of France?';

/** A JSON Schema, for a structured output or for the arguments of a tool. */
export const CITY_SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
} as const;

/** Texts for a model that embeds; such a model is called `embedder` here. */
export const TEXTS = ['The cat sits on the mat.', 'Revenue grew.'] as const;
