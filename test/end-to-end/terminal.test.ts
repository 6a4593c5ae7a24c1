/** A server that was started on a terminal ends with it, politely. `script` gives it one. */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { ask, openAnswer, tokensOf } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { TEST_WORKERS } from '../support/server.ts';

const EXECUTABLE = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const hasTerminals =
  process.platform === 'linux' && spawnSync('script', ['--version'], { stdio: 'ignore' }).status === 0;

test('when its terminal is closed, a server finishes what is under way and stops', async (context) => {
  if (!hasTerminals) context.skip('there is no executable script (util-linux)');
  const { url, closeTerminal } = await startOnTerminal();
  const stream = await openAnswer(`${url}/stream`, {
    body: { prompt: scripted({ text: 'a b c d e f g h', token_delay_ms: 200 }) },
  });
  await stream.until((text) => text.includes('token'));
  closeTerminal();
  const text = await stream.whole;
  expect(tokensOf(text)).toBe('a b c d e f g h');
  expect(text).toContain('data: [DONE]');
  await expect
    .poll(() => ask(`${url}/health`).then(String, ({ code }) => code), { timeout: 120_000 })
    .toBe('ECONNREFUSED');
});

/** The delay would show in the time that the test takes. */
async function startOnTerminal(): Promise<{ readonly url: string; closeTerminal(): void }> {
  const flags = [
    ...[...scriptedFlags(), '--port', '0', '--logging.format', 'json'],
    ...['--server.workers', String(TEST_WORKERS)],
  ];
  const words = [process.execPath, EXECUTABLE, ...flags, '--server.shutdown-delay-seconds', '600'];
  const command = `echo "pid $$"; exec ${words.map((word) => `'${word}'`).join(' ')}`;
  const terminal = spawn('script', ['-qefc', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
  let shown = '';
  const pid = () => Number(/pid (\d+)/.exec(shown)?.[1] ?? 0);
  onTestFinished(() => {
    terminal.kill('SIGKILL');
    try {
      if (pid() > 0) process.kill(pid(), 'SIGKILL');
    } catch {
      // It has ended, as it should.
    }
  });
  const url = await new Promise<string>((resolve, reject) => {
    terminal.once('exit', () => reject(new Error(`the server did not start: ${shown}`)));
    terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
      const found = /listens on (http:[^"\s]+)"/.exec(shown)?.[1];
      if (found !== undefined) resolve(found);
    });
  });
  return { url, closeTerminal: () => terminal.kill('SIGKILL') };
}
