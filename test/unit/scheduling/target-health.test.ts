import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FailureCause } from '../../../src/core/failure.ts';
import {
  type HealthChange,
  type HealthState,
  isInService,
  lastResort,
  type OtherTargets,
  type Reachability,
  TargetHealth,
} from '../../../src/scheduling/target-health.ts';
import { runs } from '../../support/property-runs.ts';

/** One of two targets; the other one is in service. */
const WITH_ANOTHER: OtherTargets = { inService: 1, all: 1 };
const ALONE: OtherTargets = { inService: 0, all: 0 };
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** A target with its time; requests begin at the moment at which they end, unless it is said otherwise. */
class Watched {
  now = 0;
  others = WITH_ANOTHER;
  readonly health: TargetHealth;
  last: HealthChange | undefined;

  constructor(reachability: Reachability = 'up', random = () => 0.5) {
    this.health = new TargetHealth({ reachability, now: 0, random });
  }

  get state(): HealthState {
    return this.health.state;
  }

  wait(ms: number): this {
    this.now += ms;
    return this.#note(this.health.due(this.now));
  }

  probe(reachability: Reachability): this {
    return this.#note(this.health.probed(reachability, this.now, this.others));
  }

  succeed(times = 1, startedAt?: number): this {
    for (let time = 0; time < times; time += 1) {
      this.now += 1;
      this.#note(this.health.succeeded({ startedAt: startedAt ?? this.now }, this.now));
    }
    return this;
  }

  fail(cause: FailureCause, times = 1, more: { startedAt?: number; retryAfterMs?: number } = {}): this {
    for (let time = 0; time < times; time += 1) {
      this.now += 1;
      this.#note(this.health.failed({ cause, startedAt: this.now, ...more }, this.now, this.others));
    }
    return this;
  }

  #note(change: HealthChange | undefined): this {
    this.last = change ?? this.last;
    return this;
  }
}

/** In that state, with another target in service. */
function inState(state: HealthState): Watched {
  switch (state) {
    case 'starting':
      return new Watched('coming');
    case 'ready':
      return new Watched();
    case 'degraded':
      return new Watched().fail('server_error', 2);
    case 'ejected':
      return new Watched().fail('server_error', 3);
    case 'probing':
      return inState('ejected').wait(SECOND);
    case 'draining': {
      const watched = new Watched();
      watched.health.drain(0);
      return watched;
    }
    case 'down':
      return new Watched('down');
    default:
      throw state satisfies never;
  }
}

const EVENTS = {
  'probe: up': (watched: Watched) => watched.probe('up'),
  'probe: loading': (watched: Watched) => watched.probe('coming'),
  'probe: down': (watched: Watched) => watched.probe('down'),
  success: (watched: Watched) => watched.succeed(),
  fault: (watched: Watched) => watched.fail('server_error'),
  '3 faults': (watched: Watched) => watched.fail('reset', 3),
  '5 time-outs': (watched: Watched) => watched.fail('first_token_timeout', 5),
  'Retry-After': (watched: Watched) => watched.fail('rate_limited', 1, { retryAfterMs: 5000 }),
  'back-off over': (watched: Watched) => watched.wait(1200),
};

/** Rows: the state before; columns: in the order of EVENTS. */
const TABLE: Record<HealthState, readonly HealthState[]> = {
  starting: ['ready', 'starting', 'down', ...Array<HealthState>(6).fill('starting')],
  ready: ['ready', 'starting', 'down', 'ready', 'ready', 'ejected', 'ejected', 'ejected', 'ready'],
  degraded: ['degraded', 'starting', 'down', 'ready', 'ejected', 'ejected', 'ejected', 'ejected', 'degraded'],
  ejected: ['ejected', 'starting', 'down', 'ready', ...Array<HealthState>(4).fill('ejected'), 'probing'],
  probing: ['probing', 'starting', 'down', 'ready', 'ejected', 'ejected', 'ejected', 'ejected', 'probing'],
  draining: Array<HealthState>(9).fill('draining'),
  down: ['ready', 'starting', 'down', ...Array<HealthState>(6).fill('down')],
};

