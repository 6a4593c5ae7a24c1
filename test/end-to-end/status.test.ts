/** `llm-serve status --watch` as a process of its own, at a terminal and into a pipe, beside a real server. */
import { expect, onTestFinished, test } from 'vitest';
import { startCommand } from '../support/executable.ts';
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
