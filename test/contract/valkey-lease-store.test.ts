/**
 * The script that divides slots in a real Valkey or Redis does the same as the ledger in TypeScript: the same renewals, at the same times,
 * get the same grants.
 */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/core/seeded-random.ts';
import { LeaseLedger } from '../../src/leases/lease-ledger.ts';
import type { Renewal, SlotClaim } from '../../src/leases/lease-store.ts';
import { ValkeyLeases } from '../../src/stores/valkey/lease-store.ts';
import { endingAfterAll } from '../support/server.ts';
import { MISSING_VALKEY, startValkey, type TestValkey } from '../support/valkey.ts';
import { connectedRunner, StoppedTime } from '../support/valkey-limits.ts';

const endsWith = endingAfterAll();
const isLong = process.env.LLM_TEST_LONG === '1';

/** What replicas say, honest or not: the store has to count right whatever comes. */
function anyClaim(
  random: () => number,
  target: string,
  tokens: ReadonlyMap<string, number>,
  replica: string,
) {
  const below = (bound: number) => Math.floor(random() * bound);
  const token = random() < 0.7 ? (tokens.get(`${replica} ${target}`) ?? 0) : below(3);
  const claim: SlotClaim = {
    target,
    slots: random() < 0.9 ? 20 : 10 + below(20),
    keeps: below(6),
    used: below(6),
    needs: below(12),
    spare: below(3),
    token,
    isAlone: random() < 0.1,
  };
  return claim;
}

describe('leases in a Valkey or Redis', () => {
  let valkey: TestValkey;
  beforeAll(async () => {
    if (MISSING_VALKEY === undefined) valkey = await startValkey({ endsWith });
  });

  it.for([
    { replicas: 4, targets: 2, steps: 1500 },
    { replicas: 70, targets: 1, steps: 1500 },
  ])(
    'are granted as the ledger grants them, to $replicas replicas of $targets targets',
    async (given, context) => {
      const { replicas, targets } = given;
      if (MISSING_VALKEY !== undefined) return context.skip(MISSING_VALKEY);
      const random = seededRandom(replicas);
      const runner = new StoppedTime(await connectedRunner(valkey.address));
      const store = new ValkeyLeases({ runner, prefix: randomUUID() });
      const ledger = new LeaseLedger();
      const sequences = new Map<string, number>();
      const tokens = new Map<string, number>();
      const names = Array.from({ length: targets }, (_, index) => `http://gpu:8000 model-${index}`);
      for (let step = 0; step < given.steps * (isLong ? 20 : 1); step += 1) {
        runner.pass(random() < 0.01 ? 4000 * random() : 60 * random());
        // Its clock is set back: sometimes by less than is noticed.
        if (random() < 0.01) runner.pass(-8000 * random());
        const replica = `replica_${Math.floor(random() * replicas)}`;
        if (random() < 0.02) {
          await store.leave(replica, names);
          ledger.leave(replica, names);
          continue;
        }
        const sequence = Math.max(1, (sequences.get(replica) ?? 0) + (random() < 0.03 ? -1 : 1));
        sequences.set(replica, sequence);
        const claims = names.map((name) => anyClaim(random, name, tokens, replica));
        const renewal: Renewal = { replica, sequence, leaseMs: random() < 0.9 ? 3000 : 5000, claims };
        const expected = ledger.renew(renewal, { now: runner.wallNow, run: 'one' });
        expect(await store.renew(renewal), `step ${step}`).toEqual(expected);
        for (const [index, grant] of (expected ?? []).entries())
          tokens.set(`${replica} ${names[index]}`, grant.token);
      }
      await store.close();
    },
  );

  it('recover after the server has started again, where what it wrote last may be lost', async (context) => {
    if (MISSING_VALKEY !== undefined) return context.skip(MISSING_VALKEY);
    const other = await startValkey({ endsWith, args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
    const asked = async (sequence: number, token: number) => {
      const store = new ValkeyLeases({ runner: await connectedRunner(other.address), prefix: 'test' });
      const claim = { target: 't', slots: 8, keeps: 2, used: 1, needs: 4, spare: 1, token, isAlone: false };
      const [grant] =
        (await store.renew({ replica: 'one', sequence, leaseMs: 600_000, claims: [claim] })) ?? [];
      await store.close();
      return grant;
    };
    const first = await asked(1, 0);
    expect(first).toMatchObject({ block: 0, isRecovering: true, replicas: 1 });
    await other.command('HSET', '{test}:slots:t', 'until', '0');
    const later = await asked(2, first?.token ?? 0);
    expect(later).toMatchObject({ block: 5, isRecovering: false });
    await other.restart();
    expect(await asked(3, later?.token ?? 0)).toMatchObject({
      block: 2,
      token: later?.token,
      isRecovering: true,
    });
  });

  it('are given once, also where a server takes over that has not got the last of them', async (context) => {
    if (MISSING_VALKEY !== undefined) return context.skip(MISSING_VALKEY);
    const primary = await startValkey({ endsWith, hasPort: true });
    const replica = await startValkey({ endsWith, args: ['--replicaof', '127.0.0.1', String(primary.port)] });
    const asked = async (at: TestValkey, name: string, sequence: number, claimed: Partial<SlotClaim>) => {
      const store = new ValkeyLeases({ runner: await connectedRunner(at.address), prefix: 'test' });
      const claim = {
        target: 't',
        slots: 8,
        keeps: 0,
        used: 0,
        needs: 8,
        spare: 0,
        token: 0,
        isAlone: false,
      };
      const claims = [{ ...claim, ...claimed }];
      const [grant] = (await store.renew({ replica: name, sequence, leaseMs: 600_000, claims })) ?? [];
      await store.close();
      return grant;
    };
    const first = await asked(primary, 'one', 1, { needs: 1 });
    const { token = 0 } = first ?? {};
    await primary.command('HSET', '{test}:slots:t', 'until', '0');
    expect(await asked(primary, 'one', 2, { token, needs: 1 })).toMatchObject({ block: 1 });
    const known = () => replica.command('HGET', '{test}:slots:t', 'sum');
    await expect.poll(known, { timeout: 60_000 }).toContain('\r\n1\r\n');
    // From now on nothing reaches the replica.
    await replica.command('REPLICAOF', 'NO', 'ONE');
    expect(await asked(primary, 'one', 3, { token, keeps: 1 })).toMatchObject({ block: 8 });
    await primary.kill();
    // Another would take the seven that this server knows nothing of.
    expect(await asked(replica, 'two', 1, {})).toMatchObject({ block: 0, isRecovering: true });
    expect(await asked(replica, 'one', 4, { token, keeps: 8, used: 8 })).toMatchObject({ block: 8, token });
    await replica.command('HSET', '{test}:slots:t', 'until', '0');
    expect(await asked(replica, 'two', 2, {})).toMatchObject({ block: 0, share: 4, isRecovering: false });
  });
});
