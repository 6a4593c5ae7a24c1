/** GET /admin/configuration: what is in force, and where it comes from. */
import { type Static, Type } from 'typebox';
import type { EdgeRoute } from '../../context.ts';
import { type DescribedOperation, json } from '../operations.ts';
import { ADMIN_PREFIX, adminRoute, REFUSALS } from './admin-route.ts';

export interface ConfigurationRouteOptions {
  /** Without secrets. */
  readonly configuration: () => ConfigurationAnswer;
}

export type ConfigurationAnswer = Static<typeof ConfigurationAnswer>;

const ConfigurationAnswer = Type.Object({
  configuration: Type.Object(
    {},
    {
      additionalProperties: true,
      description: 'As a configuration file would have it, defaults included. A secret is "(secret)".',
    },
  ),
  sources: Type.Record(Type.String(), Type.Enum(['flag', 'environment', 'file']), {
    description: 'By the key of a setting (server.port), where its value comes from. Absent: its default.',
  }),
  needs_restart: Type.Array(Type.String(), {
    description: 'Keys of the settings that a reload leaves as they are.',
  }),
});

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
