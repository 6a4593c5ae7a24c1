/**
 * What several processes of one program share of an engine that one of them runs: the folder of the engines' sockets, and the way in
 * which the others hear how each engine is. The composition root passes it to every backend.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type EngineSharing =
  | {
      /** It runs the engines. */
      readonly mode: 'owns';
      /** Where their sockets are. */
      readonly directory: EngineDirectory;
      /** Begins to tell the others of the engine of that name. One that was told of before under this name is forgotten. */
      announce(engine: string): Announcement;
    }
  | {
      /** It uses the engines of the process that runs them. */
      readonly mode: 'joins';
      /**
       * Calls the listener at once with what was told last, if anything was, and whenever there is something new; with undefined when
       * the engine is gone for good. Returns what ends that.
       */
      watch(engine: string, listener: (state: EngineNotice | undefined) => void): () => void;
    };

/** JSON; both ends are the same backend's. */
export type EngineNotice = Readonly<Record<string, unknown>>;

export interface Announcement {
  tell(state: EngineNotice): void;
  /** The engine is gone for good. */
  end(): void;
}

/** The kernel's bound for the path of a socket, in bytes: 107 on Linux, 103 on macOS. */
const MAX_SOCKET_PATH_BYTES = 103;
const NAME_BYTES = 9;

/**
 * A folder that only this user may enter, for sockets alone; made when the first is needed. Short enough for their paths: else it is in
 * /tmp. On Windows, no folder: the beginning of the names of pipes.
 */
export class EngineDirectory {
  readonly #base: string;
  readonly #platform: string;
  #path: string | undefined;

  /** `base`: where it is made. */
  constructor(base: string = tmpdir(), platform: string = process.platform) {
    this.#base = base;
    this.#platform = platform;
  }

  /** Where one engine listens. */
  newAddress(): string {
    const name = randomName();
    this.#path ??= this.#make();
    return this.#isPipe ? `${this.#path}-${name}` : join(this.#path, name);
  }

  /** Nothing listens there any more. */
  removeAddress(address: string): void {
    if (!this.#isPipe) rmSync(address, { force: true });
  }

  /** With what is still in it. */
  remove(): void {
    if (!this.#isPipe && this.#path !== undefined) rmSync(this.#path, { recursive: true, force: true });
    this.#path = undefined;
  }

  get #isPipe(): boolean {
    return this.#platform === 'win32';
  }

  #make(): string {
    if (this.#isPipe) return `\\\\.\\pipe\\llm-serve-${randomName()}`;
    const begin = join(this.#base, 'llm-serve-');
    const longest = Buffer.byteLength(`${begin}XXXXXX/${randomName()}`);
    return mkdtempSync(longest <= MAX_SOCKET_PATH_BYTES ? begin : '/tmp/llm-serve-');
  }
}

function randomName(): string {
  return randomBytes(NAME_BYTES).toString('base64url');
}
