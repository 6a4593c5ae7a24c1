/** GET /admin/limits: the limits of the server, its models, its keys and their teams, with what is left of each. */
import { type Static, Type } from 'typebox';
import { ServingError } from '../../../core/errors.ts';
import type { EdgeRoute } from '../../context.ts';
import { type DescribedOperation, json } from '../operations.ts';
import { ADMIN_PREFIX, adminRoute, NOT_VALID, numberFrom, queryOf, REFUSALS } from './admin-route.ts';
import { type LimitState, LimitsAnswer } from './answer-schemas.ts';

export interface LimitRouteOptions {
  /** Undefined: no key has the id `after`. */
  readonly limitStates: (page: {
    readonly after: string | undefined;
    readonly most: number;
  }) => LimitStatesPage | undefined;
}

interface LimitStatesPage {
  readonly limits: LimitStates | Promise<LimitStates>;
  /** The `after` of the next page; undefined: this is the last one. */
  readonly next: string | undefined;
}

export type LimitStates = readonly Static<typeof LimitState>[];

/** With those of more, an answer would be as long as nobody reads it. */
const KEYS = { least: 1, most: 1000, usual: 1000 } as const;

const PATH = `${ADMIN_PREFIX}limits`;

export const DESCRIBED_LIMITS: readonly DescribedOperation[] = [
  {
    path: PATH,
    summary: 'What is left of each limit',
    description:
      'Of the server, its models, and its keys with their teams: so many keys in each answer, those of the configuration first. The limits of the server and of models are in the first answer, those of a team in the first that has a key of it: all answers together have each limit once. GET /admin/keys/{id} has those of any one key.',
    query: [
      {
        name: 'limit',
        schema: Type.Integer({
          minimum: KEYS.least,
          maximum: KEYS.most,
          default: KEYS.usual,
          description: 'So many keys.',
        }),
      },
      {
        name: 'after',
        schema: Type.String({
          description:
            'Only further keys: the next of the answer before. 400: no key with that id is known; another process of the server knows a new one within a second.',
        }),
      },
    ],
    answers: { 200: json(LimitsAnswer), ...NOT_VALID, ...REFUSALS },
  },
];

export function limitRoutes({ limitStates }: LimitRouteOptions): readonly EdgeRoute[] {
  return [
    adminRoute({
      method: 'GET',
      path: PATH,
      handle: async (context) => {
        const most = numberFrom(context, 'limit', KEYS);
        const after = queryOf(context.request.url).get('after') ?? undefined;
        const page = limitStates({ after, most });
        if (page === undefined)
          throw new ServingError('invalid_request', {
            message:
              'after must be the next of an earlier answer: no key with that id is known here. One that was added within the last second may not be yet: ask again.',
            param: 'after',
          });
        const { limits, next = null } = page;
        const answer = { limits: [...(await limits)], next };
        context.answerJson(200, answer satisfies Static<typeof LimitsAnswer>);
      },
    }),
  ];
}
