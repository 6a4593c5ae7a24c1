/**
 * When conversations are written to the browser's database: not with each key or token, but within a time from the first change that is
 * not written, and at the latest when the page is left.
 */
import { notice, summaries } from './chat-state.ts';
import type { Conversation } from './conversation.ts';
import { database, summaryOf } from './conversation-database.ts';

class Saver {
  readonly #waiting = new Map<string, Conversation>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueAt = Number.POSITIVE_INFINITY;

  /** Within so many milliseconds; 0: at once. Of several changes the last is written. */
  save(conversation: Conversation, withinMs: number): void {
    this.#waiting.set(conversation.id, conversation);
    if (withinMs <= 0) {
      this.flush();
      return;
    }
    const dueAt = performance.now() + withinMs;
    if (dueAt >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => this.flush(), withinMs);
  }

  /** Writes what waits. */
  readonly flush = (): void => {
    clearTimeout(this.#timer);
    this.#dueAt = Number.POSITIVE_INFINITY;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const conversation of waiting) void write(conversation);
  };

  /** As it is deleted. */
  forget(id: string): void {
    this.#waiting.delete(id);
  }
}

export const saver = new Saver();

/** At once when the page is left: a browser may end hidden pages without another word. */
export function flushWhenLeft(): void {
  window.addEventListener('pagehide', saver.flush);
  document.addEventListener('visibilitychange', () => document.hidden && saver.flush());
}

async function write(conversation: Conversation): Promise<void> {
  try {
    if (!(await database.save(conversation))) return;
    const summary = summaryOf(conversation);
    summaries.update((before) =>
      [summary, ...before.filter(({ id }) => id !== summary.id)].toSorted(
        (one, other) => other.updatedAt - one.updatedAt,
      ),
    );
  } catch (thrown) {
    notice.set(thrown instanceof Error ? thrown.message : String(thrown));
  }
}
