import { expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import { type EventSink, EventStream } from '../../../src/upstream/event-stream.ts';

const signal = () => new AbortController().signal;

async function collect(events: AsyncIterable<number>): Promise<number[]> {
  const all: number[] = [];
  for await (const event of events) all.push(event);
  return all;
}

it('gives every event in order, pushed at once or one after another', async () => {
  const stream = new EventStream<number>(signal(), async (sink) => {
    sink.push(1);
    sink.push(2);
    await Promise.resolve();
    sink.push(3);
  });
  expect(await collect(stream)).toEqual([1, 2, 3]);
});

it('does nothing before it is read', () => {
  let started = false;
  new EventStream<number>(signal(), async () => {
    started = true;
  });
  expect(started).toBe(false);
});

it('gives what was pushed before a failure first, and nothing after it', async () => {
  const stream = new EventStream<number>(signal(), async (sink) => {
    sink.push(1);
    throw new ServingError('backend_error');
  });
  expect(await stream.next()).toEqual({ done: false, value: 1 });
  await expect(stream.next()).rejects.toMatchObject({ code: 'backend_error' });
  expect(await stream.next()).toEqual({ done: true, value: undefined });
});

it('makes an error that nobody foresaw internal', async () => {
  const stream = new EventStream<number>(signal(), async () => {
    throw new TypeError('a bug');
  });
  await expect(stream.next()).rejects.toMatchObject({ code: 'internal' });
});

it('rejects a pending read with the reason of the abort, before the producer has settled', async () => {
  const controller = new AbortController();
  const reason = new ServingError('deadline_exceeded');
  let free = () => {};
  const stream = new EventStream<number>(controller.signal, () => new Promise((resolve) => (free = resolve)));
  const pending = stream.next();
  controller.abort(reason);
  await expect(pending).rejects.toBe(reason);
  let returned = false;
  const returning = stream.return().then(() => (returned = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(returned).toBe(false);
  free();
  await returning;
});

it('drops what is queued when it is aborted', async () => {
  const controller = new AbortController();
  const stream = new EventStream<number>(controller.signal, async (sink) => {
    for (const event of [1, 2, 3]) sink.push(event);
    await new Promise(() => {});
  });
  await stream.next();
  controller.abort(new ServingError('client_gone'));
  await expect(stream.next()).rejects.toMatchObject({ code: 'client_gone' });
});

it('tells the producer when its reader walks away, and ignores what comes later', async () => {
  let seen: AbortSignal | undefined;
  const stream = new EventStream<number>(signal(), async (sink, inner) => {
    seen = inner;
    sink.push(1);
    await new Promise<void>((resolve) => inner.addEventListener('abort', () => resolve()));
    sink.push(2);
  });
  for await (const _event of stream) break;
  expect(seen?.aborted).toBe(true);
  expect(await stream.next()).toEqual({ done: true, value: undefined });
});

it('leaves no listener on the signal after its end', async () => {
  const controller = new AbortController();
  let listeners = 0;
  const { signal: watched } = controller;
  const add = watched.addEventListener.bind(watched);
  const remove = watched.removeEventListener.bind(watched);
  watched.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1;
    add(...args);
  };
  watched.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1;
    remove(...args);
  };
  await collect(new EventStream<number>(watched, async (sink) => sink.push(1)));
  expect(listeners).toBe(0);
});

it('says when its reader lags, and when it has caught up', async () => {
  let sink: EventSink<number> | undefined;
  const stream = new EventStream<number>(signal(), async (given) => {
    sink = given;
    for (let event = 0; !given.full; event += 1) given.push(event);
    await given.drained();
  });
  const all = await collect(stream);
  expect(all).toEqual(all.map((_, index) => index));
  expect(sink?.full).toBe(false);
});
