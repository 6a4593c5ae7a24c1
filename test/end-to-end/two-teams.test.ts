/**
 * README.md's block about two teams, run as it is written, gives the tables under it. Only its place is another: a home of its own, with
 * all data in it, and a port of its own in place of 8000. `npx llm-serve` and `npm start` are the program under test, and a script stands
 * in for the model.
 */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { ownPort } from '../support/own-port.ts';
import { TEST_ENVIRONMENT, TEST_WORKERS } from '../support/server.ts';

const pathOf = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url));

/** The block, and what is under it. */
function shownInReadme(): { readonly block: string; readonly keys: string; readonly usage: string } {
  const [, section = ''] = readFileSync(pathOf('README.md'), 'utf8').split('\n## Two teams');
  const [, block = '', printed = ''] = /```sh\n([\s\S]*?)```\n\n```\n([\s\S]*?)```\n/.exec(section) ?? [];
  const usageAt = printed.indexOf('\nTEAM ') + 1;
  return { block, keys: printed.slice(0, usageAt), usage: printed.slice(usageAt) };
}

/** A server that is gone ends the block, which would wait for it for ever. */
const STAND_INS = `set -eu
npx() { [ "$1" = llm-serve ]; shift; "$NODE" "$PROGRAM" "$@"; }
npm() { [ "$*" = start ]; exec "$NODE" "$PROGRAM" >&3 2>&3; }
sleep() { kill -0 "$!"; command sleep "$1"; }
`;

const THROUGH = 'the block is through\n';

/** The server that the block started runs on until the standard input ends, also with the tests. */
const ENDING = `printf '${THROUGH.replace('\n', '\\n')}'
read -r _ || true
kill "$!"
wait "$!"
`;

interface Place {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

async function placeOfItsOwn(): Promise<Place & { readonly port: number }> {
  const cwd = mkdtempSync(join(tmpdir(), 'llm-serve-two-teams-'));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  const port = await ownPort(onTestFinished);
  const target = {
    backend: 'scripted',
    model: 'smollm2',
    text: 'The capital of France is Paris, of course.',
  };
  const env = {
    ...TEST_ENVIRONMENT,
    PATH: process.env.PATH ?? '',
    HOME: cwd,
    NODE: process.execPath,
    PROGRAM: pathOf('dist/cli/main.js'),
    LLM_SERVE_SERVER__PORT: String(port),
    LLM_SERVE_SERVER__WORKERS: String(TEST_WORKERS),
    LLM_SERVE_MODELS: JSON.stringify([{ id: 'smollm2', targets: [target] }]),
  };
  return { cwd, env, port };
}

interface BlockRun {
  readonly printed: string;
  /** Of the server too. */
  log(): string;
  /** Ends the server. Resolves with the exit code once nothing runs any more. */
  end(): Promise<number | null>;
}

/** Resolves when the block is through; its server still runs. */
async function runBlock(text: string, { cwd, env }: Place): Promise<BlockRun> {
  const shell = spawn('sh', ['-c', `${STAND_INS}${text}${ENDING}`], {
    ...{ cwd, env, stdio: ['pipe', 'pipe', 'pipe', 'pipe'] },
    detached: true,
  });
  // A server keeps the fourth open until it has ended.
  const closed = new Promise<number | null>((resolve) => shell.once('close', resolve));
  let isClosed = false;
  void closed.then(() => {
    isClosed = true;
  });
  onTestFinished(async () => {
    if (!isClosed && shell.pid !== undefined) process.kill(-shell.pid, 'SIGKILL');
    await closed;
  });
  let printed = '';
  let log = '';
  for (const stream of [shell.stderr, shell.stdio[3]])
    stream?.on('data', (part: Buffer) => {
      log += part.toString();
    });
  const through = new Promise<boolean>((resolve) => {
    shell.stdout?.on('data', (part: Buffer) => {
      printed += part.toString();
      if (printed.endsWith(THROUGH)) resolve(true);
    });
  });
  const isThrough = await Promise.race([through, closed.then(() => false)]);
  expect(isThrough, `${printed}${log}`).toBe(true);
  return {
    printed: printed.slice(0, -THROUGH.length),
    log: () => log,
    end: () => {
      shell.stdin?.end();
      return closed;
    },
  };
}

async function outputOf(command: string, place: Place): Promise<string> {
  return (await promisify(execFile)('sh', ['-c', `${STAND_INS}${command}`], place)).stdout;
}

/** Ids and keys are random; they have their length. */
const withoutIds = (text: string) =>
  text
    .replaceAll(/\bkey_[0-9a-f]{16}\b/g, 'key_0123456789abcdef')
    .replaceAll(/\bsk-llm-[\w-]{5}(?= )/g, 'sk-llm-abcde');

/** Lines of the table, without the columns whose numbers are the model's, and the line under it, without its times. */
function countsOf(usage: string) {
  const lines = usage.trimEnd().split('\n');
  const span = lines.pop()?.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d/g, 'TIME');
  const [names = [], ...rows] = lines.map((line) => line.split(/ {2,}/));
  const isModels = names.map((name) => ['PROMPT', 'CACHED', 'SLOTS'].includes(name));
  for (const row of rows) {
    expect(row).toHaveLength(names.length);
    for (const [column, cell] of row.entries())
      if (isModels[column]) expect(cell, names[column]).toMatch(/^\d[\d.]*( m?s)?$/);
  }
  return { names, rows: rows.map((row) => row.filter((_, column) => !isModels[column])), span };
}

const hasCurl = spawnSync('curl', ['--version']).status === 0;

test('two teams with keys and limits, and what they used, in the lines of the README', async (context) => {
  if (!hasCurl) return context.skip('curl is not there');
  const shown = shownInReadme();
  const lastLine = /\n(npx llm-serve usage .*)\n$/.exec(shown.block)?.[1] ?? '';
  expect(lastLine).not.toBe('');
  const { port, ...place } = await placeOfItsOwn();
  const before = shown.block.slice(0, shown.block.lastIndexOf(lastLine));
  expect(before).toContain('localhost:8000');
  const run = await runBlock(before.replaceAll('localhost:8000', `localhost:${port}`), place);

  const [alice = '', first = '', second = '', third = '', ...table] = run.printed.split('\n');
  for (const answer of [alice, first, second])
    expect(JSON.parse(answer), run.log()).toMatchObject({ text: expect.stringContaining('Paris') });
  expect(JSON.parse(third)).toMatchObject({ error: { code: 'rate_limited' } });
  expect(withoutIds(table.join('\n'))).toBe(withoutIds(shown.keys));

  // Usage is written half a second after the write before, at the latest; a busy machine may run the last line sooner.
  await expect.poll(async () => countsOf(await outputOf(lastLine, place))).toEqual(countsOf(shown.usage));
  expect(await run.end(), run.log()).toBe(0);
});
