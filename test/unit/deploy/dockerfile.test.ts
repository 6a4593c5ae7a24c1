import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SETTINGS } from '../../../src/config/settings.ts';
import { configureImage, dockerfile, imageEnvironment, readText, root } from './deployment-files.ts';

const instruction = (name: string) =>
  [...dockerfile.matchAll(new RegExp(`^${name} (.*)$`, 'gm'))].map((match) => match[1] ?? '');

describe('the image', () => {
  it('sets only settings that exist', () => {
    const known = SETTINGS.map(({ variable }) => variable);
    const ours = Object.keys(imageEnvironment()).filter((name) => name.startsWith('LLM_SERVE_'));
    expect(ours.filter((name) => !known.includes(name))).toEqual([]);
    expect(ours.length).toBeGreaterThan(0);
  });

  it('does not start open to the world by itself', () => {
    expect(() => configureImage({})).toThrow(/api_keys.*allow_open/);
    expect(configureImage({ LLM_SERVE_AUTH__API_KEYS: '["a-key-for-this-test"]' }).server.host).toBe(
      '0.0.0.0',
    );
  });

  it('has a slim and a full target, and runs the server itself, not as root', () => {
    const stages = instruction('FROM').map((line) => line.split(' AS ')[1]);
    expect(stages).toEqual(expect.arrayContaining(['slim', 'full']));
    expect(instruction('FROM')[0]).toMatch(/^node:\d+-slim /);
    expect(instruction('ENTRYPOINT')).toEqual(['["node", "/app/dist/cli/main.js"]']);
    expect(instruction('STOPSIGNAL')).toEqual(['SIGTERM']);
    expect(instruction('USER')).toEqual(['1000:1000']);
  });

  it('only copies in what exists and is not ignored', () => {
    const sent = readText('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = instruction('COPY')
      .filter((line) => !line.startsWith('--from'))
      .flatMap((line) => line.split(/\s+/).slice(0, -1));
    for (const path of copied) {
      expect(existsSync(`${root}/${path}`), path).toBe(true);
      expect(
        sent.some((allowed) => path === allowed || path.startsWith(`${allowed}/`)),
        path,
      ).toBe(true);
    }
  });
});

describe('the image’s HEALTHCHECK, run here', () => {
  /** Its command, with the image's folder replaced by this one. */
  const command = (
    JSON.parse(/CMD (\[.*\])$/.exec(instruction('HEALTHCHECK')[0] ?? '')?.[1] ?? '[]') as string[]
  ).map((word) => word.replace(/^\/app\//, root.endsWith('/') ? root : `${root}/`));

  async function check(port: number, more: readonly string[] = []): Promise<number> {
    const [, ...words] = command;
    const child = spawn(process.execPath, [...words, ...more], {
      env: { LLM_SERVE_SERVER__PORT: String(port) },
      stdio: 'ignore',
    });
    const [exitCode] = (await once(child, 'exit')) as [number];
    return exitCode;
  }

  async function serve(statuses: Readonly<Record<string, number>>): Promise<number> {
    const server = createServer((request, response) =>
      response.writeHead(statuses[request.url ?? ''] ?? 404).end(),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
    return (server.address() as AddressInfo).port;
  }

  it('is healthy when /health answers 200', async () => {
    expect(command[0]).toBe('node');
    expect(await check(await serve({ '/health': 200 }))).toBe(0);
  });

  it('is unhealthy when it answers anything else, or nothing listens', async () => {
    expect(await check(await serve({ '/health': 503 }))).toBe(1);
    expect(await check(1)).toBe(1);
  });

  it('can ask for readiness instead', async () => {
    const port = await serve({ '/health': 200, '/ready': 503 });
    expect(await check(port, ['/ready'])).toBe(1);
  });
});
