/** `llm-serve run`: what it prints, what it takes, and how it ends, as a script that calls it sees it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runExecutable, startCommand } from '../support/executable.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, startServer } from '../support/server.ts';

const server = startServer({
  flags: [...scriptedFlags({ id: 'demo' }, { id: 'why' }), '--retry.attempts', '1'],
  endsWith: endingAfterAll(),
});

async function run(args: readonly string[], { input, url }: { input?: string; url?: string } = {}) {
  return runExecutable(['run', ...args], {
    environment: { LLM_SERVE_SERVER: url ?? (await server).url },
    ...(input !== undefined && { input }),
    endsWith: onTestFinished,
  });
}

const says = (text: string, more: Readonly<Record<string, unknown>> = {}) => scripted({ text, ...more });

test('the answer is all that is printed, exactly as it is', async () => {
  const ended = await run(['demo', says('a \u001b[31mred\u0007 b\r\nc', { reasoning: 'hm' })]);
  expect(ended).toEqual({ exitCode: 0, stdout: 'a \u001b[31mred\u0007 b\r\nc\n', stderr: '' });
});

test.each<[string, readonly string[], string | undefined, string]>([
  ['the words after the model are the prompt', ['demo', 'one', 'two'], undefined, 'one two'],
  ['one argument of several words is the prompt', ['one two'], undefined, 'one two'],
  [
    'with --model all words are the prompt, also one that is a model',
    ['why', 'not', '-m', 'demo'],
    undefined,
    'why not',
  ],
  ['what comes from a pipe follows the prompt', ['demo', 'one'], 'two\n', 'one two'],
  ['a pipe alone is the prompt', ['demo'], 'one two\n', 'one two'],
  ['a pipe alone may be for the default model', [], 'one two\n', 'one two'],
])('%s', async (_what, args, input, words) => {
  const { exitCode, stdout } = await run(
    [...args, '--max-tokens', '2'],
    input === undefined ? {} : { input },
  );
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${words}\n` });
});

test('a misspelt model is wrong usage, not a prompt for another', async () => {
  const { exitCode, stdout, stderr } = await run(['demmo', 'hello']);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain('The server has no model "demmo". Did you mean demo? Its models: demo, why.');
});

test('without a prompt and without a terminal there is nothing to ask', async () => {
  const { exitCode, stderr } = await run(['demo']);
  expect(exitCode).toBe(2);
  expect(stderr).toBe('llm-serve: There is no prompt: give it as an argument, or by a pipe.\n');
});

test('--json prints the answer with tokens and timings', async () => {
  const { exitCode, stdout } = await run(['demo', says('one two', { reasoning: 'hm' }), '--json']);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    model: 'demo',
    target: 'demo/scripted/0',
    text: 'one two',
    reasoning: 'hm',
    finish_reason: 'stop',
    usage: { prompt_tokens: 3, cached_tokens: 0, completion_tokens: 3 },
    timings: expect.objectContaining({ queue_ms: expect.any(Number), total_ms: expect.any(Number) }),
  });
});

test('--stats prints the receipt on standard error, and a cut-off answer is told', async () => {
  const { stdout, stderr } = await run(['demo', says('one two three'), '--max-tokens', '2', '--stats']);
  expect(stdout).toBe('one two\n');
  expect(stderr).toMatch(
    /^llm-serve: The answer was cut off.*\nqueue [\d.]+ ms, .*2 tokens, target demo\/scripted\/0, demo, [\d.]+ ms in all, ended by length\n$/,
  );
});

test('options and files become the fields of the request', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const schema = { type: 'object', properties: { city: { type: 'string' } } };
  const png = Buffer.from('89504e470d0a1a0a', 'hex');
  writeFileSync(join(folder, 'schema.json'), JSON.stringify(schema));
  writeFileSync(join(folder, 'image.png'), png);
  const standIn = await recording();
  const args = [
    ...['demo', 'what is it', '--system', 'Be brief.', '--temperature', '0', '--seed', '7', '--think', 'low'],
    ...['--set', 'top_p=0.9', '--format', join(folder, 'schema.json'), '--image', join(folder, 'image.png')],
  ];
  await run(args, { url: standIn.url });
  expect(standIn.bodies).toEqual([
    {
      model: 'demo',
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'what is it' },
            { type: 'image_url', image_url: { url: `data:image/png;base64,${png.toString('base64')}` } },
          ],
        },
      ],
      temperature: 0,
      seed: 7,
      reasoning_effort: 'low',
      top_p: 0.9,
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } },
      stream: true,
      stream_options: { include_usage: true },
    },
  ]);
});

test.each([
  [['--temperature', 'hot'], 'temperature is "hot", but must be a number from 0 to 2.'],
  [['--set', 'top_p'], '--set is "top_p", but must be NAME=VALUE.'],
  [['--format', 'missing.json'], '--format is "missing.json", but that file cannot be read'],
  [['--image', '/dev/null'], '--image is "/dev/null", but must be a PNG, JPEG, GIF or WebP file.'],
])('%j is wrong usage', async (args, message) => {
  const { exitCode, stderr } = await run(['demo', 'hello', ...args]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(message);
});

test.each([
  [[says('a b c', { fail: 'error' })], 'The scripted backend failed, as its script says.'],
  [[says('no JSON'), '--format', 'json'], 'response_format does not match the text of the scripted backend.'],
])('a failure is in the server’s own words: %j', async (args, message) => {
  const { exitCode, stdout, stderr } = await run(['demo', ...args]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
  expect(stderr).toContain(`llm-serve: ${message}`);
});

test('what came before a failure is printed, and the exit code is 1', async () => {
  const { exitCode, stdout, stderr } = await run([
    'demo',
    says('a b c', { fail: 'mid-stream', fail_after_tokens: 2 }),
  ]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: 'a b\n' });
  expect(stderr).toBe('llm-serve: The scripted backend failed, as its script says.\n');
});

test('a client over its limit is told when to try again', async () => {
  const { url } = await startServer({
    flags: [
      ...['--models', '[{"id":"demo","targets":[{"backend":"scripted","model":"demo"}]}]'],
      ...['--rate-limit.requests', '1', '--rate-limit.window-seconds', '60'],
    ],
    endsWith: onTestFinished,
  });
  expect((await run(['demo', 'hello'], { url })).exitCode).toBe(0);
  const { exitCode, stderr } = await run(['demo', 'hello'], { url });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/Try again in \d+ seconds?\.\n$/);
});

test('a reader that has enough ends the answer on the server too', async () => {
  const { url, logged, logs } = await server;
  const before = logs().length;
  const prompt = says(`${'word '.repeat(3000)}`, { token_delay_ms: 5 });
  const command = startCommand(['run', 'demo', prompt], {
    environment: { LLM_SERVE_SERVER: url },
    endsWith: onTestFinished,
  });
  command.stopReading();
  const { exitCode, stderr } = await command.ended;
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  await logged((line) => line.status === 499 && logs().indexOf(line) >= before);
});

test('a key is used, and is not in the list of processes', async (context) => {
  if (process.platform !== 'linux') context.skip('there is no /proc');
  const { url, logged } = await startServer({
    flags: [...scriptedFlags(), '--auth.api-keys', '["sesame-open"]'],
    endsWith: onTestFinished,
  });
  const without = await run(['demo', 'hello'], { url });
  expect(without.exitCode).toBe(1);
  expect(without.stderr).toContain('Give a key with LLM_SERVE_KEY or --key.');

  const prompt = says('a b c', { token_delay_ms: 60_000 });
  const command = startCommand(['run', 'demo', prompt, '--key', 'sesame-open'], {
    environment: { LLM_SERVE_SERVER: url },
    endsWith: onTestFinished,
  });
  await logged(({ path, status }) => String(path).startsWith('/v1/models') && status === 200);
  expect(readFileSync(`/proc/${command.pid}/cmdline`, 'utf8')).not.toContain('sesame');
  command.signal('SIGKILL');
  await command.ended;
});

/** Answers as llm-serve does, and keeps the bodies of chats. */
async function recording() {
  const bodies: unknown[] = [];
  const standIn = createServer((request, response) => {
    response.setHeader('x-response-time-ms', '1.00');
    if (request.method === 'GET') return void response.end('{"id":"demo"}');
    let text = '';
    request.on('data', (piece: Buffer) => {
      text += piece.toString();
    });
    request.once('end', () => {
      bodies.push(JSON.parse(text));
      response.end('data: {"choices":[{"delta":{"content":"yes"}}]}\n\ndata: [DONE]\n\n');
    });
  });
  await new Promise<void>((resolve) => standIn.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void standIn.close());
  return { url: `http://127.0.0.1:${(standIn.address() as AddressInfo).port}`, bodies };
}
