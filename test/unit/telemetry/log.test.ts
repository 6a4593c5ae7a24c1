import { expect, it, onTestFinished } from 'vitest';
import { type LogOptions, openLog } from '../../../src/telemetry/log.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function openTestLog(options: Partial<LogOptions> = {}) {
  const clock = new FakeClock();
  let text = '';
  const output: LogOptions['output'] = {
    write: (bytes, done) => {
      text += bytes.toString();
      done(null, bytes.length);
    },
    writeSync: (bytes) => {
      text += bytes.toString();
      return bytes.length;
    },
    waitSync: () => {},
  };
  const log = openLog({ level: 'info', format: 'json', isTerminal: false, clock, output, ...options });
  onTestFinished(() => log.close());
  const messages = () => text.split('\n').flatMap((line) => (line ? [String(JSON.parse(line).msg)] : []));
  return { clock, log, messages, text: () => text };
}

it('request lines wait for a block; every other line is written at the end of its turn', async () => {
  const { clock, log, messages } = openTestLog();
  log.info('listens');
  await clock.settle();
  log.request({ requestId: 'a' });
  log.request({ requestId: 'b' });
  await clock.settle();
  expect(messages()).toEqual(['listens']);
  log.info('SIGTERM');
  await clock.settle();
  expect(messages()).toEqual(['listens', 'request', 'request', 'SIGTERM']);
});

it('a line below the level is not written', async () => {
  const { log, messages } = openTestLog({ level: 'warn' });
  log.debug('debug');
  log.info('info');
  log.request({});
  log.warn('warn');
  log.error('error');
  await log.close();
  expect(messages()).toEqual(['warn', 'error']);
});

it('silent writes nothing', async () => {
  const { log, text } = openTestLog({ level: 'silent' });
  log.error('error');
  await log.close();
  expect(text()).toBe('');
});

it('auto is readable on a terminal alone', async () => {
  const terminal = openTestLog({ format: 'auto', isTerminal: true });
  terminal.log.info('hello');
  await terminal.log.close();
  expect(terminal.text()).toContain('hello');
  expect(terminal.text()).not.toContain('{');
  const piped = openTestLog({ format: 'auto' });
  piped.log.info('hello');
  await piped.log.close();
  expect(piped.messages()).toEqual(['hello']);
});
