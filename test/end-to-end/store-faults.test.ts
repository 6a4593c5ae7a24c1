/** How a server starts when its store can't be used, and the commands that copy it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { runExecutable, startExecutable } from '../support/executable.ts';
import { generate } from '../support/http-client.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { startServer, TEST_WORKERS } from '../support/server.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'llm-serve-data-'));
  const created = folder;
  onTestFinished(() => rmSync(created, { recursive: true, force: true }));
});

const run = (...args: readonly string[]) => runExecutable(args, { endsWith: onTestFinished });

describe('a server', () => {
  test('whose configured file is no database ends with 1 and one line', async () => {
    const path = join(folder, 'store.sqlite');
    writeFileSync(path, 'a list of things to do\n'.repeat(100));
    const { exitCode, stderr } = await run('serve', ...scriptedFlags(), '--access.store', `sqlite:${path}`);
    expect(exitCode).toBe(1);
    expect(stderr).toBe(`llm-serve: ${path} is not a SQLite database.\n`);
  });

  test('whose default file is no database ends with 1, too: what was kept is not silently left', async () => {
    writeFileSync(join(folder, 'llm-serve.sqlite'), 'a list of things to do\n'.repeat(100));
    const { exitCode, stderr } = await run('serve', ...scriptedFlags(), '--data.directory', folder);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('is not a SQLite database.');
  });

  test('whose database does not answer ends with 1 and one line, without its password', async () => {
    const address = 'postgres://llm:planted-secret@127.0.0.1:1/llm';
    const { exitCode, stderr } = await run('serve', ...scriptedFlags(), '--access.store', address);
    expect(exitCode).toBe(1);
    expect(stderr).toBe(
      'llm-serve: The PostgreSQL database "llm" at 127.0.0.1:1 can’t be reached: nothing listens there.\n',
    );
  });

  test.each(['mysql://host/db', 'store.sqlite', 'postgres://llm:planted-secret@host:99999/llm'])(
    'with the address %s ends with 2',
    async (address) => {
      const { exitCode, stderr } = await run('serve', ...scriptedFlags(), '--access.store', address);
      expect(exitCode).toBe(2);
      expect(stderr).toContain('access.store');
      expect(stderr).not.toContain('planted-secret');
    },
  );

  // Several workers have no memory that they share: then it does not start, which workers.test.ts shows.
  test.skipIf(TEST_WORKERS > 1)(
    'that may not write its default folder warns, and keeps nothing',
    async () => {
      writeFileSync(join(folder, 'a-file'), 'no folder');
      const server = await startServer({
        flags: [...scriptedFlags(), '--data.directory', join(folder, 'a-file', 'data')],
        endsWith: onTestFinished,
      });
      expect((await generate(server, { prompt: 'hi' })).status).toBe(200);
      const warning = await server.logged(({ msg }) => msg.includes('a-file'));
      expect(warning.msg).toContain('are kept in memory, and are gone when the server ends');
    },
  );

  test('that may not write the file it was told to use does not start', async () => {
    writeFileSync(join(folder, 'a-file'), 'no folder');
    const { exitCode, stderr } = await run(
      ...['serve', ...scriptedFlags(), '--access.store', `sqlite:${join(folder, 'a-file', 'store.sqlite')}`],
    );
    expect(exitCode).toBe(1);
    expect(stderr).toContain(join(folder, 'a-file', 'store.sqlite'));
  });
});

describe('llm-serve data', () => {
  test('copies what a running server uses, and restores it when the server has ended', async () => {
    const at = ['--data.directory', folder];
    const copy = join(folder, 'copy.sqlite');
    const server = await startExecutable({ flags: [...scriptedFlags(), ...at], endsWith: onTestFinished });
    const made = await run('keys', 'create', '--name', 'alice', '--json', ...at);
    const { key } = JSON.parse(made.stdout) as { readonly key: string };
    const backup = await run('data', 'backup', copy, '--json', ...at);
    expect(backup.stderr).toBe('');
    expect(JSON.parse(backup.stdout)).toMatchObject({ file: copy, keys: 1, damage: [] });
    const early = await run('data', 'restore', copy, ...at);
    expect(early.exitCode).toBe(1);
    expect(early.stderr).toContain('is in use. Stop the servers that use it');
    await run('keys', 'create', '--name', 'bob', ...at);
    expect((await server.stop()).exitCode).toBe(0);
    const check = await run('data', 'check', ...at);
    expect(check.exitCode).toBe(0);
    expect(check.stdout).toMatch(/keys +2\n/);
    expect((await run('data', 'restore', copy, ...at)).stdout).toContain('opens the door again');
    expect((await run('audit', ...at)).stdout).toMatch(/ command line: .*: data\.restore \{"from":/);
    const list = await run('keys', 'list', '--json', ...at);
    expect(list.stdout).toContain('alice');
    expect(list.stdout).not.toContain('bob');
    expect(list.stdout + check.stdout + backup.stdout).not.toContain(key);
  });

  test('says what to use for PostgreSQL and memory', async () => {
    const postgres = await run('data', 'check', '--access.store', 'postgres://u:planted-secret@h/db');
    expect(postgres).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('pg_dump') });
    expect(postgres.stderr).not.toContain('planted-secret');
    const memory = await run('data', 'check', '--access.store', 'memory:');
    expect(memory).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('of which there is no file'),
    });
  });

  test('a file that is not there is an error', async () => {
    const { exitCode, stderr } = await run('data', 'check', '--data.directory', folder);
    expect(exitCode).toBe(1);
    expect(stderr).toBe(`llm-serve: There is no file ${join(folder, 'llm-serve.sqlite')}.\n`);
  });
});
