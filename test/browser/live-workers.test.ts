/** The Live view of a server with two workers that leases its slots: whichever worker the page looks at, it shows all of both. */
import { expect, onTestFinished, test } from 'vitest';
import { startCountingUpstream } from '../support/counting-upstream.ts';
import { startExecutable } from '../support/executable.ts';
import { SLOTS, startReplica } from '../support/leased-replicas.ts';
import { hold, isLive, openLive, rows } from '../support/live-page.ts';
import { scriptedFlags } from '../support/scripted-server.ts';
import { MISSING_VALKEY, startValkey } from '../support/valkey.ts';

const poll = <Value>(read: () => Promise<Value>) => expect.poll(read, { timeout: 60_000 });

test('the requests of both workers are in the lanes, the queue and the receipts', async (context) => {
  const server = await startExecutable({
    flags: [
      ...scriptedFlags({ target: { slots: 4, idle_timeout_ms: 3_600_000 } }),
      ...['--server.workers', '2', '--scheduler.queue-timeout-ms', '3600000'],
      ...['--generation.request-timeout-ms', '3600000'],
    ],
    endsWith: onTestFinished,
  });
  const page = await openLive(context, server);
  await isLive(page);
  const held = [];
  for (const id of ['one', 'two', 'three', 'four']) held.push(await hold(server, id));
  await poll(() => rows(page, 'targets')).toEqual([expect.stringContaining('4 of 4')]);
  const waiting = [1, 2].map((at) => hold(server, `waits-${at}`));
  await poll(() => rows(page, 'queue')).toHaveLength(2);
  for (const one of held) one.leave();
  await poll(() => rows(page, 'ended')).toHaveLength(4);
  const ended = await rows(page, 'ended');
  for (const id of ['one', 'two', 'three', 'four'])
    expect(
      ended.filter((row) => new RegExp(`^${id}\\s+cancelled`).test(row)),
      id,
    ).toHaveLength(1);
  for (const one of await Promise.all(waiting)) one.leave();
  await poll(() => rows(page, 'targets')).toEqual([expect.stringContaining('0 of 4')]);
  // Each has answered some of them.
  const workers = await Promise.all(
    ['one', 'two', 'three', 'four'].map(async (id) => (await server.requestLine(id)).worker),
  );
  expect(new Set(workers)).toEqual(new Set([1, 2]));
});

test('the slots that it has by a lease are shown beside those that the target has, and by what right', async (context) => {
  context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY);
  const valkey = await startValkey({ endsWith: onTestFinished });
  const upstream = await startCountingUpstream(onTestFinished);
  const start = (name: string) =>
    startReplica({
      ...{ name, upstream: upstream.url, store: valkey.address, endsWith: onTestFinished },
      flags: ['--server.workers', '2'],
    });
  const [one, two] = await Promise.all([start('one'), start('two')]);
  const page = await openLive(context, one);
  await isLive(page);
  await poll(() => page.locator('[aria-labelledby="live-targets"] thead').innerText()).toContain('Leased');
  for (const replica of [one, two]) replica.ask(SLOTS, 60);
  await poll(() => rows(page, 'targets')).toEqual([expect.stringContaining('4 of 8, 2 servers')]);
  await two.stop('SIGKILL');
  await poll(() => rows(page, 'targets')).toEqual([expect.stringContaining('8 of 8, 1 server')]);
  await valkey.kill();
  await poll(() => rows(page, 'targets')).toEqual([expect.stringContaining('of 8, the even share')]);
  await one.stopAsking();
});
