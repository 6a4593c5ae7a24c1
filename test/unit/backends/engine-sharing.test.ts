import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  createEngineDirectory,
  newEngineAddress,
  removeEngineAddress,
  removeEngineDirectory,
} from '../../../src/backends/engine-sharing.ts';

describe('the folder of the engines’ sockets', () => {
  it('is one that only this user may enter, new each time, and is removed with what is in it', () => {
    const directory = createEngineDirectory();
    onTestFinished(() => removeEngineDirectory(directory));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const other = createEngineDirectory();
    expect(other).not.toBe(directory);
    removeEngineDirectory(other);
    expect(existsSync(other)).toBe(false);
    const address = newEngineAddress(directory);
    expect(dirname(address)).toBe(directory);
    writeFileSync(address, '');
    removeEngineAddress(address);
    removeEngineAddress(address);
    expect(existsSync(address)).toBe(false);
  });

  it('is in /tmp where the folder for temporary files has too long a name for a socket in it', async () => {
    const base = mkdtempSync(join(tmpdir(), 'long-'));
    onTestFinished(() => rmSync(base, { recursive: true }));
    const long = join(base, 'a'.repeat(80));
    mkdirSync(long);
    const directory = createEngineDirectory(long);
    onTestFinished(() => removeEngineDirectory(directory));
    expect(directory).toMatch(/^\/tmp\/llm-serve-/);
  });

  it('takes sockets of names just short enough', async () => {
    const base = mkdtempSync('/tmp/b-');
    onTestFinished(() => rmSync(base, { recursive: true }));
    // 103 bytes in all: the folder llm-serve-XXXXXX, and a socket of 12 characters in it.
    const long = join(base, 'a'.repeat(103 - base.length - 1 - '/llm-serve-XXXXXX/123456789012'.length));
    mkdirSync(long);
    const directory = createEngineDirectory(long);
    const address = newEngineAddress(directory);
    expect(address).toHaveLength(103);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(address, resolve));
    expect(existsSync(address)).toBe(true);
    await new Promise((resolve) => server.close(resolve));
  });

  it('is the beginning of a pipe’s name on Windows', () => {
    const begin = createEngineDirectory('C:\\Temp', 'win32');
    expect(newEngineAddress(begin, 'win32')).toMatch(/^\\\\\.\\pipe\\llm-serve-[\w-]{12}-[\w-]{12}$/);
    removeEngineDirectory(begin, 'win32');
  });
});
