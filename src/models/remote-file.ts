/** A file that can be fetched, whatever it was called by. An entry of the catalogue is one as it is. */
import type { ModelSource } from './catalog.ts';
import { hubFileName, hubFileText } from './hub-file.ts';
import { urlFileName } from './model-url.ts';
import type { ModelReference } from './reference.ts';

export interface RemoteFile {
  /** As it is called in messages. */
  readonly name: string;
  /** In the cache folder. */
  readonly fileName: string;
  /** Unknown until its source says so. */
  readonly sizeBytes?: number | undefined;
  /** Lower-case hexadecimal; unknown until its source says so, if it does. */
  readonly sha256?: string | undefined;
  /** Tried in this order. */
  readonly sources: readonly ModelSource[];
}

/** A path is not fetched. */
export type RemoteReference = Exclude<ModelReference, { kind: 'path' }>;

export function remoteFileOf(reference: RemoteReference): RemoteFile {
  switch (reference.kind) {
    case 'catalogue':
      return reference.entry;
    case 'hub': {
      const { file } = reference;
      return {
        name: hubFileText(file),
        fileName: hubFileName(file),
        sources: [{ kind: 'hub', ...file }],
      };
    }
    case 'url': {
      const { url } = reference;
      return {
        name: url.shown,
        fileName: urlFileName(url),
        sha256: url.sha256,
        sources: [{ kind: 'https', url: url.address }],
      };
    }
    default:
      return reference satisfies never;
  }
}
