import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EngineDirectory } from '../../../src/backends/engine-sharing.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'base-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

describe('the folder of the engines’ sockets', () => {
  it('is made when the first is needed, only this user may enter it, and it is removed with what is in it', () => {
    const base = folder();
    const directory = new EngineDirectory(base);
    expect(readdirSync(base)).toEqual([]);
    const [first, second] = [directory.newAddress(), directory.newAddress()];
    expect(first).not.toBe(second);
    const path = dirname(first);
    expect(dirname(second)).toBe(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    writeFileSync(first, '');
    writeFileSync(second, '');
    directory.removeAddress(first);
    directory.removeAddress(first);
    expect(existsSync(first)).toBe(false);
    expect(existsSync(second)).toBe(true);
    directory.remove();
    expect(readdirSync(base)).toEqual([]);
  });

  it('is in /tmp where the folder for temporary files has too long a name for a socket in it', () => {
    const long = join(folder(), 'a'.repeat(80));
    mkdirSync(long);
    const directory = new EngineDirectory(long);
    onTestFinished(() => directory.remove());
    expect(directory.newAddress()).toMatch(/^\/tmp\/llm-serve-/);
  });

  it('takes sockets of names just short enough', async () => {
    const base = mkdtempSync('/tmp/b-');
    onTestFinished(() => rmSync(base, { recursive: true }));
    // 103 bytes in all: the folder llm-serve-XXXXXX, and a socket of 12 characters in it.
    const long = join(base, 'a'.repeat(103 - base.length - 1 - '/llm-serve-XXXXXX/123456789012'.length));
    mkdirSync(long);
    const address = new EngineDirectory(long).newAddress();
    expect(address).toHaveLength(103);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(address, resolve));
    expect(existsSync(address)).toBe(true);
    await new Promise((resolve) => server.close(resolve));
  });

  it('is the beginning of a pipe’s name on Windows', () => {
    const directory = new EngineDirectory('C:\\Temp', 'win32');
    const [first, second] = [directory.newAddress(), directory.newAddress()];
    expect(first).toMatch(/^\\\\\.\\pipe\\llm-serve-[\w-]{12}-[\w-]{12}$/);
    expect(second.slice(0, -12)).toBe(first.slice(0, -12));
    directory.removeAddress(first);
    directory.remove();
  });
});
