/** Real sockets to an engine that the test plays: a guest that sends nonsense, one that leaves, one that does not read. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { listenForGuests } from '../../../../../src/backends/llama-cpp/engine/guest-server.ts';
import { Guests } from '../../../../../src/backends/llama-cpp/engine/guests.ts';
import { MAX_UNREAD_BYTES } from '../../../../../src/backends/llama-cpp/guest-connection.ts';
import type { EngineEvents, WorkForEngine } from '../../../../../src/backends/llama-cpp/messages.ts';
import { MessageReader } from '../../../../../src/core/message-lines.ts';
import { FAKE_GENERATION } from '../../../../support/fake-engine.ts';

let folder: string;
let address: string;
let given: WorkForEngine[];
let warnings: string[];
let guests: Guests;
let close: () => void;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'guests-'));
  address = join(folder, 'engine');
  const messages: WorkForEngine[] = [];
  given = messages;
  warnings = [];
  guests = new Guests((message) => void messages.push(message));
  const server = await listenForGuests(address, { guests, warn: (message) => void warnings.push(message) });
  close = () => server.close();
});

afterEach(() => {
  close();
  rmSync(folder, { recursive: true, force: true });
});

async function enter(): Promise<Socket> {
  const socket = connect(address);
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

const line = (...messages: readonly unknown[]) => `${JSON.stringify(messages)}\n`;
const generate = (id: number): WorkForEngine => ({
  type: 'generate',
  generation: { ...FAKE_GENERATION, id },
});
const ended = (socket: Socket) => expect.poll(() => socket.closed).toBe(true);

function engineIds(): number[] {
  return given.flatMap((message) => (message.type === 'generate' ? [message.generation.id] : []));
}

/** What it has read; it reads from now on. */
function reads(socket: Socket): string[] {
  const texts: string[] = [];
  const reader = new MessageReader<EngineEvents>(({ events }) => {
    for (const { event } of events) if (event.type === 'text') texts.push(event.text);
  });
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => reader.read(text));
  return texts;
}

describe('the socket of an engine', () => {
  it.each([
    ['what is no JSON', 'load the other model\n', /sent what is no message/],
    ['a message for its parent alone', line({ type: 'shutdown' }), /sent messages of the type "shutdown"/],
    ['two requests under one number', line(generate(1), generate(1)), /two requests under one number/],
  ])('is closed to a guest that sends %s; the others stay', async (_, sent, warning) => {
    const [wrong, other] = [await enter(), await enter()];
    other.resume();
    wrong.resume();
    wrong.write(sent);
    await ended(wrong);
    expect(warnings).toEqual([expect.stringMatching(warning)]);
    const before = engineIds().length;
    other.write(line(generate(1)));
    await expect.poll(() => engineIds()).toHaveLength(before + 1);
    expect(other.closed).toBe(false);
    expect(given.some(({ type }) => (type as string) === 'shutdown')).toBe(false);
  });

  it('has the requests of a guest aborted that is gone', async () => {
    const [gone, other] = [await enter(), await enter()];
    other.write(line(generate(1)));
    await expect.poll(() => engineIds()).toHaveLength(1);
    gone.write(line(generate(1), generate(2)));
    await expect.poll(() => engineIds()).toHaveLength(3);
    gone.destroy();
    const [, ...ofGone] = engineIds();
    await expect
      .poll(() => given.filter(({ type }) => type === 'abort'))
      .toEqual(ofGone.map((id) => ({ type: 'abort', id })));
    expect(warnings).toEqual([]);
  });

  it('keeps about a mebibyte for a guest that does not read: then its requests pause; others go on', async () => {
    const [slow, other] = [await enter(), await enter()];
    slow.pause();
    slow.write(line(generate(1)));
    await expect.poll(() => engineIds()).toHaveLength(1);
    other.write(line(generate(1)));
    await expect.poll(() => engineIds()).toHaveLength(2);
    const [ofSlow, ofOther] = engineIds() as [number, number];
    const othersTexts = reads(other);
    const isPaused = () => given.findLast(({ type }) => type !== 'generate')?.type === 'pause';
    /** A step a turn, as long as the guest may have one. */
    let steps = 0;
    const step = async () => {
      const text = `${steps} ${'x'.repeat(1000)}`;
      guests.deliver([
        { id: ofSlow, event: { type: 'text', text } },
        { id: ofOther, event: { type: 'text', text: `${steps}` } },
      ]);
      steps += 1;
      await new Promise((resolve) => setImmediate(resolve));
    };
    while (!isPaused()) await step();
    expect(given.at(-1)).toEqual({ type: 'pause', id: ofSlow });
    // What the kernel takes of it comes on top: some hundred kilobytes.
    expect(steps * 1000).toBeGreaterThan(MAX_UNREAD_BYTES * 0.9);
    expect(steps * 1000).toBeLessThan(MAX_UNREAD_BYTES * 8);
    await expect.poll(() => othersTexts).toHaveLength(steps);
    const texts = reads(slow);
    slow.resume();
    await expect.poll(() => given.at(-1)).toEqual({ type: 'resume', id: ofSlow });
    await step();
    await expect.poll(() => texts).toHaveLength(steps);
    expect(texts.map((text) => Number.parseInt(text, 10))).toEqual(
      Array.from({ length: steps }, (_, at) => at),
    );
  });
});
