/** A report of usage as GET /admin/usage and GET /v1/usage answer it. It imports nothing that serves: the page takes its types from here. */
import { type Static, type TSchema, Type } from 'typebox';
import type { UsageDimension } from '../../usage/usage-row.ts';

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);
const count = (description: string) => Type.Integer({ minimum: 0, description });

const DIMENSIONS = {
  key: Type.Optional(nullable(Type.String({ description: 'The key’s name; null: without a key.' }))),
  key_id: Type.Optional(nullable(Type.String({ description: 'Beside key.' }))),
  team: Type.Optional(nullable(Type.String())),
  model: Type.Optional(
    nullable(Type.String({ description: 'That answered; null: refused before it was known.' })),
  ),
  target: Type.Optional(nullable(Type.String({ description: 'Null: none was asked.' }))),
  day: Type.Optional(nullable(Type.String({ description: 'In UTC: 2026-01-31.' }))),
  hour: Type.Optional(nullable(Type.String({ description: 'In UTC: 2026-01-31T12:00:00Z.' }))),
};

const MEASURES = {
  requests: count('All of them, those that failed or were refused included.'),
  errors: count('Failed.'),
  rejections: count('Refused by a limit, a budget, or a full queue.'),
  prompt_tokens: count('Of all tries, those that failed included.'),
  cached_tokens: count('Of the prompt tokens, those that were cached.'),
  completion_tokens: count('Of all tries.'),
  cost: Type.Number({ minimum: 0, description: 'In the currency; 0 without prices.' }),
  slot_seconds: Type.Number({ minimum: 0, description: 'How long slots were held.' }),
};

export const usageReportSchema = (dimensions: readonly UsageDimension[]) => {
  const shown = Object.entries(DIMENSIONS).filter(([name]) =>
    dimensions.includes((name === 'key_id' ? 'key' : name) as UsageDimension),
  );
  return Type.Object({
    currency: Type.String(),
    from: Type.String({ format: 'date-time', description: 'The beginning of an hour.' }),
    to: Type.String({ format: 'date-time', description: 'Before this hour.' }),
    rows: Type.Array(Type.Object({ ...(Object.fromEntries(shown) as typeof DIMENSIONS), ...MEASURES }), {
      description: 'What it is by, and what was used. Combinations that nothing used are absent.',
    }),
  });
};

export type UsageAnswer = Static<ReturnType<typeof usageReportSchema>>;
