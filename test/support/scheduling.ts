/** Short ways to speak to a scheduler, for its tests. */
import type { Decision, QueueEntry, SchedulerOptions, Settlement } from '../../src/scheduling/decision.ts';
import { fingerprintOf, type PrefixFingerprint } from '../../src/scheduling/prefix-fingerprint.ts';
import { Scheduler } from '../../src/scheduling/scheduler.ts';
import type { RetrySettings } from '../../src/serving/serving.ts';

/** Bounds that no test meets by chance. */
export const SCHEDULER: SchedulerOptions = {
  mode: 'eager',
  order: 'fair',
  maxBatchSize: 4,
  windowMs: 5,
  maxQueue: 8,
  maxQueuePerClient: 1_000_000,
  maxQueueBytes: 1_000_000_000,
  maxBatchTokens: Number.POSITIVE_INFINITY,
  maxTokensInFlight: Number.POSITIVE_INFINITY,
  agingMs: 10_000,
  maxOvertakes: 4,
  routing: { policy: 'load', prefixAffinity: false, random: () => 0.5 },
};

/** Three tries, and a budget that no test meets by chance. */
export const RETRY: RetrySettings = { attempts: 3, budget: { percent: 20, perSecond: 1000 } };

/** A failure is final. */
export const NO_RETRY: RetrySettings = { ...RETRY, attempts: 1 };

export const FAR = 1_000_000_000;

/** Ten tokens of a client called `client`, without a deadline. */
export function entry(id: string, changes: Partial<QueueEntry> = {}): QueueEntry {
  return {
    id,
    model: 'm',
    client: 'client',
    priority: 'normal',
    promptTokens: 2,
    maxTokens: 8,
    maxTokensIsDefault: false,
    sizeBytes: 10,
    expiresAt: FAR,
    deadlineAt: FAR,
    ...changes,
  };
}

/** What `entry` estimates was really used. */
export function settled(changes: Partial<Settlement> = {}): Settlement {
  return { outcome: 'completed', promptTokens: 2, answerTokens: 8, firstTokenMs: 0, ...changes };
}

/** Of a conversation that has come so far; each message is long enough to be worth continuing. */
export function prefixOf(conversation: string, turns: number): PrefixFingerprint {
  const messages = Array.from({ length: turns }, (_, turn) => ({
    role: 'user' as const,
    content: `${conversation} ${turn}`.padEnd(400),
  }));
  return fingerprintOf({ kind: 'chat', messages }, undefined);
}

/** A scheduler with one target `t` that is ready and caches prefixes. */
export function started(options: Partial<SchedulerOptions> = {}, slots = 2): Scheduler {
  const scheduler = new Scheduler({ ...SCHEDULER, ...options });
  scheduler.setTarget({ id: 't', model: 'm', slots, state: 'ready', cachesPrefixes: true }, 0);
  scheduler.tick(0);
  return scheduler;
}

/** `a+b` is a batch of a and b, `!c:queue_full` a rejection. */
export function told(decisions: readonly Decision[]): string[] {
  return decisions.map((decision) =>
    decision.type === 'dispatch'
      ? decision.batch.members.map(({ id }) => id).join('+')
      : `!${decision.id}:${decision.code}`,
  );
}
