/**
 * A lock on a file, across processes and within one: a lock file beside it that its owner keeps touching. A waiter removes
 * a lock whose owner is dead, or that was not touched for some seconds: a killed process blocks nobody. An owner that was
 * suspended for so long notices that it has lost the lock. Why not a library: docs/decisions/0045-file-locks-stay-own.md.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, readFile, readlink, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

interface LockOwner {
  readonly pid: number;
  readonly host: string;
  /** Process ids are unique within it only; '' where there are no namespaces. */
  readonly pidNamespace: string;
}

export interface LockWaitOptions {
  readonly signal: AbortSignal;
  readonly pollMs?: number | undefined;
  readonly abandonedAfterMs?: number | undefined;
  /** Called at each poll while the lock is held. */
  readonly onHeld: () => Promise<void>;
}

interface LockState {
  readonly text: string;
  readonly touched: string;
  readonly owner: LockOwner | undefined;
}

const TOUCH_EVERY_MS = 1000;
const ABANDONED_AFTER_MS = 10_000;
const POLL_MS = 250;

export class FileLock {
  readonly #path: string;
  readonly #file: FileHandle;
  /** The content of the lock file, different for each lock. */
  readonly #text: string;
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;

  private constructor(path: string, held: { readonly file: FileHandle; readonly text: string }) {
    this.#path = path;
    this.#file = held.file;
    this.#text = held.text;
    this.#timer = setInterval(() => void this.#touch(), TOUCH_EVERY_MS);
    this.#timer.unref();
  }

  /** Undefined where another has the lock. */
  static async take(path: string): Promise<FileLock | undefined> {
    let file: FileHandle;
    try {
      file = await open(path, 'wx');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
      throw error;
    }
    // Inode numbers are reused: the token tells one lock from the next.
    const text = JSON.stringify({ ...(await thisProcess()), token: randomUUID() });
    try {
      await file.writeFile(text);
    } catch (error) {
      // Most likely the disk is full. Nobody should wait for a lock without an owner.
      await file.close();
      await rm(path, { force: true });
      throw error;
    }
    return new FileLock(path, { file, text });
  }

  /** Aborts when another process has taken the lock over. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    if ((await readLock(this.#path))?.text === this.#text) await rm(this.#path, { force: true });
    await this.#file.close();
  }

  /** Throws when another process has taken the lock over. */
  async confirm(): Promise<void> {
    if ((await readLock(this.#path))?.text !== this.#text)
      this.#lost.abort(new Error('another process has taken the lock over'));
    this.lost.throwIfAborted();
  }

  async #touch(): Promise<void> {
    try {
      const now = new Date();
      await this.#file.utimes(now, now);
      await this.confirm();
    } catch {
      // The lock was lost, which `lost` reports, or released.
    }
  }
}

/** Resolves when the lock is free, or was removed because its owner is gone. */
export async function waitForLock(path: string, options: LockWaitOptions): Promise<void> {
  const { signal, pollMs = POLL_MS, abandonedAfterMs = ABANDONED_AFTER_MS, onHeld } = options;
  let lastTouch = '';
  let unchangedSince = performance.now();
  for (;;) {
    const seen = await readLock(path);
    if (seen === undefined) return;
    // Observed, not computed from the file's time: another machine's clock may differ, and this one may have slept.
    if (seen.touched !== lastTouch) unchangedSince = performance.now();
    lastTouch = seen.touched;
    if (performance.now() - unchangedSince >= abandonedAfterMs || (await isDead(seen.owner))) {
      if ((await readLock(path))?.touched === seen.touched) await rm(path, { force: true });
      return;
    }
    await onHeld();
    await delay(pollMs, undefined, { signal });
  }
}

/** Whether the lock is held by an owner that may be alive. */
export async function isHeld(path: string): Promise<boolean> {
  const seen = await readLock(path);
  return seen !== undefined && !(await isDead(seen.owner));
}

async function readLock(path: string): Promise<LockState | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  const text = await readFile(path, 'utf8').catch(() => '');
  return { text, touched: `${found.mtimeMs} ${text}`, owner: parseOwner(text) };
}

function parseOwner(text: string): LockOwner | undefined {
  try {
    const { pid, host, pidNamespace } = JSON.parse(text) as Partial<LockOwner>;
    if (typeof pid !== 'number' || typeof host !== 'string' || typeof pidNamespace !== 'string')
      return undefined;
    return { pid, host, pidNamespace };
  } catch {
    return undefined;
  }
}

async function thisProcess(): Promise<LockOwner> {
  const pidNamespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return { pid: process.pid, host: hostname(), pidNamespace };
}

/** Only where the process would be visible from here if it were alive. */
async function isDead(owner: LockOwner | undefined): Promise<boolean> {
  if (owner === undefined) return false;
  const own = await thisProcess();
  if (owner.host !== own.host || owner.pidNamespace !== own.pidNamespace) return false;
  try {
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
