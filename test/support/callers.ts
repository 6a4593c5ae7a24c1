/** Callers for tests that need somebody's key, and not what it may. */
import type { Caller } from '../../src/core/caller.ts';

export function callerNamed(name: string, more: Partial<Caller> = {}): Caller {
  return {
    id: `key_${name}`,
    name,
    source: 'store',
    team: undefined,
    labels: {},
    models: undefined,
    highestPriority: undefined,
    limits: {},
    mayAdmin: false,
    ...more,
  };
}
