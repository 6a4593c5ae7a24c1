/** GET /admin/limits: every limit that something was counted for, with what is left of it. */
import { type Static, Type } from 'typebox';
import type { EdgeRoute } from '../../context.ts';
import { type DescribedOperation, json } from '../operations.ts';
import { ADMIN_PREFIX, adminRoute, REFUSALS } from './admin-route.ts';

export interface LimitRouteOptions {
  readonly limitStates: () => LimitStates | Promise<LimitStates>;
}

export type LimitStates = Static<typeof LimitState>[];

export const LimitState = Type.Object({
  scope: Type.String({ description: 'Whom it holds for: all, key:alice, team:red, address:…, model:…' }),
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
