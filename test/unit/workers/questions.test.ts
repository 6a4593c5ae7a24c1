import { expect, test } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import { AskedWorkers } from '../../../src/workers/asked-workers.ts';
import { Link } from '../../../src/workers/link.ts';
import { type Answers, Asker, answer } from '../../../src/workers/questions.ts';
import type {
  AskedOfControl,
  AskedOfWorkers,
  ViewsToControl,
  ViewsToWorker,
} from '../../../src/workers/view-messages.ts';
import { duplexPair } from '../../support/duplex-pair.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const NOBODY = new Promise<never>(() => {});

/** A worker that asks, and a control process that answers, with a link between them. */
function linked(answers: Partial<Answers<AskedOfControl>>) {
  const clock = new FakeClock();
  const [near, far] = duplexPair();
  const control = new Link<ViewsToWorker, ViewsToControl>({
    input: far,
    output: far,
    clock,
    onMessage: (message) => {
      if (message.type === 'ask')
        void answer(message, answers as Answers<AskedOfControl>, (sent) => control.send(sent));
    },
    onEnd: () => {},
  });
  const worker = new Link<ViewsToControl, ViewsToWorker>({
    input: near,
    output: near,
    clock,
    onMessage: (message) => {
      if (message.type === 'answer') asker.receive(message);
    },
    onEnd: () => asker.end(),
  });
  const asker = new Asker<AskedOfControl>({ clock, send: (message) => worker.send(message) });
  return { clock, asker, breakLink: () => far.destroy() };
}

test('each question gets its own answer, in whatever order they come', async () => {
  const held: ((text: string) => void)[] = [];
  const { clock, asker } = linked({
    metrics: () => new Promise((resolve) => held.push(resolve)),
    live: ({ owner }) => `of ${owner}`,
  });
  const first = asker.ask('metrics', null);
  const second = asker.ask('live', { owner: 'a' });
  await clock.advance(0);
  await expect(second).resolves.toBe('of a');
  held[0]?.('page');
  await clock.advance(0);
  await expect(first).resolves.toBe('page');
});

test('an error comes as it was thrown, with its code, its message and when to come back', async () => {
  const { clock, asker } = linked({
    reload: () => {
      throw new ServingError('reload_in_progress', { message: 'Wait.', retryAfterSeconds: 3 });
    },
  });
  const asked = asker.ask('reload', { trigger: 'x' });
  asked.catch(() => {});
  await clock.advance(0);
  await expect(asked).rejects.toMatchObject({
    code: 'reload_in_progress',
    message: 'Wait.',
    retryAfterSeconds: 3,
  });
});

test('a question that nobody answers ends after its time, and its late answer says nothing', async () => {
  const held: ((text: string) => void)[] = [];
  const { clock, asker } = linked({ metrics: () => new Promise((resolve) => held.push(resolve)) });
  const asked = asker.ask('metrics', null, { withinMs: 100 });
  const outcome = expect(asked).rejects.toMatchObject({ code: 'server_busy' });
  await clock.advance(100);
  await outcome;
  expect(asker.isSilent).toBe(true);
  held[0]?.('late');
  await clock.advance(0);
  await expect.poll(() => asker.isSilent).toBe(false);
});

test('what is asked ends with the other process, as does what is asked later', async () => {
  const { clock, asker, breakLink } = linked({ metrics: () => NOBODY });
  const asked = asker.ask('metrics', null);
  const outcome = expect(asked).rejects.toMatchObject({ code: 'server_busy' });
  await clock.advance(0);
  breakLink();
  await outcome;
  await expect(asker.ask('metrics', null)).rejects.toMatchObject({ code: 'server_busy' });
});

test('of all workers those that answer are heard; one that let its time go by is left out until it speaks', async () => {
  const clock = new FakeClock();
  const workers = new AskedWorkers({ clock });
  const asked: string[] = [];
  const held: ((answer: null) => void)[] = [];
  const add = (name: string, answers: Partial<Answers<AskedOfWorkers>>) => {
    const worker = workers.add(name, (message) => {
      if (message.type !== 'ask') return;
      asked.push(name);
      void answer(message, answers as Answers<AskedOfWorkers>, (sent) => worker.asker.receive(sent));
    });
    return worker;
  };
  add('w1.1', { 'catch-up': () => null });
  add('w2.1', { 'catch-up': () => new Promise((resolve) => held.push(resolve)) });
  const dying = add('w3.1', { 'catch-up': () => NOBODY });

  const first = workers.askAll('catch-up', () => null, { withinMs: 50 });
  workers.remove(dying);
  await clock.advance(50);
  expect(await first).toEqual([null]);
  expect(asked).toEqual(['w1.1', 'w2.1', 'w3.1']);

  asked.length = 0;
  expect(await workers.askAll('catch-up', () => null)).toEqual([null]);
  expect(asked).toEqual(['w1.1']);

  held[0]?.(null);
  await clock.advance(0);
  asked.length = 0;
  void workers.askAll('catch-up', () => null);
  expect(asked).toEqual(['w1.1', 'w2.1']);
});

test('a question that nobody would answer is not sent', async () => {
  const sent: unknown[] = [];
  let mayAsk = false;
  const asker = new Asker<{ q: { details: null; answer: number } }>({
    clock: new FakeClock(),
    send: (message) => sent.push(message),
    mayAsk: () => mayAsk,
  });
  await expect(asker.ask('q', null)).rejects.toMatchObject({ code: 'server_busy', retryAfterSeconds: 1 });
  expect(sent).toEqual([]);
  mayAsk = true;
  const asked = asker.ask('q', null);
  asker.receive({ type: 'answer', call: 1, answer: 3 });
  expect(await asked).toBe(3);
});
