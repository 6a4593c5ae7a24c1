/** Creates what holds requests to their limits; a part of compose.ts. */
import type { Telemetry } from './core/request-trace.ts';
import { LimitGate } from './http/limit-gate.ts';
import { protocolAt } from './http/routes/protocols.ts';
import type { EdgeSettings } from './http/settings.ts';
import type { LimitStore } from './limits/limit-store.ts';
import { PROTOCOLS } from './protocols/catalog.ts';
import { systemClock } from './system-clock.ts';

/** Routes that cost the model or the machine work are limited. */
const LIMITED_PATHS: ReadonlySet<string> = new Set(
  PROTOCOLS.flatMap(({ routes }) => routes)
    .filter((route) => route.kind !== 'query' || route.limited)
    .map(({ path }) => path),
);

export function createLimitGate({
  store,
  settings,
  telemetry,
}: {
  readonly store: LimitStore;
  readonly settings: EdgeSettings;
  readonly telemetry: Telemetry;
}): LimitGate {
  return new LimitGate({
    clock: systemClock,
    store,
    settings,
    paths: LIMITED_PATHS,
    protocolAt,
    onChecked: (verdict) => telemetry.rateLimited(verdict),
    onDecision: (scope, verdict) => telemetry.limitDecided(scope, verdict),
  });
}
