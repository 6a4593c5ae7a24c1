import { describe, expect, it, onTestFinished } from 'vitest';
import {
  jsonLine,
  type LogEntry,
  type LogOptions,
  openLog,
  readableLine,
} from '../../../src/telemetry/log.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('log', () => {
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
});

describe('log line', () => {
  const at = new Date(2026, 10, 26, 9, 5, 3, 7).getTime();
  const entry: LogEntry = { severity: 'info', at, message: 'request', fields: {} };
  const readable = readableLine({ colours: false });

  it('a line is one JSON object: level, time, fields, message; what is undefined is left out', () => {
    const fields = {
      path: '/a"b',
      status: 200,
      model: undefined,
      latencyMs: Number.NaN,
      droppedFields: ['x'],
    };
    const line = jsonLine({ ...entry, fields });
    const time = new Date(at).toISOString();
    expect(line).toBe(
      `{"level":30,"time":"${time}","path":"/a\\"b","status":200,"latencyMs":null,"droppedFields":["x"],"msg":"request"}\n`,
    );
    expect(jsonLine({ ...entry, severity: 'error', fields: { model: undefined } })).toBe(
      `{"level":50,"time":"${time}","msg":"request"}\n`,
    );
  });

  it('fields that cannot be written are named, and their line is written', () => {
    const line = jsonLine({ ...entry, fields: { tokens: 1n } });
    expect(JSON.parse(line)).toMatchObject({ unwritableFields: ['tokens'], msg: 'request' });
  });

  it('on a terminal a line shows the local time and each field on a line of its own', () => {
    const fields = { path: '/generate', status: 200, model: undefined, models: ['a', 'b'] };
    expect(readable({ ...entry, fields })).toBe(
      '[09:05:03.007] INFO: request\n    path: "/generate"\n    status: 200\n    models: ["a","b"]\n',
    );
  });

  it('on a terminal no text steers it', () => {
    const text = readable({ ...entry, message: 'a\x1b[2Jb\nc', fields: { path: '\x1b[2J\u202e' } });
    expect(text).toBe('[09:05:03.007] INFO: a\\u001b[2Jb\\u000ac\n    path: "\\u001b[2J\\u202e"\n');
  });

  it('colours are for terminals alone', () => {
    const text = readableLine({ colours: true })({ ...entry, severity: 'warn', fields: { a: 1 } });
    expect(text).toContain('\x1b[33mWARN\x1b[39m: \x1b[36mrequest\x1b[39m\n    \x1b[35ma\x1b[39m: 1\n');
  });
});
