/** The queue and the live feed of several workers, each beyond a link of its own. */
import { expect, test } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import type { LiveReader } from '../../../src/core/live-feed.ts';
import type { WaitingView } from '../../../src/scheduling/queue-view.ts';
import type { WaitingRequest } from '../../../src/serving/active-requests.ts';
import { AskedWorkers } from '../../../src/workers/asked-workers.ts';
import { GatheredRequests } from '../../../src/workers/gathered-requests.ts';
import { Link } from '../../../src/workers/link.ts';
import { LiveWatches } from '../../../src/workers/live-watches.ts';
import { type Answers, Asker, answer } from '../../../src/workers/questions.ts';
import { RemoteLiveFeed } from '../../../src/workers/remote-live-feed.ts';
import type {
  AskedOfControl,
  AskedOfWorkers,
  ViewsToControl,
  ViewsToWorker,
} from '../../../src/workers/view-messages.ts';
import { duplexPair } from '../../support/duplex-pair.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const NOBODY = new Promise<never>(() => {});

function view(id: string, position: number): WaitingView {
  return { id, model: 'm', position, reason: 'no_free_slot', etaMs: 10 * position, expiresAt: 0 };
}

/** As a worker describes it, which does not know its place. */
function waiting(entry: string | undefined, more: Partial<WaitingRequest> = {}): WaitingRequest {
  const request = { requestId: entry ?? 'pauses', client: 'c', model: 'm', caller: undefined };
  const facts = { model: 'm', priority: 'normal', promptTokens: 1, attempt: 1, waitedMs: 1 } as const;
  const place = { position: 1, reason: 'turn_of_others', expiresInMs: 5, etaMs: undefined } as const;
  return { id: `act_${entry}`, request, entry, ...facts, ...place, ...more };
}

function gathering(views: readonly WaitingView[]) {
  const clock = new FakeClock();
  const workers = new AskedWorkers({ clock });
  const gathered = new GatheredRequests({
    workers,
    queue: { views: () => views, viewOf: (id) => views.find((each) => each.id === id) },
    totals: () => ({ waiting: views.length, running: 0 }),
    salt: 'salt',
    onEnded: () => {},
  });
  const add = (name: string, answers: Partial<Answers<AskedOfWorkers>>) => {
    const worker = workers.add(name, (message) => {
      if (message.type === 'ask')
        void answer(message, answers as Answers<AskedOfWorkers>, (sent) => worker.asker.receive(sent));
    });
    return { die: () => workers.remove(worker) };
  };
  return { clock, gathered, add };
}

test('each worker describes its own of the first that wait, which stand where the queue has them', async () => {
  const { gathered, add } = gathering([
    view('w2.1_entry_1', 1),
    view('w1.1_entry_1', 2),
    view('w1.1_entry_2', 3),
  ]);
  const asked: unknown[] = [];
  const describe = ({ entries }: AskedOfWorkers['active-part']['details']) => {
    asked.push(entries);
    return { waiting: entries.map((entry) => waiting(entry)), running: [] };
  };
  add('w1.1', { 'active-part': describe });
  add('w2.1', {
    'active-part': (details) => ({
      ...describe(details),
      waiting: [
        ...describe(details).waiting,
        waiting(undefined, { reason: 'retry_pause' }),
        // It has got its slot while it was asked for.
        waiting('w2.1_entry_9'),
      ],
    }),
  });
  const active = await gathered.active(10);
  expect(asked.slice(0, 2)).toEqual([['w1.1_entry_1', 'w1.1_entry_2'], ['w2.1_entry_1']]);
  expect(
    active.waiting.map(({ request, position, reason }) => [request.requestId, position, reason]),
  ).toEqual([
    ['pauses', 1, 'retry_pause'],
    ['w2.1_entry_1', 1, 'no_free_slot'],
    ['w1.1_entry_1', 2, 'no_free_slot'],
    ['w1.1_entry_2', 3, 'no_free_slot'],
  ]);
  expect(active.waiting.at(-1)?.etaMs).toBe(30);
  expect(active.totals).toEqual({ waiting: 3, running: 0 });
});

