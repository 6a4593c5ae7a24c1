/**
 * A Python child whose standard output is the result. It ends when its output is read to the end, when the reader
 * stops, or when the signal aborts; `output` settles only after the process is gone.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';

const KEPT_ERROR_CHARACTERS = 4000;

type Child = ChildProcessByStdio<null, Readable, Readable>;

export class PythonProcess {
  readonly #arguments: readonly string[];
  readonly #signal: AbortSignal;

  constructor(pythonArguments: readonly string[], signal: AbortSignal) {
    this.#arguments = pythonArguments;
    this.#signal = signal;
  }

  /** Throws an Error with the last words of Python when it fails or is not installed. */
  async *output(): AsyncGenerator<Uint8Array> {
    this.#signal.throwIfAborted();
    const child: Child = spawn('python3', this.#arguments, { stdio: ['ignore', 'pipe', 'pipe'] });
    const closed = once(child, 'close') as Promise<[number | null]>;
    // Watched below, after the output; until then a failure to start must not count as unhandled.
    closed.catch(() => {});
    const kill = () => child.kill('SIGKILL');
    this.#signal.addEventListener('abort', kill, { once: true });
    let complaint = '';
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text: string) => {
      complaint = (complaint + text).slice(-KEPT_ERROR_CHARACTERS);
    });
    try {
      for await (const chunk of child.stdout) yield chunk as Uint8Array;
      const [exitCode] = await closed;
      this.#signal.throwIfAborted();
      if (exitCode !== 0) throw new Error(lastLine(complaint) ?? `python3 ended with code ${exitCode}`);
    } catch (error) {
      // A Python that could not be started shows in its output only as a stream that closed early.
      const reason = await closed.then(
        () => error,
        (startError: unknown) => startError,
      );
      throw isNotInstalled(reason) ? new Error('it takes Python 3, and there is no python3 here') : reason;
    } finally {
      this.#signal.removeEventListener('abort', kill);
      kill();
      await closed.catch(() => {});
    }
  }
}

function lastLine(text: string): string | undefined {
  return text
    .split('\n')
    .map((line) => line.trim())
    .findLast((line) => line !== '' && !/^(notice|\[notice\]|warning)/i.test(line));
}

function isNotInstalled(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
