/** Those who wait for one thing together, each until its own signal aborts. Owns their promises. */
interface Waiter {
  resolve(): void;
  reject(reason: unknown): void;
}

export class Waiters {
  readonly #waiters = new Set<Waiter>();

  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => waiter.reject(signal.reason);
      const settled = () => {
        this.#waiters.delete(waiter);
        signal.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        resolve: () => {
          settled();
          resolve();
        },
        reject: (reason) => {
          settled();
          reject(reason);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  resolveAll(): void {
    for (const waiter of [...this.#waiters]) waiter.resolve();
  }

  rejectAll(reason: unknown): void {
    for (const waiter of [...this.#waiters]) waiter.reject(reason);
  }
}
