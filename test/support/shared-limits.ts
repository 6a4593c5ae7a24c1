/** A store of shared limits for tests, and what it logged and counted. */
import { randomUUID } from 'node:crypto';
import { expect, onTestFinished } from 'vitest';
import { MemoryLimitStore } from '../../src/limits/memory-limit-store.ts';
import { openSharedLimits } from '../../src/stores/valkey/open.ts';
import type { OnFailure, SharedLimitStore } from '../../src/stores/valkey/shared-limit-store.ts';
import { systemClock } from '../../src/system-clock.ts';

/** No machine is so slow that this passes by itself. */
export const PATIENT_MS = 60_000;

/** Refused because the store can't be asked: no limit would have it wait. */
export const UNDECIDED = { admission: undefined, states: [{ remaining: 0, retryInMs: 0 }] };

export interface OpenedLimits {
  readonly store: SharedLimitStore;
  readonly settings: { timeoutMs: number; onFailure: OnFailure };
  readonly logged: string[];
  /** Reasons of failures. */
  readonly failures: Set<string>;
  isUp(up: boolean): Promise<void>;
}

/** Inside a test, which closes it. */
export async function openLimits(
  address: string,
  onFailure: OnFailure = 'closed',
  silenceTimeoutMs = PATIENT_MS,
): Promise<OpenedLimits> {
  const logged: string[] = [];
  const failures = new Set<string>();
  const settings = { timeoutMs: PATIENT_MS, onFailure };
  const note = (level: string) => (message: string) => void logged.push(`${level}: ${message}`);
  const store = await openSharedLimits({
    address,
    clock: systemClock,
    log: { debug: () => {}, info: note('info'), warn: note('warn'), error: note('error') },
    random: Math.random,
    replica: randomUUID(),
    local: new MemoryLimitStore({ clock: systemClock, maxKeys: () => 1000 }),
    settings,
    observer: { decided: () => {}, failed: (reason) => void failures.add(reason) },
    silenceTimeoutMs,
  });
  onTestFinished(() => store.close());
  return { store, settings, logged, failures, isUp: (up) => expect.poll(() => store.isUp).toBe(up) };
}
