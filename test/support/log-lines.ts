/** The log of a server under test, line by line: what was written so far, and waiting for what is still to come. */

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** Ends a wait in vain; a line that is late on a loaded machine is still a line. */
const LOGGED_WITHIN_MS = 120_000;

export class LogLines {
  readonly all: LogLine[] = [];
  readonly #watchers = new Set<() => void>();

  add(line: LogLine): void {
    this.all.push(line);
    for (const check of [...this.#watchers]) check();
  }

  /** The first line that fits, written already or yet to come. Rejects once `ended` resolves without one. */
  find(fits: (line: LogLine) => boolean, ended?: Promise<unknown>): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const settle = (settled: () => void) => {
        clearTimeout(limit);
        this.#watchers.delete(check);
        settled();
      };
      const check = () => {
        const line = this.all.find(fits);
        if (line) settle(() => resolve(line));
      };
      const fail = () =>
        settle(() =>
          reject(
            new Error(`no such line was logged:\n${this.all.map((line) => JSON.stringify(line)).join('\n')}`),
          ),
        );
      const limit = setTimeout(fail, LOGGED_WITHIN_MS);
      this.#watchers.add(check);
      check();
      void ended?.then(fail);
    });
  }

  /** The line of one request, once it is written. */
  ofRequest(requestId: string, ended?: Promise<unknown>): Promise<LogLine> {
    return this.find((line) => line.msg === 'request' && line.requestId === requestId, ended);
  }
}
