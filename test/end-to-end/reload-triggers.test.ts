/** What makes a running server read its configuration again: SIGHUP, `llm-serve reload`, and `--watch`. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Executable, runExecutable, startExecutable } from '../support/executable.ts';
import { ask, generate } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { scripted } from '../support/scripted-server.ts';

const configOf = (maxTokens: number, more = '') =>
  `models: [{ id: m, targets: [{ backend: scripted, model: m }] }]\ngeneration: { max_tokens: ${maxTokens} }\n${more}`;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'llm-serve-reload-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function fileWith(text: string): string {
  const path = join(folder(), 'llm-serve.yaml');
  writeFileSync(path, text);
  return path;
}

async function start(file: string, ...flags: string[]): Promise<Executable> {
  const server = await startExecutable({ flags: ['--config', file, ...flags], endsWith: onTestFinished });
  await whenReady(server);
  return server;
}

async function tokensOf(server: Executable): Promise<number> {
  const answer = await generate(server, { prompt: scripted({ text: 'a b c d e f g h' }) });
  return answer.json().usage.completion_tokens;
}

const run = (...args: string[]) => runExecutable(args, { endsWith: onTestFinished });

describe('SIGHUP without a terminal', () => {
  test('reloads; of a broken file nothing, with the reason in the log', async () => {
    const file = fileWith(configOf(2));
    const server = await start(file);
    expect(await tokensOf(server)).toBe(2);
    writeFileSync(file, configOf(4));
    server.signal('SIGHUP');
    await server.logged(({ msg }) => msg === 'SIGHUP: configuration reloaded');
    expect(await tokensOf(server)).toBe(4);
    writeFileSync(file, 'generation: { max_tokens: many }');
    server.signal('SIGHUP');
    const line = await server.logged(({ msg }) =>
      msg.startsWith('SIGHUP: the configuration was not reloaded'),
    );
    expect(line.level).toBe(50);
    expect(line.msg).toContain('generation.max_tokens is "many"');
    expect(await tokensOf(server)).toBe(4);
    expect((await server.stop()).exitCode).toBe(0);
  });
});

describe('llm-serve reload', () => {
  test('reads an llm-serve.yaml that was not there at the start; gone again, it is missed', async () => {
    const models = JSON.stringify([{ id: 'm', targets: [{ backend: 'scripted', model: 'm' }] }]);
    const server = await startExecutable({ flags: ['--models', models], endsWith: onTestFinished });
    await whenReady(server);
    const port = ['--port', String(server.port)];
    const file = join(server.folder, 'llm-serve.yaml');
    writeFileSync(file, 'generation: { max_tokens: 3 }');
    expect((await run('reload', ...port)).stdout).toContain('generation.max_tokens: 256 → 3\n');
    expect(await tokensOf(server)).toBe(3);
    rmSync(file);
    const missed = await run('reload', ...port);
    expect(missed).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('cannot be read') });
    expect(await tokensOf(server)).toBe(3);
  });

  test('prints what has changed, finds the admin key by the same configuration, and exits with 0', async () => {
    const file = fileWith(configOf(2, 'auth: { admin_keys: [admin-key-1] }'));
    const server = await start(file);
    const port = ['--config', file, '--port', String(server.port)];
    expect(await run('reload', ...port)).toMatchObject({
      exitCode: 0,
      stdout: `127.0.0.1:${server.port}: nothing has changed.\n`,
    });
    writeFileSync(file, configOf(3, 'auth: { admin_keys: [admin-key-1] }\nlogging: { level: warn }'));
    const { exitCode, stdout, stderr } = await run('reload', ...port);
    expect({ exitCode, stdout, stderr }).toEqual({
      exitCode: 0,
      stdout: `127.0.0.1:${server.port}: reloaded.\n  generation.max_tokens: 2 → 3\nUnchanged until a restart: logging.level\n`,
      stderr: '',
    });
    expect(await tokensOf(server)).toBe(3);
  });

  test('exits with 2 where the configuration is not valid, here or there', async () => {
    const file = fileWith(configOf(2));
    const server = await start(file);
    const port = ['--port', String(server.port)];
    const other = fileWith(configOf(9));
    writeFileSync(file, 'models: []');
    const there = await run('reload', '--config', other, ...port);
    expect(there.exitCode).toBe(2);
    expect(there.stderr).toMatch(/^llm-serve: not reloaded, nothing has changed: models .*\n$/);
    const here = await run('reload', '--config', file, ...port);
    expect(here.exitCode).toBe(2);
    expect(here.stderr).toMatch(/^llm-serve: models /);
    expect(await tokensOf(server)).toBe(2);
  });

  test('exits with 1 where no server answers, or does not let it', async () => {
    const file = fileWith(configOf(2, 'auth: { admin_keys: [admin-key-1] }'));
    const server = await start(file);
    const wrong = fileWith(configOf(2, 'auth: { admin_keys: [another-key] }'));
    const refused = await run('reload', '--config', wrong, '--port', String(server.port));
    expect(refused).toMatchObject({
      exitCode: 1,
      stderr: 'llm-serve: not reloaded, nothing has changed: The API key is not valid.\n',
    });
    const without = fileWith(configOf(2));
    const nameless = await run('reload', '--config', without, '--port', String(server.port));
    expect(nameless.exitCode).toBe(1);
    expect(nameless.stderr).toMatch(/An admin key is required: .* Give it with LLM_SERVE_KEY\.\n$/);
    await server.stop();
    const away = await run('reload', '--config', file, '--port', String(server.port));
    expect(away).toMatchObject({
      exitCode: 1,
      stderr: `llm-serve: no server answers at 127.0.0.1:${server.port} (ECONNREFUSED). Nothing was reloaded.\n`,
    });
  });
});

describe('--watch', () => {
  /** The file may be read while it is being written, and once more after that. */
  const reloadedTo = (server: Executable, maxTokens: number) =>
    expect.poll(() => tokensOf(server)).toBe(maxTokens);

  test('reloads when the file is written, replaced by another, or broken and mended', async () => {
    const file = fileWith(configOf(2));
    const server = await start(file, '--watch');
    writeFileSync(file, configOf(3));
    await reloadedTo(server, 3);
    await server.logged(({ msg }) => msg.endsWith('has changed: configuration reloaded'));
    // As editors do.
    writeFileSync(`${file}.new`, configOf(4));
    renameSync(`${file}.new`, file);
    await reloadedTo(server, 4);
    writeFileSync(file, 'server: [');
    await server.logged(({ msg }) => msg.includes('the configuration was not reloaded'));
    expect(await tokensOf(server)).toBe(4);
    rmSync(file);
    writeFileSync(file, configOf(5));
    await reloadedTo(server, 5);
    expect((await server.stop()).exitCode).toBe(0);
  });

  test('follows the links of a Kubernetes ConfigMap, which swaps a folder', async () => {
    const mount = folder();
    const publish = (name: string, text: string) => {
      mkdirSync(join(mount, name));
      writeFileSync(join(mount, name, 'llm-serve.yaml'), text);
      symlinkSync(name, join(mount, '..data_tmp'));
      renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
    };
    publish('..first', configOf(2));
    symlinkSync('..data/llm-serve.yaml', join(mount, 'llm-serve.yaml'));
    const server = await start(join(mount, 'llm-serve.yaml'), '--watch');
    expect(await tokensOf(server)).toBe(2);
    publish('..second', configOf(3));
    rmSync(join(mount, '..first'), { recursive: true });
    await reloadedTo(server, 3);
  });

  test('without a file is wrong usage', async () => {
    const { exitCode, stderr } = await run('--watch');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('--watch needs a configuration file');
  });
});

test('a server that is being shut down is not reloaded', async () => {
  const file = fileWith(configOf(2));
  const server = await start(file, '--server.shutdown-delay-seconds', '5');
  server.signal('SIGTERM');
  await server.logged(({ msg }) => msg.startsWith('SIGTERM'));
  const answer = await ask(`${server.url}/admin/reload`, { method: 'POST' });
  expect(answer.status).toBe(503);
  expect((await server.ended).exitCode).toBe(0);
});
