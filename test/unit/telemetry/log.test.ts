import { describe, expect, it, onTestFinished } from 'vitest';
import type { Caller } from '../../../src/core/caller.ts';
import type { RequestRecord, RequestTrace } from '../../../src/core/request-trace.ts';
import {
  isProbe,
  jsonLine,
  type LogEntry,
  type LogOptions,
  openLog,
  REQUEST,
  readableLine,
  requestFields,
} from '../../../src/telemetry/log.ts';
import { attemptOf } from '../../support/attempt.ts';
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

  it('text for a person stands between readable lines, and never between JSON', async () => {
    const terminal = openTestLog({ format: 'pretty' });
    terminal.log.info('listens');
    terminal.log.print('\n  ready\n\n');
    await terminal.log.close();
    expect(terminal.text()).toMatch(/listens\n\n {2}ready\n\n$/);
    const piped = openTestLog();
    piped.log.print('ready\n');
    await piped.log.close();
    expect(piped.text()).toBe('');
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

  it('on a terminal a line shows the local time, the message and its fields', () => {
    const fields = { path: '/generate', status: 200, model: undefined, models: ['a', 'b'], why: 'two words' };
    expect(readable({ ...entry, message: 'listens', fields })).toBe(
      '09:05:03 INFO  listens path=/generate status=200 models=["a","b"] why="two words"\n',
    );
  });

  it('on a terminal a stack follows its line', () => {
    const fields = { requestId: 'a', stack: 'Error: broken\n    at serve' };
    expect(readable({ ...entry, severity: 'error', message: 'unexpected error', fields })).toBe(
      '09:05:03 ERROR unexpected error requestId=a\n    Error: broken\n        at serve\n',
    );
  });

  it('on a terminal no text steers it', () => {
    const text = readable({ ...entry, message: 'a\x1b[2Jb\nc', fields: { path: '\x1b[2J\u202e' } });
    expect(text).toBe('09:05:03 INFO  a\\u001b[2Jb\\u000ac path=\\u001b[2J\\u202e\n');
  });

  it('colours are for terminals alone', () => {
    const warning = { ...entry, severity: 'warn', message: 'slow', fields: { a: 1 } } as const;
    expect(readableLine({ colours: true })(warning)).toBe(
      '\x1b[90m09:05:03\x1b[39m \x1b[33mWARN \x1b[39m slow \x1b[90ma=\x1b[39m1\n',
    );
  });
});

describe('the line of a request', () => {
  const trace: RequestTrace = {
    requestId: 'req-1',
    receivedAt: 100,
    enqueuedAt: 100,
    dispatchedAt: 112,
    firstTokenAt: 185,
    endedAt: 1340,
    attempts: [attemptOf({ enqueuedAt: 100, startedAt: 112, firstTokenAt: 185, endedAt: 1340 })],
    model: 'smollm2',
    usage: { promptTokens: 12, completionTokens: 34, cachedTokens: 0 },
    finishReason: 'stop',
  };
  const record: RequestRecord = {
    method: 'POST',
    path: '/generate',
    route: '/generate',
    status: 200,
    clientAddress: '::1',
    trace,
    endedAt: 1340,
  };
  const shown = (changed: Partial<RequestRecord>) =>
    readableLine({ colours: false })({
      severity: 'info',
      at: 0,
      message: REQUEST,
      fields: requestFields({ ...record, ...changed }),
    }).slice('00:00:00 INFO  '.length, -1);

  it('is a sentence on a terminal', () => {
    expect(shown({})).toBe(
      'POST /generate 200 in 1.24 s: smollm2, 12 + 34 tokens, queued 12 ms, first token after 73 ms, id req-1',
    );
  });

  it('names the error, what was dropped, and when the client left', () => {
    expect(
      shown({
        status: 499,
        endedAt: 103.4,
        trace: {
          requestId: 'req-2',
          receivedAt: 100,
          errorCode: 'client_gone',
          droppedFields: ['seed', 'top_k'],
          cancelPhase: 'queued',
        },
      }),
    ).toBe('POST /generate 499 in 3.4 ms: client_gone, cancelled while queued, dropped seed top_k, id req-2');
  });

  it('has the name of the key and its team', () => {
    const caller = { id: 'key_1', name: 'alice', team: 'red' } as Caller;
    const named = { ...record, trace: { ...trace, caller } };
    expect(requestFields(named)).toMatchObject({ keyName: 'alice', team: 'red' });
    expect(shown(named)).toMatch(/, key alice, id req-1$/);
    expect(JSON.parse(JSON.stringify(requestFields(record)))).not.toHaveProperty('keyName');
  });

  it('a probe is told by its route', () => {
    expect(isProbe({ ...record, route: '/health' })).toBe(true);
    expect(isProbe({ ...record, route: '/ready' })).toBe(true);
    expect(isProbe(record)).toBe(false);
  });
});

describe('the attempts in the line of a request', () => {
  const record = (trace: Partial<RequestTrace>): RequestRecord => ({
    method: 'POST',
    path: '/generate',
    route: '/generate',
    status: 200,
    clientAddress: '::1',
    trace: { requestId: 'r', receivedAt: 0, model: 'm', target: 'one', ...trace },
    endedAt: 10,
  });
  const attempt = attemptOf();

  it('tells the attempts only where there was more than one', () => {
    const once = requestFields(record({ attempts: [{ ...attempt, target: 'one' }] }));
    expect(once).toMatchObject({ attempts: undefined, attemptCauses: undefined, targets: undefined });
    const twice = requestFields(
      record({
        target: 'two',
        servedModel: 'spare',
        attempts: [
          { ...attempt, target: 'one', failure: 'reset' },
          { ...attempt, target: 'two', model: 'spare', kind: 'other_model', after: 'reset' },
        ],
      }),
    );
    expect(twice).toMatchObject({
      attempts: 2,
      attemptCauses: ['reset'],
      targets: ['one', 'two'],
      target: 'two',
      servedModel: 'spare',
    });
    const entry: LogEntry = { severity: 'info', at: 0, message: REQUEST, fields: twice };
    expect(readableLine({ colours: false })(entry)).toContain('m, answered by spare, 2 attempts (reset)');
  });
});
