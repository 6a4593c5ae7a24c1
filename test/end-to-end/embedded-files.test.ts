/** What the embedded engine is not started with, or cannot load: exit 1, one clear line; and files it waits for. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runExecutable, startCommand, startExecutable } from '../support/executable.ts';
import { ggufFile } from '../support/gguf-file.ts';
import { startModelHub } from '../support/model-hub.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'llm-serve-files-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const serve = (...args: string[]) => runExecutable(['--port', '0', ...args], { endsWith: onTestFinished });

describe('a model file that cannot be used is exit 1 with one line that names the fault', () => {
  test.each<[string, Buffer, RegExp]>([
    ['0 bytes', Buffer.alloc(0), /model\.gguf is empty \(0 bytes\)/],
    ['another kind of file', Buffer.from('this is no model'), /is not a GGUF file/],
    ['a version to come', ggufFile({ version: 9 }), /has GGUF version 9/],
    [
      'tensors that are cut off',
      ggufFile().subarray(0, -1),
      /is truncated: it has \d+ bytes where its tensors/,
    ],
    [
      'a header that lies',
      ggufFile({ claims: { entries: 2n ** 50n } }),
      /is damaged: it declares 1125899906842624 metadata entries/,
    ],
    [
      'an architecture that the engine does not know',
      ggufFile({ metadata: { 'general.architecture': 'made-up' } }),
      /is of the architecture "made-up", which this engine does not support/,
    ],
  ])('%s', async (_, bytes, reason) => {
    const path = join(folder(), 'model.gguf');
    writeFileSync(path, bytes);
    const { exitCode, stdout, stderr } = await serve('--model', path);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(reason);
    expect(stderr).toContain(path);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stdout, 'the log does not say it again').not.toMatch(reason);
  });

  test('a folder', async () => {
    const path = join(folder(), 'folder.gguf');
    mkdirSync(path);
    const { exitCode, stderr } = await serve('--model', path);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('is a folder, not a file')]);
  });
});

test('a server that starts waits for a pull that is under way, and fetches nothing itself', async () => {
  let release = () => {};
  const hold = new Promise<void>((resolve) => {
    release = resolve;
  });
  const bytes = ggufFile({ metadata: { 'general.architecture': 'made-up' } });
  const hub = await startModelHub({ bytes, hold });
  onTestFinished(() => hub.close());
  const flags = ['--cache.directory', folder(), '--cache.hub-url', hub.url];
  const name = 'hf:owner/repo/tiny.gguf';
  const pull = startCommand(['models', 'pull', name, ...flags], { endsWith: onTestFinished });
  await expect.poll(() => hub.requests.length, { timeout: 60_000 }).toBe(1);
  const server = await startExecutable({ flags: ['--model', name, ...flags], endsWith: onTestFinished });
  await server.logged(({ msg }) => msg.includes('downloading this model'));
  release();
  expect((await pull.ended).exitCode).toBe(0);
  // The file has come; that this engine cannot load it shows that it was given it.
  expect((await server.ended).stderr).toContain('architecture "made-up"');
  expect(hub.requests).toHaveLength(1);
});

describe('cache.allowed_folders', () => {
  test('holds back a path that leads outside, also through a link: exit 2', async () => {
    const [allowed, outside] = [folder(), folder()];
    const file = join(outside, 'model.gguf');
    writeFileSync(file, ggufFile());
    symlinkSync(file, join(allowed, 'link.gguf'));
    const limit = ['--cache.allowed-folders', JSON.stringify([allowed])];
    for (const path of [file, join(allowed, 'link.gguf'), join(allowed, '..', 'x.gguf')]) {
      const { exitCode, stderr } = await serve('--model', path, ...limit);
      expect(exitCode).toBe(2);
      expect(stderr).toContain(path);
      expect(stderr).toContain(allowed);
    }
    writeFileSync(join(allowed, 'own.gguf'), '');
    const { exitCode, stderr } = await serve('--model', join(allowed, 'own.gguf'), ...limit);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('is empty')]);
  });
});