test('a worker that dies, or does not answer, is missing; the others are there', async () => {
  const { clock, gathered, add } = gathering([view('w1.1_entry_1', 1)]);
  add('w1.1', {
    'active-part': () => ({ waiting: [waiting('w1.1_entry_1')], running: [] }),
    cancel: () => null,
  });
  const dying = add('w2.1', { 'active-part': () => NOBODY });
  add('w3.1', {
    'active-part': () => NOBODY,
    cancel: ({ id }) => ({ requestId: id, client: 'c', model: 'm', caller: undefined }),
  });
  expect(await gathered.cancel('act_1'), 'found at the third').toMatchObject({ requestId: 'act_1' });
  const active = gathered.active(10);
  dying.die();
  await clock.advance(1000);
  expect((await active).waiting).toHaveLength(1);
});

/** A worker's readers, at a feed that the test makes. */
function watching(live: ConstructorParameters<typeof LiveWatches>[0]['live']) {
  const clock = new FakeClock();
  const [near, far] = duplexPair();
  const toWorker = new Link<ViewsToWorker, ViewsToControl>({
    input: far,
    output: far,
    clock,
    onMessage: (message) => {
      if (message.type === 'unwatch') watches.unwatch(message.watch);
      if (message.type !== 'ask') return;
      const answers = { watch: (details) => watches.watch(details) } as Answers<AskedOfControl>;
      void answer(message, answers, (sent) => toWorker.send(sent));
    },
    onEnd: () => watches.end(),
  });
  const watches = new LiveWatches({ live, send: (message) => toWorker.send(message) });
  const toControl = new Link<ViewsToControl, ViewsToWorker>({
    input: near,
    output: near,
    clock,
    onMessage: (message) => {
      if (message.type === 'answer') asker.receive(message);
      else if (message.type !== 'ask' && message.type !== 'live-listens' && message.type !== 'records')
        feed.receive(message);
    },
    onEnd: () => asker.end(),
  });
  const send = (message: ViewsToControl) => toControl.send(message);
  const asker = new Asker<AskedOfControl>({ clock, send });
  const feed = new RemoteLiveFeed({ asker, send });
  return { clock, feed, die: () => near.destroy() };
}

function reader() {
  const got: string[] = [];
  const sink: LiveReader = {
    snapshot: (json) => got.push(json),
    heartbeat: () => got.push('heartbeat'),
    end: () => got.push('end'),
  };
  return { got, sink };
}

test('a reader at a worker gets what the feed sends, until it leaves, the feed ends it, or the worker dies', async () => {
  const readers: LiveReader[] = [];
  let left = 0;
  const { clock, feed, die } = watching({
    watch: (_, sink) => {
      readers.push(sink);
      sink.snapshot('first');
      return () => {
        left += 1;
      };
    },
  });
  const [one, two, three] = [reader(), reader(), reader()];
  const watched = [one, two, three].map(({ sink }) => feed.watch({ owner: 'a', intervalMs: 100 }, sink));
  await clock.advance(0);
  const [leave] = await Promise.all(watched);
  readers[0]?.heartbeat();
  await clock.advance(0);
  leave?.();
  await clock.advance(0);
  readers[0]?.snapshot('too late');
  readers[1]?.end();
  await clock.advance(0);
  expect([one.got, two.got, three.got]).toEqual([['first', 'heartbeat'], ['first', 'end'], ['first']]);
  expect(left).toBe(2);
  die();
  await expect.poll(() => left).toBe(3);
});

test('a reader that has left before the feed knows of it has no place there', async () => {
  let watched = 0;
  const { clock, feed } = watching({
    watch: () => {
      watched += 1;
      return () => {
        watched -= 1;
      };
    },
  });
  const { got, sink } = reader();
  const watch = feed.watch({ owner: 'a', intervalMs: 100 }, sink);
  feed.disconnectAll();
  await clock.advance(0);
  await watch;
  expect(got).toEqual(['end']);
  expect(watched).toBe(0);
});

test('a feed that takes no more readers refuses those of workers with the same words', async () => {
  const { clock, feed } = watching({
    watch: () => {
      throw new ServingError('server_busy', { message: 'Too many read.', retryAfterSeconds: 5 });
    },
  });
  const refused = feed.watch({ owner: undefined, intervalMs: 100 }, reader().sink);
  refused.catch(() => {});
  await clock.advance(0);
  await expect(refused).rejects.toMatchObject({ message: 'Too many read.', retryAfterSeconds: 5 });
  feed.close();
  await expect(feed.watch({ owner: undefined, intervalMs: 100 }, reader().sink)).rejects.toMatchObject({
    code: 'draining',
  });
});
