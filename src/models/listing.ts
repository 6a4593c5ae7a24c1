/** What is in the folder for models: the catalogue's files and all others. By sizes and headers, so that it is quick. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cachePaths, readStamp, type Stamp } from './cached-file.ts';
import { type Ability, MODELS, type ModelEntry } from './catalog.ts';
import { describeGguf } from './gguf-description.ts';
import { readGgufHeader } from './gguf-header.ts';

export interface ModelListing {
  readonly name: string;
  readonly inCatalogue: boolean;
  readonly path: string;
  /** By size and header alone; a start checks the whole file. */
  readonly state: 'present' | 'absent' | 'damaged';
  /** Of the whole file. */
  readonly sizeBytes: number | undefined;
  /** Of a download that was cut off, or is under way. */
  readonly partialBytes: number;
  readonly license: string | undefined;
  readonly abilities: readonly Ability[];
  readonly sha256: string | undefined;
  /** Whether that checksum is one that was published; else it is what the file had when it came. */
  readonly sha256Published: boolean;
}

const ENDING = '.gguf';
const PARTIAL_ENDING = '.gguf.partial';

export async function listModels(cacheDirectory: string): Promise<readonly ModelListing[]> {
  const names = await readdir(cacheDirectory).catch(() => []);
  const known = new Set(MODELS.map(({ fileName }) => fileName));
  const others = new Set(
    names.flatMap((name) => {
      if (name.endsWith(PARTIAL_ENDING)) return [name.slice(0, -PARTIAL_ENDING.length + ENDING.length)];
      return name.toLowerCase().endsWith(ENDING) ? [name] : [];
    }),
  );
  return [
    ...(await Promise.all(MODELS.map((entry) => listEntry(entry, cacheDirectory)))),
    ...(await Promise.all(
      [...others].filter((name) => !known.has(name)).map((name) => listOther(name, cacheDirectory)),
    )),
  ];
}

export async function listEntry(entry: ModelEntry, cacheDirectory: string): Promise<ModelListing> {
  const paths = cachePaths(entry, cacheDirectory);
  const size = await sizeOf(paths.model);
  return {
    name: entry.name,
    inCatalogue: true,
    path: paths.model,
    state: size === undefined ? 'absent' : size === entry.sizeBytes ? 'present' : 'damaged',
    sizeBytes: entry.sizeBytes,
    partialBytes: (await sizeOf(paths.partial)) ?? 0,
    license: entry.license,
    abilities: entry.abilities,
    sha256: entry.sha256,
    sha256Published: true,
  };
}

async function listOther(fileName: string, cacheDirectory: string): Promise<ModelListing> {
  const paths = cachePaths({ fileName }, cacheDirectory);
  const stamp = await readStamp(paths.stamp);
  const size = await sizeOf(paths.model);
  const description = await readGgufHeader(paths.model).then(describeGguf, () => undefined);
  return {
    name: stamp?.name || fileName,
    inCatalogue: false,
    path: join(cacheDirectory, fileName),
    state: size === undefined ? 'absent' : description && agrees(stamp, size) ? 'present' : 'damaged',
    sizeBytes: size,
    partialBytes: (await sizeOf(paths.partial)) ?? 0,
    license: description?.license,
    abilities: description?.abilities ?? [],
    sha256: stamp?.sha256,
    sha256Published: stamp?.published ?? false,
  };
}

/** Without a stamp there is nothing to disagree with. */
function agrees(stamp: Stamp | undefined, size: number): boolean {
  return stamp === undefined || stamp.sizeBytes === size;
}

/** Undefined where there is no such file; -1 for what is no file, which no model has. */
async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined || found.isFile() ? found?.size : -1;
}
