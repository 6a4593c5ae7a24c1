/** What administrators are given of the application: their address, the audit log, the configuration in force; a part of compose.ts. */
import { AuditTrail } from './access/audit-trail.ts';
import { KeyAdministration } from './access/key-administration.ts';
import { callerOfRecord } from './access/key-record.ts';
import type { KeyRing } from './access/key-ring.ts';
import type { Config } from './config/config.ts';
import { NEEDS_RESTART } from './config/reload-plan.ts';
import { isLoopbackHost } from './config/rules.ts';
import { shownConfig } from './config/shown-config.ts';
import type { ApplicationLog } from './core/log.ts';
import type { LimitGate } from './http/limit-gate.ts';
import type { ReadingLine } from './http/reading-line.ts';
import type { AdminOptions } from './http/routes/admin.ts';
import type { AdminDoor } from './http/server.ts';
import type { Reloader } from './reload.ts';
import type { Administered } from './serving/administered.ts';
import type { Store } from './stores/store.ts';
import { systemClock } from './system-clock.ts';

/** Undefined: they come in where everybody does. */
export function adminDoorOf({ admin: { port, host, metrics } }: Config): AdminDoor | undefined {
  if (port === undefined) return undefined;
  return { host, port, onLoopback: isLoopbackHost(host), hasMetrics: metrics };
}

export function createAdministration(parts: {
  readonly administered: Administered;
  readonly models: () => readonly string[];
  readonly reload: AdminOptions['reload'];
  readonly store: Store;
  readonly reloader: Reloader;
  readonly log: ApplicationLog;
  readonly keys: KeyRing;
  readonly limitGate: LimitGate;
  readonly readings: ReadingLine;
}): AdminOptions {
  const { administered, models, reload, store, reloader, log, keys, limitGate, readings } = parts;
  const now = () => systemClock.wallNow();
  return {
    clock: systemClock,
    administered,
    keys: new KeyAdministration({ store: store.keys, now }),
    readings,
    audit: new AuditTrail({ store: store.audit, log, now }),
    limitStates: ({ after, most }) => {
      const page = keys.callersAfter(after, { most, now: now() });
      if (page === undefined) return undefined;
      const { callers, teams, next } = page;
      const isFirst = after === undefined;
      const limits = limitGate.statesOf({
        ...{ ofServer: isFirst, callers, teams },
        models: isFirst ? models() : [],
      });
      return { limits, next };
    },
    limitStatesOf: (record) => {
      const caller = callerOfRecord(record);
      return limitGate.statesOf({
        callers: [caller],
        teams: caller.team === undefined ? [] : [caller.team],
      });
    },
    reload,
    configuration: () => ({
      configuration: { ...shownConfig(reloader.running) },
      sources: { ...reloader.sources },
      needs_restart: [...NEEDS_RESTART],
    }),
  };
}
