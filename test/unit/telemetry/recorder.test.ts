import { describe, expect, it } from 'vitest';
import {
  RECORD_VERSION,
  type RecordedRequest,
  type RecordedSettings,
} from '../../../src/core/record-file.ts';
import type { RequestRecord } from '../../../src/core/request-trace.ts';
import { readRecord } from '../../../src/simulation/read-record.ts';
import type { Output } from '../../../src/telemetry/block-writer.ts';
import { Recorder } from '../../../src/telemetry/recorder.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A file that takes what it is given, nothing until it is released, or fails. */
class FakeFile implements Output {
  text = '';
  isHeld = false;
  error: NodeJS.ErrnoException | null = null;
  readonly #held: (() => void)[] = [];

  write(bytes: Buffer, done: Parameters<Output['write']>[1]): void {
    const take = () => {
      if (this.error === null) this.text += bytes.toString();
      done(this.error, this.error === null ? bytes.length : 0);
    };
    if (this.isHeld) this.#held.push(take);
    else take();
  }

  writeSync(bytes: Buffer): number {
    if (this.error !== null) throw this.error;
    this.text += bytes.toString();
    return bytes.length;
  }

  waitSync(): void {}

  release(): void {
    this.isHeld = false;
    for (const take of this.#held.splice(0)) take();
  }

  get lines(): Record<string, unknown>[] {
    return this.text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

const NO_SPACE = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
const SETTINGS = { targets: [] as readonly unknown[] } as unknown as RecordedSettings;

function start({ maxBytes, bytesBefore }: { maxBytes?: number; bytesBefore?: number } = {}) {
  const clock = new FakeClock();
  const file = new FakeFile();
  const warnings: { message: string; fields: unknown }[] = [];
  const log = {
    debug: () => {},
    info: () => {},
    warn: (message: string, fields?: unknown) => void warnings.push({ message, fields }),
    error: () => {},
  };
  const recorder = new Recorder({
    clock,
    log,
    version: '1.2.3',
    runId: 'run1',
    output: file,
    ...(maxBytes !== undefined && { maxBytes }),
    ...(bytesBefore !== undefined && { bytesBefore }),
  });
  let settings = SETTINGS;
  recorder.readSettings(() => settings);
  return {
    clock,
    file,
    recorder,
    warnings,
    reloadTo: (changed: Partial<RecordedSettings>) => {
      settings = { ...settings, ...changed };
    },
  };
}

function ended(id: number, at = 0): RequestRecord {
  const trace = { requestId: `r${id}`, receivedAt: at, client: '10.1.1.1', model: 'm' };
  return {
    method: 'POST',
    path: '/generate',
    route: '/generate',
    status: 200,
    clientAddress: '10.1.1.1',
    trace,
    endedAt: at + 5,
  };
}

it('a run begins with its version and its settings, which are written again when they are others', async () => {
  const { clock, file, recorder, reloadTo } = start();
  recorder.requestEnded(ended(1));
  recorder.requestEnded(ended(2));
  reloadTo({ max_queue: 7 });
  // It is looked once a second.
  recorder.requestEnded(ended(3, 500));
  recorder.requestEnded(ended(4, 1500));
  await clock.advance(1000);
  expect(file.lines.map((line) => Object.keys(line)[0] === 'run' && line.run)).toEqual([
    false,
    ...new Array(6).fill('run1'),
  ]);
  expect(
    file.lines.map(({ route, settings, llm_serve_record }) => [llm_serve_record, settings, route]),
  ).toEqual([
    [RECORD_VERSION, undefined, undefined],
    [undefined, SETTINGS, undefined],
    [undefined, undefined, '/generate'],
    [undefined, undefined, '/generate'],
    [undefined, undefined, '/generate'],
    [undefined, { ...SETTINGS, max_queue: 7 }, undefined],
    [undefined, undefined, '/generate'],
  ]);
  expect(readRecord(file.text.split('\n'))).toMatchObject({ runs: 1, unreadable: 0, underOtherSettings: 1 });
  for (const hidden of ['10.1.1.1', 'r1']) expect(file.text).not.toContain(`"${hidden}"`);
});

it('in a file that goes on, the run has a line of its own also where the last one was torn', async () => {
  const { clock, file, recorder } = start({ bytesBefore: 100 });
  recorder.requestEnded(ended(1));
  await clock.settle();
  expect(file.text).toMatch(/^\n\{"llm_serve_record"/);
});

it('what does not concern a model is not recorded; what the limiter rejected is', async () => {
  const { clock, file, recorder } = start();
  const without = (errorCode: 'not_found' | 'rate_limited') => ({
    ...ended(1),
    trace: { requestId: 'r', receivedAt: 0, errorCode },
  });
  recorder.requestEnded(without('not_found'));
  await clock.settle();
  expect(file.text).toBe('');
  recorder.requestEnded(without('rate_limited'));
  await clock.settle();
  expect(file.lines.at(-1)).toMatchObject({ error_code: 'rate_limited', model: null });
});

describe('the bound', () => {
  it('stops the record with one warning; lines that are in it are whole', async () => {
    const { clock, file, recorder, warnings } = start({ maxBytes: 5000 });
    for (let id = 0; id < 1000; id += 1) recorder.requestEnded(ended(id));
    await clock.advance(1000);
    const requests = file.lines.filter(({ route }) => route !== undefined) as unknown as RecordedRequest[];
    expect(requests.length).toBeGreaterThan(5);
    expect(Buffer.byteLength(file.text)).toBeGreaterThanOrEqual(5000);
    expect(Buffer.byteLength(file.text)).toBeLessThan(5000 + 1000);
    expect(warnings).toEqual([
      {
        message: 'the record is full: no further requests are written',
        fields: { bytes: Buffer.byteLength(file.text) },
      },
    ]);
  });

  it('counts what an earlier run has written', async () => {
    const { clock, file, recorder, warnings } = start({ maxBytes: 5000, bytesBefore: 4900 });
    for (let id = 0; id < 10; id += 1) recorder.requestEnded(ended(id));
    await clock.advance(1000);
    expect(file.lines.filter(({ route }) => route !== undefined)).toHaveLength(1);
    expect(warnings).toHaveLength(1);
  });
});

describe('what cannot be written', () => {
  const MISSING = 'requests are missing in the record: its file could not be written, or not fast enough';
  const AT_THE_END = 'requests are missing in the record: its file took them no more at the end';

  it('is dropped beyond 4 MB and counted in the log; nothing waits for the disk', async () => {
    const { clock, file, recorder, warnings } = start();
    file.isHeld = true;
    for (let id = 0; id < 20_000; id += 1) recorder.requestEnded(ended(id));
    file.release();
    await clock.advance(1000);
    const written = file.lines.filter(({ route }) => route !== undefined).length;
    expect(warnings).toEqual([{ message: MISSING, fields: { lines: 20_000 - written } }]);
    expect(Buffer.byteLength(file.text)).toBeLessThan(4.1 * 1024 * 1024);
    expect(written).toBeGreaterThan(5000);
  });

  it('is counted also where the server ends before the disk takes it', async () => {
    const { clock, file, recorder, warnings } = start();
    file.isHeld = true;
    for (let id = 0; id < 3; id += 1) recorder.requestEnded(ended(id));
    const closed = recorder.close();
    await clock.advance(500);
    await closed;
    // With the two lines that begin the run.
    expect(warnings).toEqual([{ message: AT_THE_END, fields: { lines: 5 } }]);
  });

  it('and where the process ends on a full disk', () => {
    const { file, recorder, warnings } = start();
    recorder.requestEnded(ended(1));
    file.error = NO_SPACE;
    recorder.closeSync();
    expect(warnings).toEqual([{ message: AT_THE_END, fields: { lines: 3 } }]);
  });

  it('costs the lines of that time, and no others: the record says again what its run and its settings are', async () => {
    const { clock, file, recorder } = start();
    file.error = NO_SPACE;
    recorder.requestEnded(ended(1));
    await clock.advance(1000);
    file.error = null;
    for (let id = 2; id <= 40; id += 1) recorder.requestEnded(ended(id, 1000 + id));
    await clock.advance(1000);
    const read = readRecord(file.text.split('\n'));
    expect(read).toMatchObject({ runs: 1, unreadable: 0, underOtherSettings: 0, settings: SETTINGS });
    expect(read.requests).toHaveLength(39);
  });

  it('also for those that came while a block was written that then was lost, in part', async () => {
    const { clock, file, recorder } = start();
    recorder.requestEnded(ended(1));
    await clock.settle();
    file.isHeld = true;
    for (let id = 2; id <= 4; id += 1) recorder.requestEnded(ended(id));
    await clock.advance(250);
    for (let id = 5; id <= 9; id += 1) recorder.requestEnded(ended(id));
    file.error = NO_SPACE;
    file.text += '{"run":"run1","at_ms":12';
    file.release();
    file.error = null;
    await clock.advance(1000);
    const read = readRecord(file.text.split('\n'));
    expect(read).toMatchObject({ runs: 1, unreadable: 1, underOtherSettings: 0 });
    expect(read.requests).toHaveLength(1 + 5);
  });

  it('settings that changed among the lines beyond 4 MB are those of the lines that follow', async () => {
    const { clock, file, recorder, reloadTo } = start();
    recorder.requestEnded(ended(0));
    await clock.settle();
    file.isHeld = true;
    for (let id = 1; id < 20_000; id += 1) recorder.requestEnded(ended(id));
    // Too long for the place that is left.
    reloadTo({ mode: 'x'.repeat(2000) });
    recorder.requestEnded(ended(20_000, 2000));
    file.release();
    await clock.advance(1000);
    const before = readRecord(file.text.split('\n')).requests.length;
    for (let id = 0; id < 30; id += 1) recorder.requestEnded(ended(id, 2100));
    await clock.advance(1000);
    const read = readRecord(file.text.split('\n'));
    expect(read.requests).toHaveLength(before + 30);
    expect(read.underOtherSettings).toBe(30);
  });

  it('is counted once, and warned of at most every ten seconds', async () => {
    const { clock, file, recorder, warnings } = start();
    file.error = NO_SPACE;
    for (let id = 0; id < 50; id += 1) {
      recorder.requestEnded(ended(id, id * 1000));
      await clock.advance(1000);
    }
    expect(warnings.length).toBeLessThanOrEqual(6);
    await recorder.close();
    const lines = warnings.reduce((sum, { fields }) => sum + (fields as { lines: number }).lines, 0);
    // With the two lines that begin the run.
    expect(lines).toBe(52);
    expect(clock.pendingTimers).toBe(0);
  });
});
