/** `llm-serve models list`: the catalogue and whatever else is in the folder for models, as a table or as JSON. */
import { listModels as listFolder, type ModelListing } from '../../models/listing.ts';
import type { Flags } from '../flags.ts';
import { cacheDirectoryOf } from './cache-directory.ts';
import { printJson, printLine, printTable, sizeText } from './print.ts';

const ABSENT = { present: 'fetched', absent: 'not fetched', damaged: 'damaged' } as const;

export async function listModels(flags: Flags, asJson: boolean): Promise<number> {
  const cacheDirectory = cacheDirectoryOf(flags);
  const listings = await listFolder(cacheDirectory);
  const usedBytes = listings.reduce((sum, listing) => sum + bytesOnDisk(listing), 0);
  if (asJson) {
    printJson({ directory: cacheDirectory, used_bytes: usedBytes, models: listings.map(toJson) });
    return 0;
  }
  printTable(
    ['NAME', 'SIZE', 'LICENCE', 'FOR', 'CHECKSUM', 'STATE'],
    listings.map((listing) => [
      listing.name,
      listing.sizeBytes === undefined ? '?' : sizeText(listing.sizeBytes),
      listing.license ?? '?',
      listing.abilities.join(', ') || '?',
      checksumText(listing),
      stateText(listing),
    ]),
  );
  printLine(`${sizeText(usedBytes)} in ${cacheDirectory}`);
  return 0;
}

function checksumText({ inCatalogue, sha256, sha256Published }: ModelListing): string {
  if (inCatalogue) return 'known';
  if (sha256 === undefined) return '?';
  return sha256Published ? 'published' : 'none published';
}

function stateText({ state, partialBytes, sizeBytes }: ModelListing): string {
  const text = ABSENT[state];
  if (state === 'present' || partialBytes <= 0) return text;
  const part =
    sizeBytes === undefined ? sizeText(partialBytes) : `${Math.floor((partialBytes / sizeBytes) * 100)} %`;
  return `${text}, ${part} there`;
}

function bytesOnDisk({ state, sizeBytes = 0, partialBytes }: ModelListing): number {
  return (state === 'absent' ? 0 : Math.max(sizeBytes, 0)) + Math.max(partialBytes, 0);
}

function toJson(listing: ModelListing) {
  return {
    name: listing.name,
    in_catalogue: listing.inCatalogue,
    state: listing.state,
    path: listing.path,
    size_bytes: listing.sizeBytes ?? null,
    partial_bytes: listing.partialBytes,
    license: listing.license ?? null,
    abilities: listing.abilities,
    sha256: listing.sha256 ?? null,
    sha256_published: listing.sha256Published,
  };
}
