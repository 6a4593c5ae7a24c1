/**
 * The routes of administrators, put together: a file for each kind in admin/. Who may call them: `requireThisMachine` and the admin
 * keys in http/access.ts. What changes something is written to the audit log.
 */
import type { EdgeRoute } from '../context.ts';
import { type AuditRouteOptions, auditRoutes, DESCRIBED_AUDIT } from './admin/audit.ts';
import {
  type ConfigurationRouteOptions,
  configurationRoutes,
  DESCRIBED_CONFIGURATION,
} from './admin/configuration.ts';
import { DESCRIBED_KEYS, type KeyRouteOptions, keyRoutes } from './admin/keys.ts';
import { DESCRIBED_LIMITS, type LimitRouteOptions, limitRoutes } from './admin/limits.ts';
import { DESCRIBED_QUEUE, type QueueRouteOptions, queueRoutes } from './admin/queue.ts';
import { DESCRIBED_RELOAD, type ReloadRouteOptions, reloadRoutes } from './admin/reload.ts';
import { DESCRIBED_TARGETS, type TargetRouteOptions, targetRoutes } from './admin/targets.ts';
import type { DescribedOperation } from './operations.ts';

export { ADMIN_PREFIX } from './admin/admin-route.ts';
export type { ReloadOutcome } from './admin/reload.ts';

export type AdminOptions = AuditRouteOptions &
  ConfigurationRouteOptions &
  KeyRouteOptions &
  LimitRouteOptions &
  QueueRouteOptions &
  ReloadRouteOptions &
  TargetRouteOptions;

export const DESCRIBED_ADMIN: readonly DescribedOperation[] = [
  ...DESCRIBED_KEYS,
  ...DESCRIBED_LIMITS,
  ...DESCRIBED_RELOAD,
  ...DESCRIBED_CONFIGURATION,
  ...DESCRIBED_TARGETS,
  ...DESCRIBED_QUEUE,
  ...DESCRIBED_AUDIT,
];

export function adminRoutes(options: AdminOptions): readonly EdgeRoute[] {
  return [
    ...keyRoutes(options),
    ...limitRoutes(options),
    ...reloadRoutes(options),
    ...configurationRoutes(options),
    ...targetRoutes(options),
    ...queueRoutes(options),
    ...auditRoutes(options),
  ];
}
