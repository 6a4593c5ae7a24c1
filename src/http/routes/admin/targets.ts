/** /admin/targets: the state of all targets; one is taken out of service, and back. */
import type { Static } from 'typebox';
import type { AuditTrail } from '../../../access/audit-trail.ts';
import { ServingError } from '../../../core/errors.ts';
import type { Administered } from '../../../serving/administered.ts';
import type { TargetState as ServedTarget } from '../../../serving/target-state.ts';
import type { EdgeRoute, RequestContext } from '../../context.ts';
import { type DescribedOperation, json } from '../operations.ts';
import { ADMIN_PREFIX, actionOf, adminRoute, NOT_FOUND, parameterOf, REFUSALS } from './admin-route.ts';
import { TargetAnswer, type TargetState, TargetsAnswer } from './answer-schemas.ts';

export interface TargetRouteOptions {
  readonly administered: Pick<Administered, 'targets' | 'setDrained'>;
  readonly audit: AuditTrail;
}

const TARGETS = `${ADMIN_PREFIX}targets`;
const nameParameter = {
  name: 'name',
  description: 'As GET /ready shows it; it may contain slashes and colons.',
};
const answers = { 200: json(TargetAnswer), ...REFUSALS, ...NOT_FOUND };

export const DESCRIBED_TARGETS: readonly DescribedOperation[] = [
  {
    path: TARGETS,
    summary: 'All targets, with their slots',
    answers: { 200: json(TargetsAnswer), ...REFUSALS },
  },
  {
    path: `${TARGETS}/{name}/drain`,
    method: 'POST',
    summary: 'Take a target out of service',
    description:
      'It gets no new requests; those that run there go on. Lasts until it is enabled, also over a reload.',
    parameter: nameParameter,
    answers,
  },
  {
    path: `${TARGETS}/{name}/enable`,
    method: 'POST',
    summary: 'Take a target back into service',
    description: 'Ends a drain, and an ejection as well.',
    parameter: nameParameter,
    answers,
  },
];

export function targetRoutes({ administered, audit }: TargetRouteOptions): readonly EdgeRoute[] {
  const setDrained = (action: 'drain' | 'enable') => async (context: RequestContext) => {
    const target = await drained(administered, parameterOf(context), action === 'drain');
    await audit.note(actionOf(context, `target.${action}`, target.name, { model: target.model }));
    context.answerJson(200, answerOf(target));
  };
  return [
    adminRoute({
      method: 'GET',
      path: TARGETS,
      handle: async (context) => {
        const targets = (await administered.targets()).map(stateOf);
        context.answerJson(200, { targets } satisfies Static<typeof TargetsAnswer>);
      },
    }),
    adminRoute({ method: 'POST', path: `${TARGETS}/*/drain`, handle: setDrained('drain') }),
    adminRoute({ method: 'POST', path: `${TARGETS}/*/enable`, handle: setDrained('enable') }),
  ];
}

async function drained(
  administered: TargetRouteOptions['administered'],
  name: string,
  isDrained: boolean,
): Promise<ServedTarget> {
  const target = await administered.setDrained(name, isDrained);
  if (target !== undefined) return target;
  const names = (await administered.targets()).map((each) => each.name).join(', ');
  throw new ServingError('target_not_found', {
    message: `There is no target ${JSON.stringify(name)}. Targets: ${names}.`,
  });
}

function answerOf({ name, model, backend, status, health, used }: ServedTarget): Static<typeof TargetAnswer> {
  return { name, model, backend, status, health, running: used };
}

function stateOf(target: ServedTarget): Static<typeof TargetState> {
  const { loaded, slots, used, tokensInFlight, ejections, lease } = target;
  return {
    ...answerOf(target),
    loaded,
    slots,
    used,
    tokens_in_flight: tokensInFlight,
    ejections: { ...ejections },
    ...(lease && { lease: { ...lease } }),
  };
}