describe('the health of a target', () => {
  describe.each(Object.entries(TABLE))('%s', (before, row) => {
    it.each(Object.keys(EVENTS).map((event, index) => [event, row[index]] as const))(
      '%s → %s',
      (event, after) => {
        const watched = inState(before as HealthState);
        expect(watched.state).toBe(before);
        EVENTS[event as keyof typeof EVENTS](watched);
        expect(watched.state).toBe(after);
      },
    );
  });

  describe('is ejected', () => {
    it('after three faults in a row, and says why and for how long', () => {
      const watched = new Watched().fail('server_error', 2).succeed().fail('reset', 2).fail('server_error');
      expect(watched.state).toBe('ejected');
      expect(watched.last).toEqual({
        from: 'degraded',
        to: 'ejected',
        cause: 'server_error',
        forMs: 1000,
        reason: '3 requests in a row failed, the last with server_error',
      });
    });

    it('when half of the requests of ten seconds failed, ten of them at least', () => {
      const watched = new Watched();
      for (let pair = 0; pair < 4; pair += 1) watched.succeed().fail('cut');
      expect(watched.state).toBe('ready');
      watched.succeed().fail('cut');
      expect(watched.last).toMatchObject({
        to: 'ejected',
        reason: '5 of 10 requests failed within 10 s, the last with cut',
      });
    });

    it('not by failures that are longer ago', () => {
      const watched = new Watched();
      for (let pair = 0; pair < 5; pair += 1)
        watched
          .wait(3 * SECOND)
          .succeed()
          .fail('cut');
      expect(watched.state).toBe('ready');
    });

    it('not by what says nothing of it', () => {
      const watched = new Watched();
      for (const cause of ['loading', 'unsupported', 'context_too_small'] as const) watched.fail(cause, 20);
      expect(watched.state).toBe('ready');
    });

    it('not while it is the last in service: it is degraded, and the reason says so', () => {
      const watched = new Watched();
      watched.others = ALONE;
      watched.fail('server_error', 1).fail('server_error', 100);
      expect(watched.state).toBe('degraded');
      watched.succeed();
      expect(watched.state).toBe('degraded');
      watched.wait(11 * SECOND).succeed();
      expect(watched.state).toBe('ready');
    });

    it('for slowness only as long as half of the targets stay in service', () => {
      const slow = (inService: number, all: number) => {
        const watched = new Watched();
        watched.others = { inService, all };
        return watched.fail('first_token_timeout', 5).state;
      };
      expect([slow(1, 1), slow(3, 3), slow(2, 3), slow(1, 3), slow(0, 0)]).toEqual([
        'ejected',
        'ejected',
        'ejected',
        'degraded',
        'degraded',
      ]);
    });

    it('for as long as the server asks, which does not raise its back-off', () => {
      const watched = new Watched().fail('rate_limited', 1, { retryAfterMs: 30 * SECOND });
      expect(watched.last).toMatchObject({ to: 'ejected', cause: 'rate_limited', forMs: 30 * SECOND });
      expect(watched.wait(29 * SECOND).state).toBe('ejected');
      expect(watched.wait(SECOND).state).toBe('probing');
      watched.succeed().fail('server_error', 3);
      expect(watched.last).toMatchObject({ to: 'ejected', forMs: 1000 });
    });

    it('not for as long as the server asks where it is the last in service', () => {
      const watched = new Watched();
      watched.others = ALONE;
      expect(watched.fail('rate_limited', 1, { retryAfterMs: 30 * SECOND }).state).toBe('ready');
    });
  });

  describe('its back-off', () => {
    it('doubles with each ejection, up to a minute', () => {
      const watched = new Watched().fail('server_error', 3);
      const backoffs: unknown[] = [watched.last?.forMs];
      for (let round = 0; round < 7; round += 1) {
        watched.wait(MINUTE).fail('server_error');
        backoffs.push(watched.last?.forMs);
      }
      expect(backoffs).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    });

    it('differs by a fifth to either side, so that targets that failed together return one after the other', () => {
      const forMs = (random: number) => new Watched('up', () => random).fail('reset', 3).last?.forMs;
      expect(forMs(0)).toBe(800);
      expect(forMs(0.999_999)).toBeCloseTo(1200, 1);
    });

    it('is forgotten after a minute of health, and not before', () => {
      const again = (healthyMs: number) => {
        const watched = inState('probing').succeed();
        watched.now += healthyMs;
        return watched.fail('server_error', 3).last?.forMs;
      };
      expect(again(MINUTE - SECOND)).toBe(2000);
      expect(again(MINUTE)).toBe(1000);
    });

    it('grows again after it was forgotten', () => {
      const watched = inState('probing').succeed();
      watched.now += MINUTE;
      for (let pair = 0; pair < 5; pair += 1) watched.succeed().fail('cut');
      expect(watched.last).toMatchObject({ from: 'ready', to: 'ejected', forMs: 1000 });
      expect(watched.wait(1200).fail('cut').last?.forMs).toBe(2000);
    });
  });

  describe('a request that began before the ejection', () => {
    it('does not bring the target back by its success', () => {
      const watched = new Watched().fail('server_error', 3).succeed(5, 1);
      expect(watched.state).toBe('ejected');
      expect(watched.wait(1200).succeed(5, 1).state).toBe('probing');
      expect(watched.succeed().state).toBe('ready');
    });

    it('does not eject it again by its failure', () => {
      const watched = new Watched().fail('server_error', 3).wait(1200).succeed();
      expect(watched.fail('reset', 10, { startedAt: 1 }).state).toBe('ready');
    });
  });

  describe('after its probe failed', () => {
    it('is ready again with its first good probe', () => {
      expect(new Watched().probe('down').wait(SECOND).probe('up').state).toBe('ready');
    });

    it('is tried with one request first where requests had failed before, and another target is in service', () => {
      const watched = new Watched().fail('reset', 3).probe('down').wait(SECOND).probe('up');
      expect(watched.state).toBe('probing');
      const alone = new Watched().fail('reset', 3).probe('down').wait(SECOND);
      alone.others = ALONE;
      expect(alone.probe('up').state).toBe('ready');
    });
  });

  it('is degraded after two failures in a row, until a request succeeds or a minute passes without failure', () => {
    expect(new Watched().fail('stalled', 2).state).toBe('degraded');
    expect(new Watched().fail('stalled', 2).succeed().state).toBe('ready');
    expect(new Watched().fail('stalled', 2).wait(MINUTE - 1).state).toBe('degraded');
    expect(new Watched().fail('stalled', 2).wait(MINUTE).state).toBe('ready');
  });

  it('is degraded while a fifth of its requests fail, until fewer than a tenth do', () => {
    const watched = new Watched();
    for (let round = 0; round < 2; round += 1) watched.succeed(4).fail('overloaded');
    expect(watched.state).toBe('degraded');
    expect(watched.succeed(10).state).toBe('degraded');
    expect(watched.succeed().state).toBe('ready');
  });

  it('leaves a drain only by an operator, to what its last probe found', () => {
    const watched = inState('draining').probe('down');
    expect(watched.state).toBe('draining');
    watched.health.enable(watched.now);
    expect(watched.state).toBe('down');
    expect(watched.probe('up').state).toBe('ready');
  });

  it('an operator ends an ejection, and its back-off is a first one again', () => {
    const watched = inState('ejected');
    watched.health.enable(watched.now);
    expect(watched.state).toBe('ready');
    expect(watched.fail('reset', 3).last?.forMs).toBe(1000);
  });
});

