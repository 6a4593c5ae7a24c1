import { expect, it } from 'vitest';
import { BlockWriter, type Output } from '../../../src/telemetry/block-writer.ts';
import { FakeClock } from '../../support/fake-clock.ts';

type Answer = number | 'all' | string;

/** A reader that takes what `answers` says: bytes, all, or an error's code; `hold`: nothing until it is released. */
class FakeReader implements Output {
  readonly writes: string[] = [];
  text = '';
  answers: Answer[] = [];
  hold = false;
  waitedMs = 0;
  #held: (() => void)[] = [];

  write(bytes: Buffer, done: Parameters<Output['write']>[1]): void {
    this.writes.push(bytes.toString());
    const settle = () => {
      const answer = this.answers.shift() ?? 'all';
      if (typeof answer === 'string' && answer !== 'all') return done(errorWith(answer), 0);
      const written = answer === 'all' ? bytes.length : Number(answer);
      this.text += bytes.subarray(0, written).toString();
      done(null, written);
    };
    if (this.hold) this.#held.push(settle);
    else settle();
  }

  writeSync(bytes: Buffer): number {
    const answer = this.answers.shift() ?? 'all';
    if (typeof answer === 'string' && answer !== 'all') throw errorWith(answer);
    const written = answer === 'all' ? bytes.length : Number(answer);
    this.text += bytes.subarray(0, written).toString();
    return written;
  }

  waitSync(forMs: number): void {
    this.waitedMs += forMs;
  }

  release(): void {
    this.hold = false;
    for (const settle of this.#held.splice(0)) settle();
  }
}

const errorWith = (code: string) => Object.assign(new Error(code), { code });

function writerTo({ immediate = false } = {}) {
  const clock = new FakeClock();
  const reader = new FakeReader();
  const dropNotice = (lines: number) => `${lines} dropped\n`;
  return { clock, reader, writer: new BlockWriter({ clock, output: reader, immediate, dropNotice }) };
}

it('the first line after a quiet while is written at the end of its turn, those after it in one block', async () => {
  const { clock, reader, writer } = writerTo();
  writer.write('1\n', false);
  expect(reader.writes).toEqual([]);
  await clock.settle();
  expect(reader.writes).toEqual(['1\n']);
  writer.write('2\n', false);
  writer.write('3\n', false);
  await clock.advance(249);
  expect(reader.writes).toHaveLength(1);
  await clock.advance(1);
  expect(reader.writes).toEqual(['1\n', '2\n3\n']);
  writer.write('4\n', false);
  await clock.advance(250);
  expect(reader.writes.at(-1)).toBe('4\n');
  await clock.advance(250);
  expect(clock.pendingTimers, 'a quiet log wakes nobody').toBe(0);
});

it('an urgent line is written at the end of its turn, with what was held back before it', async () => {
  const { clock, reader, writer } = writerTo();
  writer.write('1\n', false);
  await clock.settle();
  writer.write('2\n', false);
  writer.write('urgent\n', true);
  await clock.settle();
  expect(reader.writes).toEqual(['1\n', '2\nurgent\n']);
});

it('an urgent line that comes while a block is written follows that block', async () => {
  const { clock, reader, writer } = writerTo();
  reader.hold = true;
  writer.write('1\n', false);
  await clock.settle();
  writer.write('urgent\n', true);
  await clock.settle();
  reader.release();
  expect(reader.text).toBe('1\nurgent\n');
});

it('on a terminal no line is held back', async () => {
  const { clock, reader, writer } = writerTo({ immediate: true });
  for (const line of ['1\n', '2\n']) {
    writer.write(line, false);
    await clock.settle();
  }
  expect(reader.writes).toEqual(['1\n', '2\n']);
});

it('a block is written as soon as it is full', () => {
  const { reader, writer } = writerTo();
  const line = `${'x'.repeat(1023)}\n`;
  for (let count = 0; count < 32; count += 1) writer.write(line, false);
  expect(reader.writes).toEqual([line.repeat(32)]);
});

it('a block that is taken in parts, and by a reader that is busy, arrives whole', async () => {
  const { clock, reader, writer } = writerTo();
  reader.answers = [3, 'EAGAIN', 1];
  writer.write('0äöü9\n', false);
  await clock.settle();
  await clock.advance(20);
  expect(reader.text).toHaveLength(7);
  expect(reader.writes).toHaveLength(4);
});

it('a reader that takes nothing costs a bounded amount of memory, and is told how many lines it missed', async () => {
  const { clock, reader, writer } = writerTo();
  reader.hold = true;
  const line = `${'x'.repeat(1023)}\n`;
  for (let count = 0; count < 5000; count += 1) writer.write(line, false);
  reader.release();
  await clock.settle();
  const lines = reader.text.split('\n');
  expect(lines.filter((text) => text.startsWith('x'))).toHaveLength(4096);
  expect(lines.at(-2)).toBe('904 dropped');
});

it('lines that are given together and dropped are each counted', async () => {
  const { clock, reader, writer } = writerTo();
  reader.hold = true;
  const lines = `${'x'.repeat(1023)}\n`.repeat(64);
  for (let count = 0; count < 80; count += 1) writer.write(lines, true, 64);
  reader.release();
  await clock.settle();
  expect(reader.text.split('\n').at(-2)).toBe(`${16 * 64} dropped`);
});

it('a full disk costs the lines of that time, which is said when there is room again', async () => {
  const { clock, reader, writer } = writerTo();
  reader.answers = ['ENOSPC', 'ENOSPC'];
  for (const line of ['1\n', '2\n', '3\n']) {
    writer.write(line, true);
    await clock.settle();
  }
  expect(reader.text).toBe('3\n2 dropped\n');
});

it('after its reader has gone nothing is written, and the end is at once', async () => {
  const { clock, reader, writer } = writerTo();
  reader.answers = ['EPIPE'];
  writer.write('1\n', true);
  await clock.settle();
  writer.write('2\n', true);
  await clock.settle();
  await writer.close();
  expect(reader.writes).toHaveLength(1);
});

it('closing writes what is held and takes no more', async () => {
  const { clock, reader, writer } = writerTo();
  reader.hold = true;
  writer.write('1\n', false);
  await clock.settle();
  writer.write('2\n', false);
  const closed = writer.close();
  writer.write('too late\n', false);
  reader.release();
  await closed;
  expect(reader.text).toBe('1\n2\n');
  expect(clock.pendingTimers).toBe(0);
});

it('closing gives up after 500 ms on a reader that takes nothing', async () => {
  const { clock, reader, writer } = writerTo();
  reader.hold = true;
  writer.write('1\n', false);
  const closed = writer.close();
  await clock.advance(500);
  await closed;
});

it('the end of the process writes what is held, and the block that waits for its reader, waiting at most 500 ms', async () => {
  const { clock, reader, writer } = writerTo();
  reader.answers = ['EAGAIN', 'EAGAIN', 2];
  writer.write('1\n', false);
  await clock.settle();
  writer.write('2\n', false);
  writer.closeSync();
  expect(reader.text).toBe('1\n2\n');
  expect(reader.waitedMs).toBe(20);

  const stuck = writerTo();
  stuck.reader.answers = new Array(100).fill('EAGAIN');
  stuck.writer.write('1\n', false);
  stuck.writer.closeSync();
  expect(stuck.reader.waitedMs).toBe(500);
});
