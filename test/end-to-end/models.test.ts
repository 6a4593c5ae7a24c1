/** `llm-serve models`: the real executable, a hub on loopback, a cache folder of the test's own. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runExecutable, startCommand } from '../support/executable.ts';
import { ggufFile } from '../support/gguf-file.ts';
import { type HubBehaviour, startModelHub } from '../support/model-hub.ts';

const NAME = 'hf:owner/repo/folder/tiny.gguf';
const FILE = 'hf--owner--repo--folder--tiny.gguf';
const bytes = ggufFile({
  metadata: {
    'general.architecture': 'llama',
    'general.name': 'Tiny',
    'general.license': 'apache-2.0',
    'general.file_type': 15,
    'llama.context_length': 4096,
    'llama.embedding_length': 64,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.tokens': ['a', 'b'],
    'tokenizer.chat_template': '{% if tools %}{{ tools }}{% endif %}',
  },
  tensors: [{ name: 'weights', dimensions: [1_000_000], type: 24 }],
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'llm-serve-models-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function setUp(behaviour: Partial<HubBehaviour> = {}) {
  const hub = await startModelHub({ bytes, ...behaviour });
  onTestFinished(() => hub.close());
  const cache = folder();
  const flags = ['--cache.directory', cache, '--cache.hub-url', hub.url];
  return {
    hub,
    cache,
    run: (...args: string[]) => runExecutable(['models', ...args, ...flags], { endsWith: onTestFinished }),
    start: (...args: string[]) => startCommand(['models', ...args, ...flags], { endsWith: onTestFinished }),
  };
}

function held() {
  let release = () => {};
  const hold = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { hold, release };
}

test('a model is pulled, listed, shown and removed by its name', async () => {
  const { cache, run } = await setUp();
  const pulled = await run('pull', NAME);
  expect(pulled, pulled.stderr).toMatchObject({ exitCode: 0 });
  expect(pulled.stdout.trim().split('\n').at(-1)).toBe(join(cache, FILE));
  expect(pulled.stdout).toContain('checksum verified');
  expect(bytes.equals(readFileSync(join(cache, FILE)))).toBe(true);

  const listed = await run('list');
  expect(listed.stdout).toMatch(/^NAME +SIZE +LICENCE/);
  expect(listed.stdout).toMatch(/smollm2-135m-instruct +98\.4 MB +Apache-2\.0 +chat +known +not fetched/);
  expect(listed.stdout).toMatch(
    /hf:owner\/repo\/folder\/tiny\.gguf +1\.0 MB +apache-2\.0 +chat, tools +published +fetched/,
  );
  expect(listed.stdout.trimEnd().split('\n').at(-1)).toBe(`1.0 MB in ${cache}`);
  const json = JSON.parse((await run('list', '--json')).stdout) as {
    models: { name: string; state: string }[];
  };
  expect(json.models.find(({ name }) => name === NAME)).toMatchObject({ state: 'present' });

  const shown = await run('show', NAME);
  for (const part of [
    /architecture +llama/,
    /quantization +Q4_K_M/,
    /trained context +4096/,
    /yes, knows tools/,
  ])
    expect(shown.stdout).toMatch(part);
  expect(JSON.parse((await run('show', join(cache, FILE), '--json')).stdout)).toMatchObject({
    path: join(cache, FILE),
    embedding_length: 64,
    chat_template_tools: true,
    sha256_published: true,
  });

  expect((await run('remove', NAME)).stdout).toBe(`removed ${join(cache, FILE)}\n`);
  expect(readdirSync(cache)).toEqual([]);
  expect((await run('remove', NAME)).stdout).toBe(`${NAME} was not fetched\n`);
});

describe('a download', () => {
  test('that is under way in another process is waited for', async () => {
    const { hold, release } = held();
    const { hub, run, start } = await setUp({ hold });
    const first = start('pull', NAME);
    await expect.poll(() => hub.requests.length, { timeout: 60_000 }).toBe(1);
    const second = start('pull', NAME);
    await second.logged(({ msg }) => msg.includes('downloaded by another process: 0.5 of 1.0 MB'));
    const refused = await run('remove', NAME);
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('is being downloaded') });
    release();
    const [one, other] = await Promise.all([first.ended, second.ended]);
    expect([one.exitCode, other.exitCode]).toEqual([0, 0]);
    expect(hub.requests).toHaveLength(1);
  });

  test('of a process that was killed is continued by the next, which waits for nobody', async () => {
    const { hub, cache, run, start } = await setUp({ hold: new Promise(() => {}) });
    const killed = start('pull', NAME);
    const partial = join(cache, `${FILE}.partial`);
    const size = () => statSync(partial, { throwIfNoEntry: false })?.size ?? 0;
    await expect.poll(size, { timeout: 60_000 }).toBeGreaterThan(0);
    killed.signal('SIGKILL');
    await killed.ended;
    expect((await run('list')).stdout).toMatch(/tiny\.gguf .*not fetched, \d\.\d MB there/);
    hub.behaviour.hold = undefined;
    expect((await run('pull', NAME)).exitCode).toBe(0);
    expect(hub.requests.at(-1)?.range).toMatch(/^bytes=\d+-$/);
    expect(readdirSync(cache).sort()).toEqual([FILE, `${FILE}.checked.json`]);
  });

  test('that is interrupted says so and leaves no lock', async () => {
    const { cache, start, hub } = await setUp({ hold: new Promise(() => {}) });
    const interrupted = start('pull', NAME);
    await expect.poll(() => hub.requests.length, { timeout: 60_000 }).toBe(1);
    interrupted.signal('SIGINT');
    const { exitCode, stderr } = await interrupted.ended;
    expect(exitCode).toBe(1);
    expect(stderr).toContain('the same command goes on');
    expect(readdirSync(cache)).not.toContain(`${FILE}.lock`);
  });

  test('of a file without a published checksum says that it could not be compared', async () => {
    const { run } = await setUp({ linked: false });
    expect((await run('pull', NAME)).stdout).toContain('no checksum has been published');
    expect((await run('list')).stdout).toContain('none published');
    expect((await run('show', NAME)).stdout).toContain('as it was when it came; none was published');
  });

  test('without a network is one sentence and exit 1', async () => {
    const { hub, run } = await setUp();
    await hub.close();
    const { exitCode, stderr } = await run('pull', NAME);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/could not be downloaded: the server cannot be reached/);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});

describe('a name that cannot be is exit 2 and says what can', () => {
  test.each([
    ['pull', 'gpt-unknown', /Known names: smollm2-135m-instruct.*hf:owner\/repo/],
    ['pull', 'hf:owner/repo/../../x.gguf', /".." in its path/],
    ['pull', './own.gguf', /is a path/],
    ['show', 'http://example.com/x.gguf', /must be an https/],
    ['remove', 'hf:owner', /must have the form/],
  ])('%s %s', async (command, name, reason) => {
    const { exitCode, stderr } = await runExecutable(['models', command, name], { endsWith: onTestFinished });
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(reason);
  });
});

test('a reader of the list who leaves early is no failure', async () => {
  const { start } = await setUp();
  const listing = start('list');
  listing.stopReading();
  expect(await listing.ended).toMatchObject({ exitCode: 0, stderr: '' });
});

test('a file outside of the cache folder is not removed', async () => {
  const { run } = await setUp();
  const own = join(folder(), 'own.gguf');
  writeFileSync(own, bytes);
  const { exitCode, stderr } = await run('remove', own);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('Only files in that folder can be removed');
  expect(readFileSync(own)).toHaveLength(bytes.length);
});

test('a model that was not fetched is not shown, but how to fetch it', async () => {
  const { run } = await setUp();
  const { exitCode, stderr } = await run('show', NAME);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`llm-serve models pull ${NAME}`);
});

test('what a model file says of itself, and how it is called, cannot steer the terminal', async () => {
  const { cache, run } = await setUp();
  const clear = '\u001b[2J\u009b1m';
  const named = ggufFile({
    metadata: {
      'general.architecture': 'llama',
      'general.name': `Evil${clear}\nsha256           checked`,
      'general.license': `mit${clear}`,
      'tokenizer.ggml.model': 'gpt2',
    },
    tensors: [{ name: 'weights', dimensions: [100], type: 24 }],
  });
  const path = join(cache, `a${clear}\nb.gguf`);
  writeFileSync(path, named);
  for (const output of await Promise.all([
    run('show', path),
    run('list'),
    run('list', '--json'),
    run('show', `${path}x`),
  ])) {
    const printed = output.stdout + output.stderr;
    expect(printed).toContain('\\u001b[2J\\u009b1m');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(printed).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(printed).not.toMatch(/^sha256 {11}checked/m);
  }
});
