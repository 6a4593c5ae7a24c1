/**
 * Writes down what administrators do: in the store, and a line in the log. Where it can't be written, an action that must not go
 * unrecorded is refused, any other goes on with a warning. Time is an argument.
 */
import { ServingError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { AuditEntry, AuditLog } from './audit-log.ts';

interface AuditTrailOptions {
  readonly store: AuditLog;
  readonly log: Log;
  /** Since the Unix epoch. */
  readonly now: () => number;
}

/** Who did it, and from where. */
export type AuditActor = Pick<AuditEntry, 'actor' | 'address'>;

export type AuditedAction = AuditActor & Pick<AuditEntry, 'action' | 'subject' | 'details'>;

export class AuditTrail {
  readonly #options: AuditTrailOptions;
  #lastAt = 0;

  constructor(options: AuditTrailOptions) {
    this.#options = options;
  }

  /** To be awaited before the action, which must not happen without. Rejects with `store_unavailable`. */
  async require(action: AuditedAction): Promise<void> {
    try {
      await this.#write(action);
    } catch (error) {
      this.#warn(action, error);
      throw new ServingError('store_unavailable', {
        message: 'The audit log can’t be written, so nothing was changed. Try again later.',
        cause: error,
      });
    }
  }

  /** Of an action that has been done, or has failed. Never rejects. */
  async note(action: AuditedAction): Promise<void> {
    try {
      await this.#write(action);
    } catch (error) {
      this.#warn(action, error);
    }
  }

  /** The newest first. Rejects with `store_unavailable`. */
  async list(query: Parameters<AuditLog['list']>[0]): Promise<readonly AuditEntry[]> {
    try {
      return await this.#options.store.list(query);
    } catch (error) {
      throw new ServingError('store_unavailable', { cause: error });
    }
  }

  async #write({ actor, address, action, subject, details }: AuditedAction): Promise<void> {
    const { store, log, now } = this.#options;
    // No two have the same time: lists go on before a time.
    this.#lastAt = Math.max(now(), this.#lastAt + 1);
    await store.add({ at: this.#lastAt, actor, address, action, subject, details });
    log.info(`administration: ${action}`, { actor, address, subject, ...details });
  }

  #warn({ action, subject }: AuditedAction, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.log.warn(`the audit log can’t be written: ${reason}`, { action, subject });
  }
}