describe('the last resort', () => {
  const ejectedAt = (now: number) => {
    const watched = new Watched();
    watched.now = now;
    return watched.fail('server_error', 3).health;
  };

  it('is the target whose ejection ends first', () => {
    const [late, early] = [ejectedAt(500), ejectedAt(100)];
    expect(lastResort([new Watched('down').health, late, early])).toBe(early);
    expect(lastResort([late, inState('probing').health, early])?.state).toBe('probing');
  });

  it('is not needed while a target is in service, and there is none where none is up', () => {
    expect(lastResort([ejectedAt(1), new Watched().health])).toBeUndefined();
    expect(lastResort([new Watched('down').health, inState('draining').health])).toBeUndefined();
  });

  it('returns at once, as degraded', () => {
    const watched = inState('ejected');
    expect(watched.health.returnAsLast(watched.now)).toMatchObject({
      to: 'degraded',
      reason: 'no other target can serve',
    });
  });
});

type Step =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'probe'; readonly at: number; readonly found: Reachability }
  | { readonly kind: 'operator'; readonly at: number; readonly call: 'drain' | 'enable' }
  | {
      readonly kind: 'request';
      readonly at: number;
      readonly agoMs: number;
      readonly cause: FailureCause | undefined;
      readonly retryAfterMs: number;
    };

