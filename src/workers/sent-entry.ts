/**
 * A queue entry on its way to the control process: its times are those of the host, as each process has a clock of its own; what JSON has
 * no word for is left out: a time that never comes, a bound that is not there.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { QueueEntry, RetryPlace, TargetId } from '../scheduling/decision.ts';
import type { HostTime } from './link.ts';

export interface SentEntry
  extends Omit<QueueEntry, 'maxTokens' | 'maxTokensIsDefault' | 'expiresAt' | 'deadlineAt' | 'retry'> {
  readonly maxTokens?: number | undefined;
  readonly maxTokensIsDefault?: true | undefined;
  readonly expiresAt?: Milliseconds | undefined;
  readonly deadlineAt?: Milliseconds | undefined;
  readonly retry?: (Omit<RetryPlace, 'avoid'> & { readonly avoid: readonly TargetId[] }) | undefined;
}

export function sentEntry(entry: QueueEntry, hostTime: HostTime): SentEntry {
  const { maxTokensIsDefault, expiresAt, deadlineAt, retry } = entry;
  return {
    id: entry.id,
    model: entry.model,
    client: entry.client,
    priority: entry.priority,
    promptTokens: entry.promptTokens,
    maxTokens: entry.maxTokens,
    maxTokensIsDefault: maxTokensIsDefault || undefined,
    prefix: entry.prefix,
    sizeBytes: entry.sizeBytes,
    expiresAt: Number.isFinite(expiresAt) ? hostTime.toHost(expiresAt) : undefined,
    deadlineAt: Number.isFinite(deadlineAt) ? hostTime.toHost(deadlineAt) : undefined,
    retry: retry && {
      ...retry,
      avoid: [...retry.avoid],
      firstQueuedAt: hostTime.toHost(retry.firstQueuedAt),
    },
  };
}

export function receivedEntry(sent: SentEntry, hostTime: HostTime): QueueEntry {
  const { prefix, expiresAt, deadlineAt, retry } = sent;
  return {
    id: sent.id,
    model: sent.model,
    client: sent.client,
    priority: sent.priority,
    promptTokens: sent.promptTokens,
    maxTokens: sent.maxTokens,
    maxTokensIsDefault: sent.maxTokensIsDefault ?? false,
    // `beginning` is left out where it is undefined.
    prefix: prefix && { ends: prefix.ends, hashes: prefix.hashes, beginning: prefix.beginning },
    sizeBytes: sent.sizeBytes,
    expiresAt: expiresAt === undefined ? Number.POSITIVE_INFINITY : hostTime.fromHost(expiresAt),
    deadlineAt: deadlineAt === undefined ? Number.POSITIVE_INFINITY : hostTime.fromHost(deadlineAt),
    retry: retry && {
      ...retry,
      avoid: new Set(retry.avoid),
      firstQueuedAt: hostTime.fromHost(retry.firstQueuedAt),
    },
  };
}
