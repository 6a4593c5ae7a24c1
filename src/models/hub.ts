/** A file in a repository of the Hugging Face hub: its name, its download URL, and its name in the cache. */

import { createHash } from 'node:crypto';

export interface HubFile {
  readonly owner: string;
  readonly repository: string;
  /** Within the repository: `file.gguf` or `folder/file.gguf`. */
  readonly path: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

const HUB_NAME_SYNTAX = 'must have the form hf:owner/repo/file.gguf, optionally with @revision at the end';
/** As the hub allows them. Without `--`, which separates the parts of a name in the cache. */
const ACCOUNT = /^(?!.*(--|\.\.))[A-Za-z0-9][A-Za-z0-9._-]{0,95}$/;
const SEGMENT = /^(?!\.)[A-Za-z0-9._+=,()[\] -]{1,200}$/;
const SPLIT_FILE = /-(\d{5})-of-(\d{5})\.gguf$/i;
export const DEFAULT_REVISION = 'main';
/** File systems allow 255 bytes; the rest is for the endings of cache.ts. */
const MAX_FILE_NAME_LENGTH = 200;

/** Parses what follows `hf:`. Throws an Error whose message continues "The model name … ". */
export function parseHubFile(text: string): HubFile {
  const [name = '', revision = DEFAULT_REVISION, ...rest] = text.split('@');
  const [owner = '', repository = '', ...segments] = name.split('/');
  const path = segments.join('/');
  if (rest.length > 0 || segments.length === 0) throw new Error(HUB_NAME_SYNTAX);
  if (!ACCOUNT.test(owner)) throw new Error(`has the owner ${JSON.stringify(owner)}; it ${HUB_NAME_SYNTAX}`);
  if (!ACCOUNT.test(repository))
    throw new Error(`has the repository ${JSON.stringify(repository)}; it ${HUB_NAME_SYNTAX}`);
  for (const segment of segments) {
    if (!SEGMENT.test(segment))
      throw new Error(`has ${JSON.stringify(segment)} in its path; it ${HUB_NAME_SYNTAX}`);
  }
  if (!revision.split('/').every((part) => SEGMENT.test(part)))
    throw new Error(`has the revision ${JSON.stringify(revision)}; it ${HUB_NAME_SYNTAX}`);
  if (!path.toLowerCase().endsWith('.gguf'))
    throw new Error(
      `does not name a GGUF file: it ${HUB_NAME_SYNTAX}. The repository's page lists its files`,
    );
  rejectSplitFile(path);
  return { owner, repository, path, revision };
}

/** Throws an Error whose message continues "The model name … ". */
export function rejectSplitFile(path: string): void {
  const part = SPLIT_FILE.exec(path);
  if (part === null || Number(part[2]) === 1) return;
  throw new Error(
    `is part ${Number(part[1])} of ${Number(part[2])} of a model in several files, which cannot be downloaded by name: ` +
      'download all parts into one folder and give the path of the first',
  );
}

export function hubCacheName({ owner, repository, path, revision }: HubFile): string {
  const version = revision === DEFAULT_REVISION ? '' : `@${joined(revision)}`;
  const name = `hf--${owner}--${repository}${version}--${joined(path)}`;
  if (name.length <= MAX_FILE_NAME_LENGTH) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 16);
  return `${name.slice(0, MAX_FILE_NAME_LENGTH / 2)}--${digest}.gguf`;
}

export function hubName({ owner, repository, path, revision }: HubFile): string {
  return `hf:${owner}/${repository}/${path}${revision === DEFAULT_REVISION ? '' : `@${revision}`}`;
}

export function hubDownloadUrl(file: HubFile, hubUrl: string): string {
  const path = file.path.split('/').map(encodeURIComponent).join('/');
  const revision = encodeURIComponent(file.revision);
  return `${hubUrl.replace(/\/+$/, '')}/${file.owner}/${file.repository}/resolve/${revision}/${path}`;
}

/** Joined by `--`. Hyphens at the edges of a segment are written %2D, so that no two paths have the same name. */
function joined(path: string): string {
  return path
    .split('/')
    .map((segment) => segment.replace(/^-|-$|-(?=-)|(?<=-)-/g, '%2D'))
    .join('--');
}
