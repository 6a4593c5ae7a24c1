/** A record made by the real executable, replayed: `serve --record`, `whatif`, and `status` beside them. */
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { RecordedRequest } from '../../src/core/record-file.ts';
import { type Ended, type Executable, runExecutable, startExecutable } from '../support/executable.ts';
import { generate, openAnswer, stream } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';

const TWENTY_TOKENS = 'a b c d e f g h i j k l m n o p q r s t';
const PACED = { slots: 2, text: TWENTY_TOKENS, first_token_delay_ms: 40, token_delay_ms: 10 };

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'llm-serve-record-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function start(record: string, target: object = PACED, flags: readonly string[] = []): Promise<Executable> {
  return startExecutable({
    flags: [...scriptedFlags({ target: { ...target } }), '--record', record, ...flags],
    endsWith: onTestFinished,
  });
}

function run(...args: readonly string[]): Promise<Ended> {
  return runExecutable(args, { endsWith: onTestFinished });
}

function requestsOf(record: string): RecordedRequest[] {
  return readFileSync(record, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as RecordedRequest)
    .filter(({ route }) => route !== undefined);
}

test('a record tells the times of its server: replayed as it was, and with other slots', async () => {
  const record = join(folder(), 'record.jsonl');
  const server = await start(record);
  // Twice what two slots can serve: a queue builds up.
  await Promise.all(Array.from({ length: 24 }, () => stream(server, { prompt: 'hello there' })));
  await server.stop();

  const { exitCode, stdout } = await run('whatif', record, '--slots', '24', '--json');
  expect(exitCode).toBe(0);
  const { recorded, replayed, what_if: changed, error } = JSON.parse(stdout);
  expect(recorded).toMatchObject({ requests: 24, finished: 24, slots: 2 });
  expect(replayed).toMatchObject({ finished: 24, slots: 2 });
  expect(error.part).toBeLessThan(0.25);
  // With a slot for each nobody waits, and each takes as long as one answer alone.
  expect(changed.slots).toBe(24);
  expect(changed.queueMs.p90).toBeLessThan(replayed.queueMs.p90 / 5);
  expect(changed.e2eMs.p50).toBeLessThan(replayed.e2eMs.p50 / 2);

  const chart = join(folder(), 'chart.svg');
  const table = await run('whatif', record, '--targets', '2', '--chart', chart);
  expect(table.stdout).toMatch(/^ +recorded +replayed +what if +change$/m);
  expect(table.stdout).toMatch(/^The replay with the recorded settings is /m);
  expect(table.stdout).toMatch(
    /^With --targets 2, nine of ten first tokens come within .* instead of .*\.$/m,
  );
  expect(readFileSync(chart, 'utf8')).toMatch(/^<svg /);
});

test('the record has what was rejected and what was cancelled, and nothing that a client wrote', async () => {
  const record = join(folder(), 'record.jsonl');
  const server = await start(record, { slots: 1 }, [
    ...['--scheduler.max-queue', '1', '--auth.api-keys', '["key-of-ann"]'],
    ...['--rate-limit.enabled', 'true', '--rate-limit.requests', '4', '--rate-limit.window-seconds', '600'],
  ]);
  const headers = { authorization: 'Bearer key-of-ann', 'x-request-id': 'secret-id' };
  const held = await openAnswer(`${server.url}/stream`, {
    body: {
      prompt: scripted({ text: 'one two', fail: 'hang-mid-stream', fail_after_tokens: 1 }, 'secret prompt'),
    },
    headers,
  });
  await held.until((text) => text.includes('one'));
  const ask = () => openAnswer(`${server.url}/generate`, { body: { prompt: 'secret prompt' }, headers });
  const waits = ask();
  await expect
    .poll(async () => (await run('status', '--json', '--server', server.url, '--key', 'key-of-ann')).stdout)
    .toContain('"waiting": 1');
  expect((await ask()).status).toBe(503);
  held.leave();
  expect((await waits).status).toBe(200);
  expect((await ask()).status).toBe(200);
  expect((await ask()).status).toBe(429);
  await server.stop();

  const codes = requestsOf(record).map(({ error_code: code }) => code);
  expect(new Set(codes)).toEqual(new Set(['queue_full', 'client_gone', null, 'rate_limited']));
  const text = readFileSync(record, 'utf8');
  for (const hidden of ['secret', 'key-of-ann', '127.0.0.1']) expect(text).not.toContain(hidden);
  expect(statSync(record).mode & 0o777).toBe(0o600);
});

