/**
 * Watches the configuration file for `--watch`. By its status, looked at once a second, not by events of the file system: so it works
 * on any of them, and notices editors that put a new file in its place and the links that Kubernetes swaps. A change counts once the
 * file has rested, as it may be read half written.
 */
import { type Stats, unwatchFile, watchFile } from 'node:fs';

const LOOK_EVERY_MS = 1000;

/** Where the file's status and the time come from: the machine, except in tests. */
export interface FileSource {
  /** Calls back whenever the status is another than before. */
  watch(path: string, onStatus: (status: FileStatus) => void): () => void;
  schedule(delayMs: number, run: () => void): { cancel(): void };
}

export interface FileStatus {
  readonly exists: boolean;
  readonly sizeBytes: number;
}

/** For so long the file must not change: longer than from one look to the next. */
export const RESTS_FOR_MS = 1500;

/** The answer ends it. A file that is away or empty is being replaced: there is nothing to read yet. */
export function watchConfigFile(source: FileSource, path: string, onChange: () => void): () => void {
  let resting: { cancel(): void } | undefined;
  const stop = source.watch(path, ({ exists, sizeBytes }) => {
    resting?.cancel();
    resting = exists && sizeBytes > 0 ? source.schedule(RESTS_FOR_MS, onChange) : undefined;
  });
  return () => {
    resting?.cancel();
    stop();
  };
}

export const machineFiles: FileSource = {
  watch: (path, onStatus) => {
    const listener = ({ ino, size }: Stats) => onStatus({ exists: ino !== 0 || size > 0, sizeBytes: size });
    watchFile(path, { interval: LOOK_EVERY_MS, persistent: false }, listener);
    return () => unwatchFile(path, listener);
  },
  schedule: (delayMs, run) => {
    const timer = setTimeout(run, delayMs).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