const TARGETS = 3;
const at = fc.nat({ max: TARGETS - 1 });
const CAUSES = ['server_error', 'reset', 'first_token_timeout', 'rate_limited', 'loading'] as const;

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 4000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('probe' as const),
      at,
      found: fc.constantFrom<Reachability>('up', 'up', 'up', 'coming', 'down'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('operator' as const),
      at,
      call: fc.constantFrom('drain' as const, 'enable' as const, 'enable' as const),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('request' as const),
      at,
      agoMs: fc.constantFrom(0, 0, 0, 500, 5000),
      cause: fc.constantFrom<FailureCause | undefined>(undefined, ...CAUSES),
      retryAfterMs: fc.constantFrom(0, 0, 3000),
    }),
  },
);

describe('any sequence of events at three targets of a model', () => {
  /** As the monitors drive it: after each event, the last resort returns if it must. */
  function run(steps: readonly Step[]): void {
    let now = 10_000;
    let draws = 0;
    const random = () => {
      draws += 1;
      return (draws * 0.37) % 1;
    };
    const found = new Map<number, Reachability>();
    const leftAt = new Map<number, number>();
    const lastFor = new Map<number, number>();
    const targets = Array.from(
      { length: TARGETS },
      () => new TargetHealth({ reachability: 'up', now, random }),
    );
    const others = (self: TargetHealth): OtherTargets => {
      const rest = targets.filter((one) => one !== self);
      return { inService: rest.filter(({ state }) => isInService(state)).length, all: rest.length };
    };
    const note = (index: number, change: HealthChange | undefined) => {
      if (change === undefined) return;
      expect(change.from, 'a change is one').not.toBe(change.to);
      expect(targets[index]?.state).toBe(change.to);
      if (change.to === 'ejected') {
        expect(change.forMs).toBeGreaterThan(0);
        expect(change.forMs).toBeLessThanOrEqual(72_000);
        lastFor.set(index, change.forMs ?? 0);
      }
      if (
        change.to === 'ejected' ||
        change.to === 'draining' ||
        change.to === 'down' ||
        change.to === 'starting'
      )
        leftAt.set(index, now);
    };
    for (const one of steps) {
      if (one.kind === 'wait') {
        now += one.ms;
        for (const [index, target] of targets.entries()) note(index, target.due(now));
      } else {
        const target = targets[one.at] as TargetHealth;
        const before = target.state;
        if (one.kind === 'probe') {
          found.set(one.at, one.found);
          note(one.at, target.probed(one.found, now, others(target)));
        } else if (one.kind === 'operator') {
          note(one.at, one.call === 'drain' ? target.drain(now) : target.enable(now));
        } else {
          const { cause, agoMs, retryAfterMs } = one;
          const startedAt = now - agoMs;
          const isOld = startedAt <= (leftAt.get(one.at) ?? Number.NEGATIVE_INFINITY);
          const change =
            cause === undefined
              ? target.succeeded({ startedAt }, now)
              : target.failed({ cause, startedAt, retryAfterMs }, now, others(target));
          note(one.at, change);
          if (isOld || cause === 'loading')
            expect(target.state, 'an old request changes nothing').toBe(before);
          if (cause !== undefined && before === 'ejected') expect(target.state).toBe('ejected');
        }
      }
      const last = lastResort(targets);
      if (last !== undefined) note(targets.indexOf(last), last.returnAsLast(now));
      const canServe = targets.filter(
        ({ state }, index) => (found.get(index) ?? 'up') === 'up' && state !== 'draining',
      );
      if (canServe.length > 0)
        expect(
          canServe.some(({ state }) => isInService(state)),
          'one is in service',
        ).toBe(true);
      for (const [index, target] of targets.entries()) {
        const isUp = (found.get(index) ?? 'up') === 'up';
        if (!isUp && target.state !== 'draining') expect(['starting', 'down']).toContain(target.state);
        if (target.state === 'ejected')
          expect(target.dueAt).toBeGreaterThanOrEqual(now - (lastFor.get(index) ?? 0));
      }
    }
    // Whatever happened: left in peace, with good probes and requests that succeed, all return.
    for (const target of targets) if (target.state === 'draining') target.enable(now);
    for (const target of targets) target.probed('up', now, others(target));
    for (let second = 0; second < 120; second += 1) {
      now += 1000;
      for (const target of targets) {
        target.due(now);
        target.succeeded({ startedAt: now }, now);
      }
    }
    expect(targets.map(({ state }) => state)).toEqual(['ready', 'ready', 'ready']);
  }

  it('leaves one in service of those that are up, never judges by old requests, and ends well', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 120 }), run), runs(400));
  });
});
