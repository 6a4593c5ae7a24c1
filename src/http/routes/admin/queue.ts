/** /admin/queue: who waits, who runs, for how long; one of them is cancelled. */
import { type Static, Type } from 'typebox';
import type { AuditTrail } from '../../../access/audit-trail.ts';
import { ServingError } from '../../../core/errors.ts';
import { WAITING_REASONS } from '../../../core/live-snapshot.ts';
import { PRIORITIES } from '../../../core/priority.ts';
import type {
  CountedRequests,
  RunningRequest,
  ShownRequest,
  WaitingRequest,
} from '../../../serving/active-requests.ts';
import type { Administered } from '../../../serving/administered.ts';
import type { EdgeRoute } from '../../context.ts';
import { type DescribedOperation, json } from '../operations.ts';
import {
  ADMIN_PREFIX,
  actionOf,
  adminRoute,
  NOT_FOUND,
  NOT_VALID,
  numberFrom,
  parameterOf,
  REFUSALS,
  refuseFields,
  wholeNumber,
} from './admin-route.ts';

export interface QueueRouteOptions {
  readonly administered: Pick<Administered, 'active' | 'cancel'>;
  readonly audit: AuditTrail;
}

const ROWS = { least: 1, most: 10_000, usual: 1000 } as const;

const textOrNull = (description: string) => Type.Union([Type.String(), Type.Null()], { description });
const milliseconds = (description: string) => Type.Integer({ description });

const activeProperties = {
  id: Type.String({
    description: 'To cancel it by. Of the whole request: its choices share it, and its tries.',
  }),
  request_id: Type.String({ description: 'As its answer and the log have it: X-Request-Id.' }),
  client: Type.String({ description: 'The name of its key, or else the address that it is limited by.' }),
  key: textOrNull('The name of its key; null: it came without one.'),
  team: textOrNull('Of its key.'),
  model: Type.String(),
  priority: Type.Enum([...PRIORITIES]),
  attempt: Type.Integer({ minimum: 1, description: '1: the first.' }),
  prompt_tokens: wholeNumber('An estimate until the backend reports it; 0 between two attempts.'),
  waited_ms: milliseconds('In the queue, for this attempt.'),
};

const Waiting = Type.Object({
  ...activeProperties,
  position: Type.Integer({ minimum: 1, description: '1 is next.' }),
  reason: Type.Enum([...WAITING_REASONS], { description: 'Why it has no slot yet.' }),
  expires_in_ms: milliseconds('Its wait ends then without a slot.'),
  eta_ms: Type.Union([Type.Integer(), Type.Null()], { description: 'An estimate of what is left.' }),
});

const Running = Type.Object({
  ...activeProperties,
  target: Type.String(),
  slot: wholeNumber('Its number at the target, from 0.'),
  running_ms: milliseconds('Since it has its slot.'),
  completion_tokens: wholeNumber('So far.'),
});

const QueueAnswer = Type.Object({
  waiting: Type.Array(Waiting, { description: 'In the order in which they would be served now.' }),
  running: Type.Array(Running, { description: 'In the order in which they began.' }),
  totals: Type.Object(
    { waiting: Type.Integer(), running: Type.Integer() },
    { description: 'Of all models, those included that limit leaves out.' },
  ),
});

const CancelAnswer = Type.Object({ id: Type.String(), request_id: Type.String() });

const QUEUE = `${ADMIN_PREFIX}queue`;

export const DESCRIBED_QUEUE: readonly DescribedOperation[] = [
  {
    path: QUEUE,
    summary: 'Requests that wait and that run',
    description: 'Each choice of a request has a row of its own. There are no prompts and no answers in it.',
    query: [
      {
        name: 'limit',
        schema: Type.Integer({
          minimum: ROWS.least,
          maximum: ROWS.most,
          default: ROWS.usual,
          description: 'At most so many that wait, and as many that run.',
        }),
      },
    ],
    answers: { 200: json(QueueAnswer), ...NOT_VALID, ...REFUSALS },
  },
  {
    path: `${QUEUE}/{id}/cancel`,
    method: 'POST',
    summary: 'Cancel a request',
    description:
      'Its client gets 410 cancelled_by_admin, or, where its stream has begun, an error event that ends it. The slot is free at once, or as soon as the backend has stopped.',
    parameter: { name: 'id', description: 'As GET /admin/queue shows it.' },
    answers: { 200: json(CancelAnswer), ...NOT_VALID, ...REFUSALS, ...NOT_FOUND },
  },
];

export function queueRoutes({ administered, audit }: QueueRouteOptions): readonly EdgeRoute[] {
  return [
    adminRoute({
      method: 'GET',
      path: QUEUE,
      handle: async (context) =>
        context.answerJson(200, queueOf(await administered.active(numberFrom(context, 'limit', ROWS)))),
    }),
    adminRoute({
      method: 'POST',
      path: `${QUEUE}/*/cancel`,
      takesBody: 'optional',
      handle: async (context) => {
        refuseFields(context);
        const id = parameterOf(context);
        const cancelled = await administered.cancel(id);
        if (cancelled === undefined)
          throw new ServingError('request_not_found', {
            message: `No request with the id ${JSON.stringify(id.slice(0, 100))} is waiting or running. GET ${QUEUE} lists them.`,
          });
        const { requestId: request_id, model } = cancelled;
        const details = { request_id, model, ...ownerOf(cancelled) };
        await audit.note(actionOf(context, 'request.cancel', id, details));
        context.answerJson(200, { id, request_id } satisfies Static<typeof CancelAnswer>);
      },
    }),
  ];
}

function queueOf({ waiting, running, totals }: CountedRequests): Static<typeof QueueAnswer> {
  return {
    waiting: waiting.map((request) => ({
      ...describe(request),
      position: request.position,
      reason: request.reason,
      expires_in_ms: Math.round(request.expiresInMs),
      eta_ms: request.etaMs === undefined ? null : Math.round(request.etaMs),
    })),
    running: running.map((request) => ({
      ...describe(request),
      target: request.target,
      slot: request.slot,
      running_ms: Math.round(request.runningMs),
      completion_tokens: request.completionTokens,
    })),
    totals: { ...totals },
  };
}

function describe({
  id,
  request,
  model,
  priority,
  attempt,
  promptTokens,
  waitedMs,
}: WaitingRequest | RunningRequest) {
  return {
    id,
    request_id: request.requestId,
    ...ownerOf(request),
    model,
    priority,
    attempt,
    prompt_tokens: promptTokens,
    waited_ms: Math.round(waitedMs),
  };
}

function ownerOf({ caller, client }: ShownRequest) {
  if (caller === undefined) return { client: client ?? '', key: null, team: null };
  return { client: caller.name, key: caller.name, team: caller.team ?? null };
}