test('a record goes on in the next run; a file that is none is refused and stays as it is', async () => {
  const record = join(folder(), 'record.jsonl');
  for (let count = 0; count < 2; count += 1) {
    const server = await start(record);
    await generate(server, { prompt: 'hi', max_tokens: 2 });
    await server.stop();
    // As a run leaves it that was killed in the middle of a line.
    if (count === 0) appendFileSync(record, '{"at_ms":12,"rou');
  }
  expect((await run('whatif', record)).stdout).toContain('The file has 2 runs');
  expect(readFileSync(record, 'utf8').match(/"llm_serve_record"/g)).toHaveLength(2);

  const notes = join(folder(), 'notes.txt');
  writeFileSync(notes, 'my notes\n');
  const refused = await run('serve', '--port', '0', ...scriptedFlags(), '--record', notes);
  expect([refused.exitCode, readFileSync(notes, 'utf8')]).toEqual([2, 'my notes\n']);
  expect(refused.stderr).toContain('is no record of llm-serve');
  expect((await run('whatif', notes)).stderr).toContain('cannot be replayed: it is no record of llm-serve');

  const earlier = join(folder(), 'earlier.jsonl');
  writeFileSync(earlier, '{"llm_serve_record":1,"version":"1.0.0","started_at_ms":1}\n');
  const older = await run('serve', '--port', '0', ...scriptedFlags(), '--record', earlier);
  expect([older.exitCode, older.stderr]).toEqual([
    2,
    expect.stringContaining('this is a record of version 1, but this llm-serve writes version 2'),
  ]);

  truncateSync(record, 250_000_000);
  const full = await run('serve', '--port', '0', ...scriptedFlags(), '--record', record);
  expect([full.exitCode, statSync(record).size]).toEqual([2, 250_000_000]);
  expect(full.stderr).toContain('this record is full: it has 250000000 bytes, the most are 250000000.');
});

test('status shows models, targets and requests; ps is the same; without a server it says how to start one', async () => {
  const record = join(folder(), 'record.jsonl');
  const server = await start(record, { slots: 1 });
  const held = await openAnswer(`${server.url}/stream`, {
    body: { prompt: scripted({ text: 'one two', fail: 'hang-mid-stream', fail_after_tokens: 1 }) },
    headers: { 'x-request-id': 'my-request' },
  });
  await held.until((text) => text.includes('one'));
  const status = await run('status', '--server', server.url);
  expect(status.exitCode).toBe(0);
  expect(status.stdout).toContain(`at ${server.url}`);
  expect(status.stdout).toMatch(/^demo +1 +0$/m);
  expect(status.stdout).toMatch(/^demo\/scripted\/0 +demo +scripted +ready +1\/1$/m);
  expect(status.stdout).toMatch(/^[\d.]+ m?s +demo +runs at demo\/scripted\/0 +1 token +my-request$/m);
  const ps = await run('ps', '--server', server.url, '--json');
  expect(JSON.parse(ps.stdout).running).toMatchObject([{ request_id: 'my-request' }]);
  held.leave();
  await server.stop();
  const gone = await run('status', '--server', server.url);
  expect(gone.exitCode).toBe(1);
  expect(gone.stderr).toMatch(/No server answers at .*llm-serve serve/);
});
