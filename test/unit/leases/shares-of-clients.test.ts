/** Clients at several servers that share a target's slots: each server's own scheduler, on slots that are leased. In virtual time. */
import { describe, expect, it } from 'vitest';
import { LeaseLedger } from '../../../src/leases/lease-ledger.ts';
import { SlotLeases } from '../../../src/leases/slot-leases.ts';
import { Scheduler } from '../../../src/scheduling/scheduler.ts';
import { entry, SCHEDULER, settled } from '../../support/scheduling.ts';

const TARGET = { id: 't', model: 'm', slots: 12, state: 'ready', isShared: true } as const;
const SETTINGS = { leaseMs: 3000, timeoutMs: 500, onFailure: 'share' } as const;

interface Client {
  readonly name: string;
  /** Of each of its requests. */
  readonly tokens: number;
  served: number;
}

class Server {
  readonly leases: SlotLeases;
  readonly #scheduler = new Scheduler({ ...SCHEDULER, maxQueue: 1000, maxBatchSize: 100 });
  readonly #clients: ReadonlyMap<string, Client>;
  readonly #running = new Map<string, { readonly endsAt: number; readonly client: Client }>();
  #requests = 0;

  constructor(name: string, clients: readonly Client[]) {
    this.leases = new SlotLeases(name, SETTINGS);
    this.#clients = new Map(clients.map((client) => [client.name, client]));
    this.#scheduler.setTarget(TARGET, 0);
    for (const client of clients) for (let each = 0; each < 15; each += 1) this.#send(client, 0);
  }

  get used(): number {
    return this.#running.size;
  }

  #send(client: Client, now: number): void {
    this.#requests += 1;
    const changes = { client: client.name, promptTokens: 0, maxTokens: client.tokens };
    this.#scheduler.enqueue(entry(`${client.name} ${this.#requests}`, changes), now);
  }

  act(now: number, ledger: LeaseLedger): void {
    for (const [id, { endsAt, client }] of this.#running) {
      if (endsAt > now) continue;
      this.#running.delete(id);
      client.served += client.tokens;
      this.#scheduler.release(id, settled({ promptTokens: 0, answerTokens: client.tokens }), now);
      this.#send(client, now);
    }
    const { slots, until } = this.leases.allowance('t', now);
    this.#scheduler.setLease(TARGET, { slots, until }, now);
    for (const decision of this.#scheduler.tick(now)) {
      if (decision.type === 'reject') throw new Error(decision.code);
      for (const { id } of decision.batch.members) {
        const client = this.#clients.get(id.slice(0, id.indexOf(' ')));
        if (client !== undefined) this.#running.set(id, { endsAt: now + client.tokens, client });
      }
    }
    const { requests: waiting } = this.#scheduler.waiting('m');
    this.leases.demand([{ target: 't', slots: TARGET.slots, used: this.used, waiting }]);
    const dueAt = this.leases.nextRenewalAt(now);
    if (dueAt === undefined || dueAt > now) return;
    const renewal = this.leases.renewal(now);
    this.leases.answered(renewal.sequence, ledger.renew(renewal, { now, run: 'one' }));
  }
}

describe('clients at servers that share slots', () => {
  it('share the slots of their server in tokens, and servers that are busy have the same number', () => {
    const client = (name: string, tokens: number): Client => ({ name, tokens, served: 0 });
    const alone = client('alone', 100);
    const small = client('small', 40);
    const large = client('large', 400);
    const three = [client('a', 60), client('b', 120), client('c', 240)];
    const servers = [
      new Server('one', [alone]),
      new Server('two', [small, large]),
      new Server('three', three),
    ];
    const ledger = new LeaseLedger();
    let most = 0;
    for (let now = 1; now <= 120_000; now += 2) {
      for (const server of servers) server.act(now, ledger);
      most = Math.max(
        most,
        servers.reduce((sum, { used }) => sum + used, 0),
      );
      // From here on, without the first lease's time.
      if (now === 20_001) for (const each of [alone, small, large, ...three]) each.served = 0;
    }
    expect(most).toBe(TARGET.slots);
    // A token takes a millisecond: a slot serves so many in 100 s. Each server has a third of 12.
    const fair = 4 * 100_000;
    expect(alone.served).toBeGreaterThan(0.9 * fair);
    for (const each of [small, large]) expect(each.served).toBeGreaterThan((0.9 * fair) / 2);
    for (const each of three) expect(each.served).toBeGreaterThan((0.9 * fair) / 3);
    // Requests of different lengths: the tokens count.
    expect(Math.abs(small.served - large.served)).toBeLessThan(0.1 * fair);
  });
});
