/** GET /admin/configuration: what is in force, and where it comes from. */
import type { EdgeRoute } from '../../context.ts';
import { type DescribedOperation, json } from '../operations.ts';
import { ADMIN_PREFIX, adminRoute, REFUSALS } from './admin-route.ts';
import { ConfigurationAnswer } from './answer-schemas.ts';

export interface ConfigurationRouteOptions {
  /** Without secrets. */
  readonly configuration: () => ConfigurationAnswer;
}

const PATH = `${ADMIN_PREFIX}configuration`;

export const DESCRIBED_CONFIGURATION: readonly DescribedOperation[] = [
  {
    path: PATH,
    summary: 'The configuration in force',
    answers: { 200: json(ConfigurationAnswer), ...REFUSALS },
  },
];

export function configurationRoutes({ configuration }: ConfigurationRouteOptions): readonly EdgeRoute[] {
  return [
    adminRoute({
      method: 'GET',
      path: PATH,
      handle: (context) => context.answerJson(200, configuration()),
    }),
  ];
}
