/** The gate of limits over stores that decide at once, promise, keep what they admit, or are asked ahead: who is refused with what, and what is settled. */
import { describe, expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import type { Limits } from '../../../src/core/limit-names.ts';
import { LimitGate } from '../../../src/http/limit-gate.ts';
import type { LimitSettings } from '../../../src/limits/limit-plan.ts';
import type {
  Charge,
  DecisionAhead,
  LimitAdmission,
  LimitDecision,
  LimitStore,
} from '../../../src/limits/limit-store.ts';
import { MemoryLimitStore } from '../../../src/limits/memory-limit-store.ts';
import type { ModelPrice } from '../../../src/usage/prices.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { LIMITED_PATH, limitedRequest, NO_LIMITS } from '../../support/limited-request.ts';

/** Answers later, as a store elsewhere does. */
class PromisingStore implements LimitStore {
  readonly isShared: boolean = true;
  protected readonly memory: LimitStore;
  peeks = 0;

  constructor(memory: LimitStore) {
    this.memory = memory;
  }

  decide: LimitStore['decide'] = async (charges) => await this.memory.decide(charges);

  countRunning: LimitStore['countRunning'] = (running) => this.memory.countRunning(running);

  settle: LimitStore['settle'] = (admission, amounts) => this.memory.settle(admission, amounts);

  peek: LimitStore['peek'] = async (charges) => {
    this.peeks += 1;
    return await this.memory.peek(charges);
  };

  close = (): Promise<void> => this.memory.close();
}

/** As a worker has it: the control process keeps what is not settled. */
class KeepingStore extends PromisingStore {
  override readonly isShared = false;
  readonly keepsAdmissions = true;
  readonly kept = new Set<LimitAdmission>();

  override decide: LimitStore['decide'] = async (charges, options) => {
    const decision = await this.memory.decide(charges);
    if (decision.admission !== undefined && options?.isFinal !== true) this.kept.add(decision.admission);
    return decision;
  };

  override settle: LimitStore['settle'] = (admission, amounts) => {
    expect(this.kept.delete(admission), 'settled twice').toBe(true);
    this.memory.settle(admission, amounts);
  };
}

/** As a worker has it, whose requests go on while the control process decides. */
class AheadStore extends KeepingStore {
  readonly #calls: Promise<boolean>[] = [];

  decideAhead(charges: readonly Charge[], after: number | undefined): DecisionAhead {
    const decision = this.#decideAfter(charges, after);
    const call = this.#calls.push(decision.then(({ admission }) => admission !== undefined)) - 1;
    return { call, decision };
  }

  async #decideAfter(charges: readonly Charge[], after: number | undefined): Promise<LimitDecision> {
    if (after !== undefined && !(await this.#calls[after])) return { admission: undefined, states: [] };
    return await this.decide(charges);
  }
}

/** One that can't be asked, with `limits.on_failure: closed`. */
const CLOSED: LimitStore = {
  isShared: true,
  decide: (charges) => ({
    admission: undefined,
    states: charges.map(({ bound: { limit } }) => ({ limit, remaining: 0, retryInMs: 0 })),
  }),
  countRunning: () => {},
  settle: () => {},
  peek: () => [],
  close: async () => {},
};

interface Setup {
  readonly limits?: Partial<LimitSettings>;
  readonly prices?: Readonly<Record<string, ModelPrice>>;
  readonly kind?: 'memory' | 'promising' | 'keeping' | 'ahead' | 'closed';
}

function setUp({ limits = {}, prices = {}, kind = 'memory' }: Setup) {
  const clock = new FakeClock();
  const memory = new MemoryLimitStore({ clock, maxKeys: () => 100 });
  const promising = new PromisingStore(memory);
  const keeping = kind === 'ahead' ? new AheadStore(memory) : new KeepingStore(memory);
  const checked: string[] = [];
  const decided: string[] = [];
  const gate = new LimitGate({
    clock,
    store: { memory, promising, keeping, ahead: keeping, closed: CLOSED }[kind],
    settings: { limits: { ...NO_LIMITS, ...limits }, prices, currency: 'EUR' },
    paths: new Set([LIMITED_PATH]),
    protocolAt: () => ({}),
    onChecked: (verdict) => checked.push(verdict),
    onDecision: (scope, verdict) => decided.push(`${scope} ${verdict}`),
  });
  const remaining = async (name: string, scope = 'all', models: readonly string[] = []) =>
    (await gate.statesOf({ models })).find((row) => row.name === name && row.scope === scope)?.remaining;
  return { clock, gate, promising, keeping, checked, decided, remaining };
}

const work = (promptTokens: number, answerTokens: number, model = 'm') => ({
  model,
  size: () => ({ promptTokens, answerTokens }),
});

async function failureOf(run: () => unknown): Promise<ServingError | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    if (error instanceof ServingError) return error;
    throw error;
  }
}

