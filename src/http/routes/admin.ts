/**
 * The routes of operators: put the configuration in force again, take a target out of service and back. Who may call them:
 * `requireThisMachine` and the admin keys in http/access.ts. They take no body.
 */
import { type Static, Type } from 'typebox';
import { ServingError } from '../../core/errors.ts';
import { ErrorAnswer } from '../../protocols/catalog.ts';
import { HEALTH_STATES, type HealthState } from '../../scheduling/target-health.ts';
import type { Serving } from '../../serving/serving.ts';
import type { EdgeRoute, RequestContext } from '../context.ts';
import { type DescribedOperation, json } from './operations.ts';

interface AdminOptions {
  readonly serving: Serving;
  /** Throws `invalid_configuration`, `reload_in_progress`, or `draining`. */
  readonly reload: () => Promise<ReloadOutcome>;
}

const ReloadAnswer = Type.Object({
  changed: Type.Array(Type.String(), {
    description:
      'What is different now, one line each: targets, models, and settings with their old and new value.',
  }),
  unchanged_needs_restart: Type.Array(Type.String(), {
    description: 'Keys of settings that the configuration has otherwise and that need a restart.',
  }),
});

export interface ReloadOutcome {
  readonly changed: readonly string[];
  readonly unchanged_needs_restart: readonly string[];
}

const TargetAnswer = Type.Object({
  name: Type.String(),
  model: Type.String(),
  backend: Type.String(),
  status: Type.String({ description: 'What its probe reports, as in GET /ready.' }),
  health: Type.Enum(Object.keys(HEALTH_STATES) as HealthState[]),
  running: Type.Integer({ description: 'Requests that run there; a drain waits for them.' }),
});

export const ADMIN_PREFIX = '/admin/';
const TARGETS = `${ADMIN_PREFIX}targets/`;
/** The names of targets may contain slashes, so the rest of the path is divided at its last one. */
const TARGET_PATH = /^(.+)\/(drain|enable)$/s;

const refusals = { 401: json(ErrorAnswer), 403: json(ErrorAnswer), 429: json(ErrorAnswer) };
const targetAnswers = { 200: json(TargetAnswer), ...refusals, 404: json(ErrorAnswer) };
const nameParameter = {
  name: 'name',
  description: 'As GET /ready shows it; it may contain slashes and colons.',
};

export const DESCRIBED_ADMIN: readonly DescribedOperation[] = [
  {
    path: '/admin/reload',
    method: 'POST',
    summary: 'Reload the configuration',
    description:
      'Reads the configuration again, from the same file, flags and environment. It is checked whole before anything changes; where it is not valid, nothing does.',
    answers: {
      200: json(ReloadAnswer),
      ...refusals,
      409: json(ErrorAnswer),
      422: json(ErrorAnswer),
      503: json(ErrorAnswer),
    },
  },
  {
    path: '/admin/targets/{name}/drain',
    method: 'POST',
    summary: 'Take a target out of service',
    description:
      'It gets no new requests; those that run there go on. Lasts until it is enabled, also over a reload.',
    parameter: nameParameter,
    answers: targetAnswers,
  },
  {
    path: '/admin/targets/{name}/enable',
    method: 'POST',
    summary: 'Take a target back into service',
    description: 'Ends a drain, and an ejection as well.',
    parameter: nameParameter,
    answers: targetAnswers,
  },
];

export function adminRoutes({ serving, reload }: AdminOptions): readonly EdgeRoute[] {
  return [
    adminRoute(`${ADMIN_PREFIX}reload`, async (context) => context.answerJson(200, await reload())),
    adminRoute(`${TARGETS}*`, (context) => {
      const [, name, action] = TARGET_PATH.exec(context.match?.params['*'] ?? '') ?? [];
      if (name === undefined)
        throw new ServingError('not_found', {
          message: `The path ${context.path} does not exist. Use ${TARGETS}NAME/drain or ${TARGETS}NAME/enable.`,
        });
      context.answerJson(200, setDrained(serving, name, action === 'drain'));
    }),
  ];
}

function setDrained(serving: Serving, name: string, isDrained: boolean): Static<typeof TargetAnswer> {
  const target = serving.setDrained(name, isDrained);
  if (target === undefined) {
    const names = serving.targets.all.map(({ id }) => id).join(', ');
    throw new ServingError('target_not_found', {
      message: `There is no target ${JSON.stringify(name)}. Targets: ${names}.`,
    });
  }
  return {
    name: target.id,
    model: target.model,
    backend: target.backendName,
    status: target.status.state,
    health: target.health,
    running: serving.usedOf(target).slots,
  };
}

function adminRoute(path: string, handle: (context: RequestContext) => void | Promise<void>): EdgeRoute {
  return {
    method: 'POST',
    path,
    handle,
    // A body is refused, whatever it is.
    bodyLimit: { bytes: 0, setting: 'this route takes no body' },
    takesAnyType: true,
    asksModel: false,
  };
}
