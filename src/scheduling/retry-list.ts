/**
 * The requests of one model that are tried again, the earliest first. Few: each had a slot before. Invariant: sorted by
 * `firstQueuedAt`; of equals, in the order in which they came.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { EntryId } from './decision.ts';
import type { QueuedRequest } from './queued-request.ts';

export class RetryList {
  readonly #waiting: QueuedRequest[] = [];
  #sizeBytes = 0;

  get size(): number {
    return this.#waiting.length;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** When the first of them has no time left. */
  get nextDeadline(): Milliseconds | undefined {
    let earliest: Milliseconds | undefined;
    for (const { entry } of this.#waiting)
      if (earliest === undefined || entry.deadlineAt < earliest) earliest = entry.deadlineAt;
    return earliest;
  }

  /** A copy: the list may change while it is gone through. */
  inOrder(): readonly QueuedRequest[] {
    return this.#waiting.length === 0 ? NONE : [...this.#waiting];
  }

  add(request: QueuedRequest): void {
    const after = this.#waiting.findIndex((other) => firstQueuedAt(other) > firstQueuedAt(request));
    this.#waiting.splice(after === -1 ? this.#waiting.length : after, 0, request);
    this.#sizeBytes += request.entry.sizeBytes;
  }

  get(id: EntryId): QueuedRequest | undefined {
    return this.#waiting[this.indexOf(id)];
  }

  /** False where it is not among them. */
  remove(id: EntryId): boolean {
    const index = this.indexOf(id);
    const request = this.#waiting[index];
    if (request === undefined) return false;
    this.#waiting.splice(index, 1);
    this.#sizeBytes -= request.entry.sizeBytes;
    return true;
  }

  indexOf(id: EntryId): number {
    return this.#waiting.findIndex(({ entry }) => entry.id === id);
  }
}

const NONE: readonly QueuedRequest[] = [];

function firstQueuedAt({ entry, enqueuedAt }: QueuedRequest): Milliseconds {
  return entry.retry?.firstQueuedAt ?? enqueuedAt;
}
