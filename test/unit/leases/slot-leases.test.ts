import { describe, expect, it } from 'vitest';
import { LeaseLedger, MIN_RECOVERY_MS } from '../../../src/leases/lease-ledger.ts';
import { type FleetReplica, LeaseFleet } from '../../support/lease-fleet.ts';

/** The store is new: it grants nothing for a lease's time. */
function settled(slots: number, settings = {}) {
  const fleet = new LeaseFleet(slots, settings);
  fleet.join();
  fleet.until(() => fleet.replicas[0]?.slots === 1);
  return fleet;
}

function only(fleet: LeaseFleet) {
  const [first] = fleet.replicas;
  if (first === undefined) throw new Error('there is no replica');
  return first;
}

describe('slot leases', () => {
  it('give a replica that is alone all that it needs, at once', () => {
    const fleet = settled(8);
    const alone = only(fleet);
    alone.demand = 20;
    expect(fleet.until(() => alone.slots === 8)).toBeLessThan(50);
    expect(fleet.running).toBe(8);
  });

  it('let a new replica serve within a second, also where others need all slots', () => {
    const fleet = settled(8);
    only(fleet).demand = 20;
    fleet.until(() => fleet.running === 8);
    const joined = fleet.join(20);
    expect(fleet.until(() => joined.endsAt.length > 0)).toBeLessThan(1000);
    expect(fleet.until(() => joined.slots === 4)).toBeLessThan(1000);
    expect(fleet.maxRunning).toBe(8);
  });

  it('bring what an idle replica does not need to a busy one within a second', () => {
    const fleet = settled(8);
    const [busy, idle] = [only(fleet), fleet.join(20)];
    busy.demand = 20;
    fleet.until(() => busy.slots === 4 && idle.slots === 4);
    idle.demand = 0;
    expect(fleet.until(() => busy.endsAt.length === 8)).toBeLessThan(1000);
    expect(fleet.maxRunning).toBe(8);
  });

  it('do both in 400 and 800 ms, whenever in the time between two renewals', () => {
    for (let phaseMs = 0; phaseMs < 250; phaseMs += 25) {
      const fleet = settled(8);
      const busy = only(fleet);
      busy.demand = 20;
      busy.requestMs = 60;
      fleet.pass(1000 + phaseMs);
      const joined = fleet.join(0, 60);
      fleet.pass(500);
      joined.demand = 2;
      expect(fleet.until(() => joined.endsAt.length > 0)).toBeLessThan(400);
      fleet.pass(1000);
      joined.demand = 0;
      expect(fleet.until(() => busy.endsAt.length === 8)).toBeLessThan(800);
    }
  });

  it('bring what a dead replica held to the others within its lease', () => {
    const fleet = settled(8);
    const [survivor, killed] = [only(fleet), fleet.join(20)];
    survivor.demand = 20;
    fleet.until(() => killed.endsAt.length === 4);
    fleet.kill(killed);
    const tookMs = fleet.until(() => survivor.slots === 8);
    expect(tookMs).toBeGreaterThan(2500);
    expect(tookMs).toBeLessThan(3500);
  });

  it('bring it as soon where the clock of the store was set back', () => {
    const fleet = settled(8);
    const busy = only(fleet);
    const dead = fleet.join(20);
    busy.demand = 20;
    fleet.until(() => busy.slots === 4 && dead.slots === 4);
    fleet.kill(dead);
    fleet.storeAheadMs -= 3_600_000;
    expect(fleet.until(() => busy.slots === 8)).toBeLessThan(3500);
    expect(fleet.maxRunning).toBe(8);
  });

  it('are granted after as long where the clock of a new store was set back', () => {
    const fleet = new LeaseFleet(8);
    const first = fleet.join(20);
    fleet.pass(100);
    fleet.storeAheadMs -= 3_600_000;
    expect(fleet.until(() => first.slots === 8)).toBeLessThan(MIN_RECOVERY_MS + 500);
  });

  it('give every replica that needs one at least one, where there are enough', () => {
    const fleet = settled(16);
    const greedy = only(fleet);
    greedy.demand = 100;
    fleet.until(() => fleet.running === 16);
    const others = Array.from({ length: 15 }, () => fleet.join(1));
    expect(fleet.until(() => others.every(({ endsAt }) => endsAt.length === 1))).toBeLessThan(1500);
    expect(fleet.maxRunning).toBe(16);
  });

  it('serve all in turn where there are more replicas than slots', () => {
    const fleet = settled(2);
    for (let more = 0; more < 4; more += 1) fleet.join(5);
    only(fleet).demand = 5;
    fleet.pass(60_000);
    const begun = fleet.replicas.map((replica) => replica.begun);
    expect(Math.min(...begun)).toBeGreaterThan(0.7 * Math.max(...begun));
    expect(fleet.maxRunning).toBe(2);
    // Of 2 slots, with requests of 100 ms, little is lost by that.
    expect(begun.reduce((sum, each) => sum + each)).toBeGreaterThan(0.85 * 1200);
  });

  it('wait for the end of long answers, and take none of their slots away', () => {
    const fleet = settled(4);
    const first = only(fleet);
    first.demand = 20;
    first.requestMs = 10_000;
    fleet.until(() => fleet.running === 4);
    const joined = fleet.join(20);
    expect(fleet.until(() => joined.endsAt.length > 0)).toBeGreaterThan(5000);
    expect(fleet.maxRunning).toBe(4);
  });

  it('give a replica nothing that was stopped for longer than its lease, until it has asked again', () => {
    const fleet = settled(8);
    const [other, stopped] = [only(fleet), fleet.join(20)];
    other.demand = 20;
    fleet.until(() => stopped.slots === 4 && other.slots === 4);
    stopped.isStopped = true;
    fleet.until(() => other.slots === 8);
    stopped.isStopped = false;
    expect(stopped.slots).toBe(0);
    expect(stopped.basis).toBe('none');
    // What it had in flight is counted, and the others come down.
    fleet.until(() => stopped.slots === 4 && other.slots === 4);
    expect(fleet.running).toBe(8);
  });

  it('keep their slots when the store comes back empty, and give no more before a lease has passed', () => {
    const fleet = settled(8);
    const [first, second] = [only(fleet), fleet.join(3)];
    first.demand = 20;
    fleet.until(() => first.slots === 5 && second.endsAt.length === 3);
    fleet.ledger = new LeaseLedger();
    fleet.run = 'second';
    second.demand = 20;
    const cameBackAt = fleet.now;
    fleet.until(() => fleet.now - cameBackAt > MIN_RECOVERY_MS - 10);
    expect(first.slots).toBe(5);
    expect(second.slots).toBe(3);
    expect(fleet.until(() => first.slots === 4 && second.slots === 4)).toBeLessThan(1000);
    expect(fleet.maxRunning).toBe(8);
  });

  it('are even shares while the store is away, once all leases have ended', () => {
    const fleet = settled(8);
    const [first, second] = [only(fleet), fleet.join(1)];
    first.demand = 20;
    fleet.pass(4000);
    second.demand = 20;
    fleet.isStoreAway = true;
    expect(fleet.until(() => first.basis === 'none')).toBeLessThan(3000);
    fleet.until(() => first.basis === 'even_share' && second.basis === 'even_share', 1500);
    expect([first.slots, second.slots]).toEqual([4, 4]);
    fleet.pass(20_000);
    expect(fleet.running).toBe(8);
    fleet.isStoreAway = false;
    fleet.until(() => first.basis === 'lease' && second.basis === 'lease', 1000);
    fleet.pass(6000);
    expect(fleet.maxRunning).toBe(8);
  });

  it('are even shares that fit together, also where not all have heard that one has left', () => {
    for (const slots of [1, 2, 3, 5, 6])
      for (let left = 0; left < 4; left += 1)
        for (let late = 0; late < 3; late += 1) {
          const fleet = settled(slots);
          for (const replica of [only(fleet), fleet.join(), fleet.join(), fleet.join()]) replica.demand = 20;
          fleet.pass(5000);
          fleet.leave(fleet.replicas[left] as FleetReplica);
          const unaware = fleet.replicas[late] as FleetReplica;
          unaware.isStopped = true;
          fleet.pass(300);
          fleet.isStoreAway = true;
          unaware.isStopped = false;
          fleet.pass(4000);
          expect(fleet.replicas.map(({ basis }) => basis)).toEqual(Array(3).fill('even_share'));
          expect(fleet.replicas.reduce((sum, replica) => sum + replica.slots, 0)).toBeLessThanOrEqual(slots);
        }
  });

  it('are nothing while the store is away, where that is wanted', () => {
    const fleet = settled(8, { onFailure: 'stop' });
    only(fleet).demand = 20;
    fleet.isStoreAway = true;
    fleet.pass(3000);
    for (let step = 0; step < 20; step += 1) {
      fleet.pass(1000);
      expect(only(fleet).basis).toBe('none');
    }
  });

  it.each([
    { stoppedMs: 2500, after: 'even_share' },
    { stoppedMs: 4000, after: 'none' },
  ])('are, while the store is away, after a stop of $stoppedMs ms: $after', ({ stoppedMs, after }) => {
    const fleet = settled(8);
    const first = only(fleet);
    first.demand = 20;
    fleet.pass(4000);
    fleet.isStoreAway = true;
    fleet.until(() => first.basis === 'even_share');
    first.isStopped = true;
    fleet.pass(stoppedMs);
    // It knows nothing before it has asked in vain itself.
    expect(first.basis).toBe('none');
    first.isStopped = false;
    fleet.pass(1000);
    expect(first.basis).toBe(after);
    fleet.isStoreAway = false;
    fleet.until(() => first.basis === 'lease', 1000);
  });

  it('ask about four times a second, also under load', () => {
    const fleet = settled(8);
    for (let more = 0; more < 3; more += 1) fleet.join(20);
    only(fleet).demand = 20;
    fleet.pass(5000);
    fleet.renewals = 0;
    fleet.pass(10_000);
    expect(fleet.renewals / 4 / 10).toBeLessThan(6);
  });
});
