/**
 * Who works on a file, across processes and within one: a lock file beside it that its owner keeps touching. One
 * that was not touched for some seconds, or whose owner is dead, is removed by whoever waits for it, so that a killed
 * process blocks nobody. An owner that was stopped for so long notices that it has lost the lock.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, readFile, readlink, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

export interface LockOwner {
  readonly pid: number;
  readonly host: string;
  /** Process ids mean something within it only; '' where there is no such thing. */
  readonly pidNamespace: string;
}

export interface LockWaitOptions {
  readonly signal: AbortSignal;
  readonly pollMs?: number | undefined;
  readonly abandonedAfterMs?: number | undefined;
  /** Called again and again while the lock is held. */
  readonly onHeld: (owner: LockOwner | undefined) => Promise<void>;
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
  /** What is in the lock file: nobody else's is the same. */
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

  /** Undefined where somebody has it. */
  static async take(path: string): Promise<FileLock | undefined> {
    let file: FileHandle;
    try {
      file = await open(path, 'wx');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
      throw error;
    }
    // Inode numbers are used again: the token is what tells one lock from the next.
    const text = JSON.stringify({ ...(await thisProcess()), token: randomUUID() });
    try {
      await file.writeFile(text);
    } catch (error) {
      // A full disk, most likely: nobody is to wait for a lock that says nothing.
      await file.close();
      await rm(path, { force: true });
      throw error;
    }
    return new FileLock(path, { file, text });
  }

  /** Aborts when another has taken over. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    if ((await readLock(this.#path))?.text === this.#text) await rm(this.#path, { force: true });
    await this.#file.close();
  }

  /** Throws when another has taken over. */
  async confirm(): Promise<void> {
    if ((await readLock(this.#path))?.text !== this.#text)
      this.#lost.abort(new Error('another process has taken over'));
    this.lost.throwIfAborted();
  }

  async #touch(): Promise<void> {
    try {
      const now = new Date();
      await this.#file.utimes(now, now);
      await this.confirm();
    } catch {
      // Lost, which `lost` tells; or released meanwhile.
    }
  }
}

/** Resolves when the lock is gone, or was removed because its owner is. */
export async function waitForLock(path: string, options: LockWaitOptions): Promise<void> {
  const { signal, pollMs = POLL_MS, abandonedAfterMs = ABANDONED_AFTER_MS, onHeld } = options;
  let lastTouch = '';
  let unchangedSince = performance.now();
  for (;;) {
    const seen = await readLock(path);
    if (seen === undefined) return;
    // Seen to be untouched, not computed from a clock: that of another machine may differ, and this one may have slept.
    if (seen.touched !== lastTouch) unchangedSince = performance.now();
    lastTouch = seen.touched;
    if (performance.now() - unchangedSince >= abandonedAfterMs || (await isDead(seen.owner))) {
      if ((await readLock(path))?.touched === seen.touched) await rm(path, { force: true });
      return;
    }
    await onHeld(seen.owner);
    await delay(pollMs, undefined, { signal });
  }
}

/** Whether somebody who is alive, or may be, holds the lock. */
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

/** Only of a process that could be seen from here if it were alive. */
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
