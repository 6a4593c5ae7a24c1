/** POST /admin/reload: the configuration is read and put in force again. */
import type { AuditTrail } from '../../../access/audit-trail.ts';
import { toServingError } from '../../../core/errors.ts';
import { ErrorAnswer } from '../../../protocols/catalog.ts';
import type { EdgeRoute, RequestContext } from '../../context.ts';
import { type DescribedOperation, json } from '../operations.ts';
import { ADMIN_PREFIX, actionOf, adminRoute, REFUSALS } from './admin-route.ts';
import { ReloadAnswer } from './answer-schemas.ts';

export interface ReloadOutcome {
  readonly changed: readonly string[];
  readonly unchanged_needs_restart: readonly string[];
}

export interface ReloadRouteOptions {
  readonly audit: AuditTrail;
  /** Throws `invalid_configuration`, `reload_in_progress`, or `draining`. */
  readonly reload: () => Promise<ReloadOutcome>;
}

const PATH = `${ADMIN_PREFIX}reload`;

export const DESCRIBED_RELOAD: readonly DescribedOperation[] = [
  {
    path: PATH,
    method: 'POST',
    summary: 'Reload the configuration',
    description:
      'Reads the configuration again, from the same file, flags and environment. It is checked whole before anything changes; where it is not valid, nothing does.',
    answers: {
      200: json(ReloadAnswer),
      ...REFUSALS,
      409: json(ErrorAnswer),
      422: json(ErrorAnswer),
      503: json(ErrorAnswer),
    },
  },
];

export function reloadRoutes({ audit, reload }: ReloadRouteOptions): readonly EdgeRoute[] {
  const note = (context: RequestContext, details: Readonly<Record<string, unknown>>) =>
    audit.note(actionOf(context, 'configuration.reload', '', details));
  return [
    adminRoute({
      method: 'POST',
      path: PATH,
      handle: async (context) => {
        const outcome = await reload().catch(async (error: unknown) => {
          await note(context, { failed: toServingError(error).code });
          throw error;
        });
        const { changed, unchanged_needs_restart: needs_restart } = outcome;
        await note(context, { changed, needs_restart });
        context.answerJson(200, outcome);
      },
    }),
  ];
}
