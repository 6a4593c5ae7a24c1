/** Several who want one file: one fetches, the others wait; and nobody waits for the dead. */

import { spawnSync } from 'node:child_process';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ensureFile, ensureModel } from '../../../src/models/fetch.ts';
import { FileLock, isHeld, waitForLock } from '../../../src/models/file-lock.ts';
import { parseReference, remoteFileOf } from '../../../src/models/names.ts';
import { startModelHub } from '../../support/model-hub.ts';
import { fetchOptions, makeCacheDirectory, modelBytes } from './model-server.ts';

const NAME = 'hf:owner/repo/tiny.gguf';
const FILE = 'hf--owner--repo--tiny.gguf';
const never = new AbortController().signal;
const noReport = async () => {};

function remoteFile() {
  const reference = parseReference(NAME);
  if (reference.kind === 'path') throw new Error('not a path');
  return remoteFileOf(reference);
}

describe('several at a time', () => {
  it('share one download, and those who wait see how far it is', async () => {
    let release = () => {};
    const hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    const hub = await startModelHub({ bytes: modelBytes, hold });
    onTestFinished(() => hub.close());
    const cacheDirectory = await makeCacheDirectory();
    const waiting: string[] = [];
    const onProgress = ({
      label,
      doneBytes,
      totalBytes,
    }: {
      label: string;
      doneBytes: number;
      totalBytes: number;
    }) => {
      if (!label.includes('another')) return;
      waiting.push(label);
      if (doneBytes > 0 && doneBytes < totalBytes && waiting.length >= 4) release();
    };
    const options = { ...fetchOptions(cacheDirectory, { hubUrl: hub.url, pollMs: 5 }), onProgress };
    const paths = await Promise.all(Array.from({ length: 5 }, () => ensureFile(remoteFile(), options)));
    for (const path of paths) expect(modelBytes.equals(await readFile(path))).toBe(true);
    expect(hub.requests).toHaveLength(1);
    expect((await readdir(cacheDirectory)).sort()).toEqual([FILE, `${FILE}.checked.json`]);
  });

  it('the next one takes over when the first gives up, and goes on with what is there', async () => {
    const hub = await startModelHub({ bytes: modelBytes, hold: new Promise(() => {}) });
    onTestFinished(() => hub.close());
    const cacheDirectory = await makeCacheDirectory();
    const first = new AbortController();
    const gone = new Error('gone');
    const given = { hubUrl: hub.url, pollMs: 5 };
    const leaving = ensureFile(
      remoteFile(),
      fetchOptions(cacheDirectory, { ...given, signal: first.signal }),
    );
    const staying = fetchOptions(cacheDirectory, {
      ...given,
      onProgress: ({ label, doneBytes }) => {
        if (!label.includes('another') || doneBytes === 0) return;
        hub.behaviour.hold = undefined;
        first.abort(gone);
      },
    });
    await expect.poll(() => hub.requests.length).toBe(1);
    const path = ensureFile(remoteFile(), staying);
    await expect(leaving).rejects.toBe(gone);
    expect(modelBytes.equals(await readFile(await path))).toBe(true);
    expect(hub.requests.at(-1)?.range).toMatch(/^bytes=\d+-$/);
  });

  it('one who waits leaves at once when asked to', async () => {
    const cacheDirectory = await makeCacheDirectory();
    const lock = await FileLock.take(join(cacheDirectory, `${FILE}.lock`));
    onTestFinished(() => lock?.release());
    const leaving = new AbortController();
    const gone = new Error('gone');
    const options = fetchOptions(cacheDirectory, {
      signal: leaving.signal,
      onProgress: () => leaving.abort(gone),
    });
    await expect(ensureModel(NAME, options)).rejects.toBe(gone);
  });
});

describe('the lock', () => {
  const lockPath = async () => join(await makeCacheDirectory(), 'x.lock');
  const written = async (path: string, owner: object) =>
    writeFile(path, JSON.stringify({ token: 't', ...owner }));

  it('is held by one, and free again after its release', async () => {
    const path = await lockPath();
    const lock = await FileLock.take(path);
    expect(await FileLock.take(path)).toBeUndefined();
    expect(await isHeld(path)).toBe(true);
    await lock?.release();
    expect(await isHeld(path)).toBe(false);
    await (await FileLock.take(path))?.release();
  });

  it('of a process that was killed here is removed at once', async () => {
    const path = await lockPath();
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const lock = await FileLock.take(path);
    const { pidNamespace } = JSON.parse(await readFile(path, 'utf8')) as { pidNamespace: string };
    await lock?.release();
    await written(path, { pid, host: hostname(), pidNamespace });
    expect(await isHeld(path)).toBe(false);
    await waitForLock(path, { signal: never, onHeld: () => Promise.reject(new Error('waited')) });
    expect(await isHeld(path)).toBe(false);
  });

  it('of another machine is removed when nobody has touched it for a while', async () => {
    const path = await lockPath();
    await written(path, { pid: 1, host: 'elsewhere', pidNamespace: '' });
    await waitForLock(path, { signal: never, pollMs: 5, abandonedAfterMs: 50, onHeld: noReport });
    expect(await FileLock.take(path).then((lock) => lock?.release())).toBeUndefined();
  });

  it('is waited for as long as somebody touches it', async () => {
    const path = await lockPath();
    await written(path, { pid: 1, host: 'elsewhere', pidNamespace: '' });
    let touches = 0;
    const onHeld = async () => {
      touches += 1;
      if (touches < 30) await utimes(path, touches, touches);
    };
    await waitForLock(path, { signal: never, pollMs: 5, abandonedAfterMs: 60, onHeld });
    expect(touches).toBeGreaterThan(30);
  });

  it('that was taken over tells the one who had it, who leaves the new one alone', async () => {
    const path = await lockPath();
    const lock = await FileLock.take(path);
    await written(path, { pid: 1, host: 'elsewhere', pidNamespace: '' });
    await expect.poll(() => lock?.lost.aborted, { timeout: 60_000 }).toBe(true);
    await lock?.release();
    expect(await isHeld(path)).toBe(true);
  });
});
