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
      /** Where their sockets are: createEngineDirectory. */
      readonly directory: string;
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
 * A new folder that only this user may enter; `base`: where it is made. Short enough for sockets in it: else it is made in /tmp. On
 * Windows, no folder: the beginning of the names of pipes.
 */
export function createEngineDirectory(base: string = tmpdir(), platform: string = process.platform): string {
  const name = randomBytes(NAME_BYTES).toString('base64url');
  if (platform === 'win32') return `\\\\.\\pipe\\llm-serve-${name}`;
  const begin = join(base, 'llm-serve-');
  const longest = Buffer.byteLength(`${begin}XXXXXX/${name}`);
  return mkdtempSync(longest <= MAX_SOCKET_PATH_BYTES ? begin : '/tmp/llm-serve-');
}

/** With what is still in it. */
export function removeEngineDirectory(directory: string, platform: string = process.platform): void {
  if (platform !== 'win32') rmSync(directory, { recursive: true, force: true });
}

/** Where one engine listens. */
export function newEngineAddress(directory: string, platform: string = process.platform): string {
  const name = randomBytes(NAME_BYTES).toString('base64url');
  return platform === 'win32' ? `${directory}-${name}` : join(directory, name);
}

export function removeEngineAddress(address: string, platform: string = process.platform): void {
  if (platform !== 'win32') rmSync(address, { force: true });
}
