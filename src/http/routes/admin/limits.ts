/** GET /admin/limits: the limits of the server, its models, its keys and their teams, with what is left of each. */
import { type Static, Type } from 'typebox';
import type { EdgeRoute } from '../../context.ts';
import { type DescribedOperation, json } from '../operations.ts';
import { ADMIN_PREFIX, adminRoute, REFUSALS } from './admin-route.ts';

export interface LimitRouteOptions {
  readonly limitStates: () => LimitStates | Promise<LimitStates>;
}

export type LimitStates = readonly Static<typeof LimitState>[];

/** With those of more, an answer would be as long as nobody reads it. */
export const MAX_LISTED_KEYS = 1000;

export const LimitState = Type.Object({
  scope: Type.String({ description: 'Whom it holds for: all, key:alice, team:red, model:small.' }),
  name: Type.String({ description: 'The name of the limit: requests_per_minute, …; or rate_limit.' }),
  limit: Type.Number({ description: 'In requests, tokens, or units of the currency.' }),
  remaining: Type.Number(),
  resets_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: 'When something can be admitted again, or when the day or month ends; null: it can be now.',
  }),
});

const LimitsAnswer = Type.Object({ limits: Type.Array(LimitState) });

const PATH = `${ADMIN_PREFIX}limits`;

export const DESCRIBED_LIMITS: readonly DescribedOperation[] = [
  {
    path: PATH,
    summary: 'What is left of each limit',
    description: `Of the server, its models, and its keys with their teams: at most ${MAX_LISTED_KEYS} keys, those of the configuration first. GET /admin/keys/{id} has those of any one.`,
    answers: { 200: json(LimitsAnswer), ...REFUSALS },
  },
];

export function limitRoutes({ limitStates }: LimitRouteOptions): readonly EdgeRoute[] {
  return [
    adminRoute({
      method: 'GET',
      path: PATH,
      handle: async (context) => context.answerJson(200, { limits: await limitStates() }),
    }),
  ];
}
