import { expect, it } from 'vitest';
import { jsonLine, type LogEntry, readableLine } from '../../../src/telemetry/log-line.ts';

const at = new Date(2026, 10, 26, 9, 5, 3, 7).getTime();
const entry: LogEntry = { severity: 'info', at, message: 'request', fields: {} };
const readable = readableLine({ colours: false });

it('a line is one JSON object: level, time, fields, message; what is undefined is left out', () => {
  const fields = { path: '/a"b', status: 200, model: undefined, latencyMs: Number.NaN, droppedFields: ['x'] };
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
