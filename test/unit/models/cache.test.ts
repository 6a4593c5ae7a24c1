/** Downloads that were cut off, of files that changed meanwhile, from servers that can and cannot go on. */

import { createHash } from 'node:crypto';
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readStamp } from '../../../src/models/cache.ts';
import { type DownloadProgress, ensureModel } from '../../../src/models/fetch.ts';
import { ggufFile } from '../../support/gguf-file.ts';
import { type HubBehaviour, type ModelHub, startModelHub } from '../../support/model-hub.ts';
import { fetchOptions, makeCacheDirectory, modelBytes, type RecordedFetch } from './model-server.ts';

const NAME = 'hf:owner/repo/tiny.gguf';
const FILE = 'hf--owner--repo--tiny.gguf';
const CUT = 100_000;
const otherBytes = ggufFile({
  metadata: { 'general.architecture': 'llama', 'general.name': 'the next release' },
  tensors: [{ name: 'weights', dimensions: [300_000], type: 24 }],
});

interface Hubbed {
  readonly hub: ModelHub;
  readonly options: RecordedFetch;
  readonly fetched: (name?: string) => Promise<Buffer>;
}

async function hubWith(behaviour: Partial<HubBehaviour> = {}): Promise<Hubbed> {
  const hub = await startModelHub({ bytes: modelBytes, ...behaviour });
  onTestFinished(() => hub.close());
  const options = fetchOptions(await makeCacheDirectory(), { hubUrl: hub.url });
  return { hub, options, fetched: async (name = NAME) => readFile(await ensureModel(name, options)) };
}

/** A first try whose connection breaks after CUT bytes. */
async function cutOff(behaviour: Partial<HubBehaviour> = {}): Promise<Hubbed> {
  const started = await hubWith({ stopAfter: CUT, ...behaviour });
  const { hub, options } = started;
  const breaking = {
    ...options,
    onProgress: ({ doneBytes }: DownloadProgress) => (doneBytes === CUT ? hub.cut() : undefined),
  };
  await expect(ensureModel(NAME, breaking)).rejects.toThrow(/could not be downloaded/);
  expect(await readFile(join(options.cacheDirectory, `${FILE}.partial`))).toHaveLength(CUT);
  hub.behaviour.stopAfter = undefined;
  return started;
}

describe('a file of the hub', () => {
  it('is checked against the checksum in the hub’s own answer, and remembered as that', async () => {
    const { options, fetched } = await hubWith();
    expect(modelBytes.equals(await fetched())).toBe(true);
    const stamp = await readStamp(join(options.cacheDirectory, `${FILE}.checked.json`));
    expect(stamp).toMatchObject({
      sha256: createHash('sha256').update(modelBytes).digest('hex'),
      published: true,
      name: NAME,
    });
    expect(options.progress.at(-1)).toMatchObject({ doneBytes: modelBytes.length });
    expect(options.progress.every(({ totalBytes }) => totalBytes === modelBytes.length)).toBe(true);
  });

  it('is not asked for again, also where the hub cannot be reached', async () => {
    const { hub, options, fetched } = await hubWith();
    await fetched();
    await hub.close();
    expect(modelBytes.equals(await fetched())).toBe(true);
    expect(options.warnings).toEqual([]);
  });

  it('says so where no checksum was published, and still notices later damage', async () => {
    const { hub, options, fetched } = await hubWith({ linked: false });
    const path = await ensureModel(NAME, options);
    expect(options.warnings.join()).toMatch(/no checksum has been published/);
    const stamp = await readStamp(`${path}.checked.json`);
    expect(stamp).toMatchObject({ published: false });
    const damaged = Buffer.from(modelBytes);
    damaged[200_000] = 1;
    await writeFile(path, damaged);
    expect(modelBytes.equals(await fetched())).toBe(true);
    expect(options.warnings.join()).toContain('damaged');
    expect(hub.requests).toHaveLength(2);
  });

  it('that was put there by hand is taken if it is whole, and its checksum remembered', async () => {
    const { hub, options, fetched } = await hubWith();
    await writeFile(join(options.cacheDirectory, FILE), otherBytes);
    expect(otherBytes.equals(await fetched())).toBe(true);
    expect(await readStamp(join(options.cacheDirectory, `${FILE}.checked.json`))).toMatchObject({
      published: false,
    });
    await writeFile(join(options.cacheDirectory, FILE), otherBytes.subarray(0, 1000));
    expect(modelBytes.equals(await fetched())).toBe(true);
    expect(hub.requests).toHaveLength(1);
  });

  it('that is no whole GGUF file is not kept', async () => {
    const { options, fetched } = await hubWith({ linked: false, bytes: modelBytes.subarray(0, 200_000) });
    await expect(fetched()).rejects.toThrow(/the downloaded file is truncated/);
    expect(await readdir(options.cacheDirectory)).toEqual([]);
  });

  it('and a hub that cannot be reached, is one sentence', async () => {
    const { hub, fetched } = await hubWith();
    await hub.close();
    await expect(fetched()).rejects.toThrow(
      /^The model hf:owner\/repo\/tiny\.gguf could not be downloaded: the server cannot be reached \(connect ECONNREFUSED [\d.:]+\)\. Connect to the internet/,
    );
  });
});

