/** Keys, rows and entries of tests. */
import type { KeyRecord, KeySecret } from '../../../src/access/key-record.ts';
import type { AuditEntry } from '../../../src/stores/store.ts';
import type { UsageRow } from '../../../src/usage/usage-row.ts';

export function secret(hash: string, changes: Partial<KeySecret> = {}): KeySecret {
  return { hash, shown: `sk-llm-${hash}`, createdAt: 1_700_000_000_000, expiresAt: undefined, ...changes };
}

/** A key with nothing that can be left out. Its id and hash come from its name. */
export function plainKey(name: string, changes: Partial<KeyRecord> = {}): KeyRecord {
  return {
    id: `key_${name}`,
    name,
    secrets: [secret(`hash-of-${name}`)],
    team: undefined,
    labels: {},
    models: undefined,
    highestPriority: undefined,
    limits: {},
    mayAdmin: false,
    everAdmin: false,
    createdAt: 1_700_000_000_000,
    expiresAt: undefined,
    revokedAt: undefined,
    ...changes,
  };
}

/** A key with everything that one can have. */
export function fullKey(name: string, changes: Partial<KeyRecord> = {}): KeyRecord {
  return plainKey(name, {
    secrets: [
      secret(`new-of-${name}`),
      secret(`old-of-${name}`, { shown: '', expiresAt: 1_700_000_500_000 }),
    ],
    team: 'röd "team"',
    labels: { cost_centre: '4711', 'a.b': '' },
    models: ['small', 'large'],
    highestPriority: 'high',
    limits: { requests_per_minute: 3, budget_per_day: 0.25 },
    mayAdmin: true,
    everAdmin: true,
    expiresAt: 1_800_000_000_000,
    ...changes,
  });
}

export const HOUR_MS = 3_600_000;
/** 2026-01-31T22:00Z */
export const AN_HOUR = Date.UTC(2026, 0, 31, 22);

export function usageRow(changes: Partial<UsageRow> = {}): UsageRow {
  return {
    hour: AN_HOUR,
    caller: 'key_alice',
    team: 'red',
    model: 'small',
    target: 'small/ollama/0',
    requests: 1,
    errors: 0,
    rejections: 0,
    promptTokens: 10,
    cachedTokens: 4,
    completionTokens: 5,
    costNano: 1000,
    slotMs: 12.5,
    ...changes,
  };
}

export function auditEntry(changes: Partial<AuditEntry> = {}): AuditEntry {
  return {
    at: 1_700_000_000_000,
    actor: 'alice',
    address: '127.0.0.1',
    action: 'key.create',
    subject: 'key_bob',
    details: { name: 'bob', team: null, limits: { requests_per_minute: 3 } },
    ...changes,
  };
}