describe.each(['memory', 'promising', 'keeping', 'ahead'] as const)(
  'the gate over a store that is %s',
  (kind) => {
    const limited = (all: Limits) => setUp({ kind, limits: { all } });
    const check = (gate: LimitGate, { context }: ReturnType<typeof limitedRequest>) =>
      failureOf(() => {
        gate.announce(context);
        const waited = gate.check(context);
        return waited ?? context.pendingLimits?.admitted;
      });
    const reserve = (
      gate: LimitGate,
      { context }: ReturnType<typeof limitedRequest>,
      ...size: [number, number]
    ) =>
      failureOf(() => {
        const reserved = gate.reserve(context, work(...size));
        return reserved === undefined || reserved instanceof Promise ? reserved : reserved.admitted;
      });

    it('counts what an answer uses beyond its reservation while it runs, and no more of it at its end', async () => {
      const { clock, gate, remaining } = limited({ tokens_per_minute: 1000, token_budget_per_day: 2000 });
      const left = async () => [
        await remaining('tokens_per_minute'),
        await remaining('token_budget_per_day'),
      ];
      const one = limitedRequest();
      await check(gate, one);
      await reserve(gate, one, 10, 90);
      expect(await left()).toEqual([900, 1900]);
      one.used(['m', 10, 50]);
      await clock.advance(1000);
      expect(await left()).toEqual([900, 1900]);
      one.used(['m', 10, 300]);
      await clock.advance(1000);
      expect(await left()).toEqual([690, 1690]);
      one.used(['m', 10, 990]);
      await clock.advance(1000);
      expect(await left()).toEqual([0, 1000]);
      expect((await check(gate, limitedRequest()))?.code).toBe('rate_limited');
      one.used(['m', 10, 1190]);
      gate.settle(one.context, undefined);
      gate.flush();
      expect(await left()).toEqual([0, 800]);
      await clock.advance(60_000);
      expect(await left()).toEqual([1000, 800]);
    });

    it('counts nothing of a try that has answered nothing, which may come to cost nothing', async () => {
      const { clock, gate, remaining } = limited({ token_budget_per_day: 2000 });
      const one = limitedRequest();
      await check(gate, one);
      await reserve(gate, one, 10, 90);
      one.used(['m', 10, 0], ['dearer', 500, 0]);
      await clock.advance(1000);
      expect(await remaining('token_budget_per_day')).toBe(1900);
      one.used();
      gate.settle(one.context, undefined);
      gate.flush();
      expect(await remaining('token_budget_per_day')).toBe(2000);
    });

    it('takes back what was counted too high while it ran', async () => {
      const { clock, gate, remaining } = limited({ tokens_per_minute: 1000 });
      const [one, other] = [limitedRequest(), limitedRequest()];
      for (const each of [one, other]) {
        await check(gate, each);
        await reserve(gate, each, 10, 90);
        each.used(['m', 10, 140]);
      }
      await clock.advance(1000);
      expect(await remaining('tokens_per_minute')).toBe(700);
      // The backend has counted fewer tokens than pieces.
      one.used(['m', 10, 120]);
      gate.settle(one.context, undefined);
      gate.settle(other.context, undefined);
      gate.flush();
      await clock.advance(1000);
      expect(await remaining('tokens_per_minute')).toBe(720);
    });

    it('counts a request before its body is read, and takes back one that is refused for its body', async () => {
      const { gate, remaining, checked } = limited({ requests_per_minute: 2 });
      const refused = limitedRequest();
      expect(await check(gate, refused)).toBeUndefined();
      expect(await remaining('requests_per_minute')).toBe(1);
      gate.refused(refused.context, new ServingError('body_too_large'));
      expect(await remaining('requests_per_minute')).toBe(2);
      expect(refused.headers.get('x-ratelimit-remaining')).toBe('2');
      for (let count = 0; count < 2; count += 1) await check(gate, limitedRequest());
      expect((await check(gate, limitedRequest()))?.code).toBe('rate_limited');
      expect(checked).toEqual(['allowed', 'allowed', 'allowed', 'limited']);
    });

    it('reserves tokens by the estimate, and puts what was used in its place', async () => {
      const { gate, remaining, decided } = limited({ tokens_per_minute: 100 });
      const one = limitedRequest();
      await check(gate, one);
      expect(await reserve(gate, one, 10, 60)).toBeUndefined();
      expect(one.headers.get('ratelimit')).toBe('"all.tokens_per_minute";r=30;t=60');
      const other = limitedRequest();
      await check(gate, other);
      const refusal = await reserve(gate, other, 10, 60);
      expect(refusal?.code).toBe('rate_limited');
      expect(refusal?.message).toContain(
        'Left beside what requests under way may use: 30 tokens; this one may use 70 tokens',
      );
      one.used(['m', 10, 5]);
      gate.settle(one.context, undefined);
      gate.settle(one.context, undefined);
      expect(await remaining('tokens_per_minute')).toBe(85);
      expect(decided).toEqual(['all allowed', 'all allowed', 'all allowed', 'all limited']);
    });

    it('has a place free when its request has ended, also where the client left while it was decided', async () => {
      const { gate, remaining } = limited({ concurrent_requests: 1 });
      const one = limitedRequest();
      const leaving = limitedRequest();
      const checking = check(gate, one);
      if (kind !== 'memory') one.leave();
      await checking;
      if (kind === 'memory') one.leave();
      expect(await remaining('concurrent_requests')).toBe(1);
      await check(gate, leaving);
      expect(await remaining('concurrent_requests')).toBe(0);
      leaving.leave();
      expect(await remaining('concurrent_requests')).toBe(1);
    });
  },
);