describe('a download that was cut off', () => {
  it('goes on where it stopped, and its checksum is taken over the whole', async () => {
    const { hub, options, fetched } = await cutOff();
    expect(modelBytes.equals(await fetched())).toBe(true);
    expect(hub.requests.at(-1)).toMatchObject({ range: `bytes=${CUT}-`, ifRange: '"one"' });
    expect(options.progress[0]).toMatchObject({ doneBytes: CUT });
    expect((await readdir(options.cacheDirectory)).sort()).toEqual([FILE, `${FILE}.checked.json`]);
  });

  it('begins anew where the hub has another file by now', async () => {
    const { hub, fetched } = await cutOff();
    Object.assign(hub.behaviour, { bytes: otherBytes, etag: '"two"' });
    expect(otherBytes.equals(await fetched())).toBe(true);
  });

  it('begins anew where the file changed under the same ETag', async () => {
    const { hub, fetched } = await cutOff();
    hub.behaviour.bytes = otherBytes;
    expect(otherBytes.equals(await fetched())).toBe(true);
    expect(hub.requests.map(({ range }) => range)).toEqual([undefined, `bytes=${CUT}-`, undefined]);
  });

  it('begins anew where the server ignores ranges', async () => {
    const { hub, fetched } = await cutOff();
    hub.behaviour.ranges = false;
    expect(modelBytes.equals(await fetched())).toBe(true);
  });

  it('begins anew where less is offered than is there (416)', async () => {
    const { hub, fetched } = await cutOff();
    const small = ggufFile();
    hub.behaviour.bytes = small;
    expect(small.equals(await fetched())).toBe(true);
    expect(hub.requests.map(({ range }) => range)).toEqual([undefined, `bytes=${CUT}-`, undefined]);
  });

  it('begins anew where neither ETag nor checksum says that it is the same file', async () => {
    const { hub, fetched } = await cutOff({ etag: undefined, linked: false });
    expect(modelBytes.equals(await fetched())).toBe(true);
    expect(hub.requests.at(-1)?.range).toBeUndefined();
  });

  it('begins anew where what is there was changed', async () => {
    const { hub, options, fetched } = await cutOff();
    await writeFile(join(options.cacheDirectory, `${FILE}.partial`), Buffer.alloc(CUT, 'x'));
    expect(modelBytes.equals(await fetched())).toBe(true);
    expect(hub.requests.map(({ range }) => range)).toEqual([undefined, `bytes=${CUT}-`, undefined]);
  });

  it('does not write through a link that somebody put in the place of what is there', async () => {
    const { options, fetched } = await hubWith();
    const outside = join(await makeCacheDirectory(), 'own.txt');
    await writeFile(outside, 'mine');
    await symlink(outside, join(options.cacheDirectory, `${FILE}.partial`));
    await expect(fetched()).rejects.toThrow(/ELOOP/);
    expect(await readFile(outside, 'utf8')).toBe('mine');
  });

  it('that ended after its last byte fetches hardly anything', async () => {
    const { hub, options, fetched } = await cutOff();
    await writeFile(join(options.cacheDirectory, `${FILE}.partial`), modelBytes);
    expect(modelBytes.equals(await fetched())).toBe(true);
    expect(hub.requests.at(-1)?.range).toBe(`bytes=${modelBytes.length - 1}-`);
  });
});

describe('an address', () => {
  it('is held to the checksum in its fragment', async () => {
    const { hub, options, fetched } = await hubWith();
    const address = `${hub.url}/bytes/x.gguf`;
    const sha256 = createHash('sha256').update(modelBytes).digest('hex');
    await expect(fetched(`${address}#sha256=${'0'.repeat(64)}`)).rejects.toThrow(/wrong checksum/);
    expect(modelBytes.equals(await fetched(`${address}#sha256=${sha256}`))).toBe(true);
    expect(options.warnings).toEqual([]);
  });

  it('that is not there is a sentence, without the query, which may hold a key', async () => {
    const { hub, fetched } = await hubWith();
    const failure = await fetched(`${hub.url}/no/x.gguf?key=secret`).catch((error: Error) => error);
    expect((failure as Error).message).toMatch(
      /\/no\/x\.gguf could not be downloaded: the server answered with status 404: the file does not exist/,
    );
    expect((failure as Error).message).not.toContain('secret');
  });
});
