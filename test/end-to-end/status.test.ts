/** `llm-serve status --watch` as a process of its own, at a terminal and into a pipe, beside a real server. */
import { expect, onTestFinished, test } from 'vitest';
import { runExecutable, startCommand } from '../support/executable.ts';
import { hasTerminals, KEYS, NO_TERMINALS, onTerminal } from '../support/pseudo-terminal.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { startServer } from '../support/server.ts';

const endsWith = onTestFinished;

test('at a terminal it stays when the server is restarted, and Ctrl-C leaves it', async (context) => {
  if (!hasTerminals) context.skip(NO_TERMINALS);
  const first = await startServer({ flags: scriptedFlags({ id: 'first' }), endsWith });
  const status = onTerminal(['status', '--watch'], { environment: { LLM_SERVE_SERVER: first.url } });
  await status.shows('first/scripted/0');
  await first.drain();
  await status.shows(`${first.url} does not answer. It is asked again every second.`);
  await startServer({ flags: ['--port', String(first.port), ...scriptedFlags({ id: 'second' })], endsWith });
  await status.shows('second/scripted/0');
  status.type(KEYS.ctrlC);
  expect(await status.exitCode).toBe(0);
});

const withKeys = (...keys: readonly string[]) =>
  `auth:\n  api_keys: [${keys.join(', ')}]\nmodels:\n  - id: demo\n    targets: [{ backend: scripted, model: demo }]\n`;

test('a key that is revoked ends it, with the words of the server', async () => {
  const server = await startServer({ configFile: withKeys('key-of-mine', 'key-of-others'), endsWith });
  const status = watch(server.url, { LLM_SERVE_KEY: 'key-of-mine' });
  await status.logged(({ sequence }) => sequence === 0);
  server.reconfigure({ configFile: withKeys('key-of-others') });
  server.reload('test');
  const { exitCode, stdout, stderr } = await status.ended;
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^llm-serve: .*API key.* Give a key with LLM_SERVE_KEY or --key\.\n$/);
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).models[0].id),
  ).toContain('demo');
});

test.each(['its reader leaves', 'SIGINT comes'])('in a pipe it ends when %s', async (what) => {
  const server = await startServer({ flags: scriptedFlags({ id: 'demo' }), endsWith });
  const status = watch(server.url);
  await status.logged(({ sequence }) => sequence === 0);
  if (what === 'SIGINT comes') status.signal('SIGINT');
  else status.stopReading();
  // What is written to nobody shows that nobody reads.
  await fetch(`${server.url}/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"prompt":"hi"}',
  });
  expect(await status.ended).toMatchObject({ exitCode: 0, stderr: '' });
});

function watch(url: string, environment: Readonly<Record<string, string>> = {}) {
  return startCommand(['status', '--watch', '--json', '--server', url], { environment, endsWith });
}

// Where a variable that only the server has is named, and a model that is none, the address is still there.
const fileWith = (port: number, host = '127.0.0.1') =>
  `server: { host: "${host}", port: ${port} }\nmodels: [{ id: demo, targets: [{ backend: none, api_key: "\${NOT_SET_HERE}" }] }]\n`;

test.each([
  ['of the file in its folder', [], (port: number) => ({ configFile: fileWith(port) })],
  ['of a file for all addresses', [], (port: number) => ({ configFile: fileWith(port, '0.0.0.0') })],
  ['of the environment', [], (port: number) => ({ environment: { LLM_SERVE_SERVER__PORT: String(port) } })],
  [
    'of its flags, before the file and LLM_SERVE_SERVER',
    (port: number) => ['--port', String(port), '--host', '127.0.0.1'],
    () => ({ configFile: fileWith(1), environment: { LLM_SERVE_SERVER: 'http://127.0.0.1:1' } }),
  ],
  [
    'of LLM_SERVE_SERVER, before the file',
    [],
    (port: number) => ({
      configFile: fileWith(1),
      environment: { LLM_SERVE_SERVER: `http://127.0.0.1:${port}` },
    }),
  ],
] as const)('it finds the server that the same configuration starts: %s', async (_, flags, given) => {
  const { port } = await startServer({ flags: scriptedFlags({ id: 'demo' }), endsWith });
  const args = ['status', '--json', ...(typeof flags === 'function' ? flags(port) : flags)];
  const { exitCode, stdout, stderr } = await runExecutable(args, { ...given(port), endsWith });
  expect(exitCode, stderr).toBe(0);
  expect(JSON.parse(stdout).models[0].id).toBe('demo');
});

test('a port that the system chooses is not found', async () => {
  const { exitCode, stderr } = await runExecutable(['status'], { configFile: fileWith(0), endsWith });
  expect(exitCode).toBe(2);
  expect(stderr).toBe(
    'llm-serve: server.port is 0, so the running server cannot be found. Name its address: --server http://127.0.0.1:8000.\n',
  );
});