describe('the gate of limits', () => {
  it('does not ask a shared store for the headers of a refusal alone', () => {
    const { gate, promising } = setUp({ kind: 'promising', limits: { all: { requests_per_minute: 2 } } });
    const { context, headers } = limitedRequest();
    gate.announce(context);
    gate.refused(context, new ServingError('invalid_api_key'));
    expect(promising.peeks).toBe(0);
    expect(headers.size).toBe(0);
  });

  it('settles each admission once, where the store keeps those that are not', async () => {
    const limits = { all: { requests_per_minute: 9, tokens_per_minute: 100 } };
    const { gate, keeping } = setUp({ kind: 'keeping', limits });
    const [served, refused] = [limitedRequest(), limitedRequest()];
    for (const { context } of [served, refused]) {
      gate.announce(context);
      await gate.check(context);
    }
    await gate.reserve(served.context, work(10, 60));
    served.used(['m', 10, 5]);
    gate.settle(served.context, undefined);
    await gate.refused(refused.context, new ServingError('body_too_large'));
    served.leave();
    refused.leave();
    expect(keeping.kept.size).toBe(0);
  });

  it('shows what remains also in a refusal that comes before it is counted, once the store has answered', async () => {
    const { gate } = setUp({ kind: 'keeping', limits: { all: { requests_per_minute: 2 } } });
    const { context, headers } = limitedRequest();
    gate.announce(context);
    await gate.refused(context, new ServingError('unsupported_media_type'));
    expect(headers.get('x-ratelimit-remaining')).toBe('2');
  });

  it('says nothing of limits, nor that one refused, where their store can not be asked', async () => {
    const { gate, checked, decided } = setUp({ kind: 'closed', limits: { all: { requests_per_minute: 2 } } });
    const { context, headers } = limitedRequest();
    gate.announce(context);
    const error = await failureOf(() => gate.check(context));
    expect(error?.code).toBe('store_unavailable');
    if (error) gate.refused(context, error);
    expect(headers.size).toBe(0);
    expect(checked).toEqual(['undecided']);
    expect(decided).toEqual([]);
  });

  it('counts what a fallback used in the limits of that model, beyond what remains there, and not of the one that was asked', async () => {
    const { gate, remaining } = setUp({
      limits: {
        all: { tokens_per_minute: 1000 },
        perModel: { token_budget_per_day: 100, budget_per_day: 50 },
      },
      prices: { small: { prompt: 1e6, completion: 2e6 }, big: { prompt: 5e6 } },
    });
    const one = limitedRequest();
    gate.announce(one.context);
    await gate.reserve(one.context, work(10, 1, 'big'));
    one.used(['big', 3, 0], ['small', 20, 10]);
    gate.settle(one.context, undefined);
    const models = ['big', 'small'];
    expect(await remaining('token_budget_per_day', 'model:big', models)).toBe(97);
    expect(await remaining('budget_per_day', 'model:big', models)).toBe(35);
    expect(await remaining('token_budget_per_day', 'model:small', models)).toBe(70);
    expect(await remaining('budget_per_day', 'model:small', models)).toBe(10);
    expect(await remaining('tokens_per_minute')).toBe(967);
    const other = limitedRequest();
    gate.announce(other.context);
    await gate.reserve(other.context, work(1, 1, 'big'));
    other.used(['small', 200, 0]);
    gate.settle(other.context, undefined);
    expect(await remaining('token_budget_per_day', 'model:small', models)).toBe(0);
    expect(await remaining('token_budget_per_day', 'model:big', models)).toBe(97);
  });
});
