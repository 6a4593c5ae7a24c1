/** /admin/queue: who waits, who runs, for how long; one of them is cancelled. */
import { type Static, Type } from 'typebox';
import type { AuditTrail } from '../../../access/audit-trail.ts';
import { ServingError } from '../../../core/errors.ts';
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
} from './admin-route.ts';
import { CancelAnswer, QueueAnswer } from './answer-schemas.ts';

export interface QueueRouteOptions {
  readonly administered: Pick<Administered, 'active' | 'cancel'>;
  readonly audit: AuditTrail;
}

const ROWS = { least: 1, most: 10_000, usual: 1000 } as const;

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
