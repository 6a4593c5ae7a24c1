/**
 * Holds requests to their limits. `check` counts a request before its body is read, so that no burst exceeds a limit; `reserve` counts the
 * tokens and the money that it may use, by the scheduler's estimate, once its model is known; `settle` replaces them by what it used.
 * A request that is refused, or turns out not to count, is taken back. Nothing is awaited where the store decides at once; where another
 * process decides, which gives out the slots as well, the request goes on meanwhile, and waits for both together.
 * Invariant: each admission is settled at most once, and one with requests at the same time exactly once.
 */

import type { Caller } from '../core/caller.ts';
import type { Clock } from '../core/clock.ts';
import type { ConsumedTry } from '../core/consumption.ts';
import { type ServingError, toServingError } from '../core/errors.ts';
import { type CountedCharges, LimitPlan, type PlannedCharges, takenBack } from '../limits/limit-plan.ts';
import { refusalOf } from '../limits/limit-refusal.ts';
import type { LimitRule, LimitScope } from '../limits/limit-rule.ts';
import type { CounterState, DecisionAhead, LimitDecision, LimitStore } from '../limits/limit-store.ts';
import { RunningCharges } from '../limits/running-charges.ts';
import type { Protocol } from '../protocols/protocol.ts';
import type { PendingAdmission } from '../serving/pending-admission.ts';
import { Prices } from '../usage/prices.ts';
import type { RefusalObserver, RequestContext } from './context.ts';
import { type KnownLimits, LimitHeaderTexts } from './limit-headers.ts';
import { type LimitRow, rowOf } from './limit-row.ts';
import { type ReservedWork, reservedAmounts } from './reserved-work.ts';
import type { EdgeSettings } from './settings.ts';

/** `undecided`: the store can't be asked, and then nothing is admitted. No limit refuses. */
export type LimitVerdict = 'allowed' | 'limited' | 'undecided';

interface LimitGateOptions {
  readonly clock: Clock;
  readonly store: LimitStore;
  readonly settings: Pick<EdgeSettings, 'limits' | 'prices' | 'currency'>;
  /** Paths of the limited routes. */
  readonly paths: ReadonlySet<string>;
  readonly protocolAt: (path: string) => Pick<Protocol, 'limitHeaders'>;
  /** Once for a request, when it is checked. */
  readonly onChecked: (verdict: LimitVerdict) => void;
  /** For each decision: which scopes took part; of one that refused, which refused. */
  readonly onDecision: (scope: LimitScope, verdict: 'allowed' | 'limited') => void;
}

/** Whose limits are asked for. */
interface LimitHolders {
  readonly ofServer?: boolean;
  readonly callers?: readonly Caller[];
  readonly teams?: readonly string[];
  readonly models?: readonly string[];
}

/** Errors before any work was done for the request. */
const UNCOUNTED_STATUSES: ReadonlySet<number> = new Set([401, 403, 413, 415, 429]);

function isCounted({ code, spec }: ServingError): boolean {
  return code !== 'invalid_json' && !UNCOUNTED_STATUSES.has(spec.status);
}

export class LimitGate implements RefusalObserver {
  readonly #options: LimitGateOptions;
  readonly #running: RunningCharges;
  readonly #texts = new LimitHeaderTexts();
  #plan: LimitPlan;
  #prices: Prices;
  #plannedFor: EdgeSettings['limits'];
  #pricedFor: EdgeSettings['prices'];

  constructor(options: LimitGateOptions) {
    const { limits, prices } = options.settings;
    const { clock, store } = options;
    this.#options = options;
    this.#running = new RunningCharges({ clock, store, usedOf: (rule, tries) => this.#usedOf(rule, tries) });
    this.#plan = new LimitPlan(limits);
    this.#prices = new Prices(prices);
    this.#plannedFor = limits;
    this.#pricedFor = prices;
  }

  /** After the key was checked, before any step that refuses: from here on the answer has the headers of limits. */
  readonly announce = (context: RequestContext): void => {
    if (this.#options.paths.has(context.routePath)) context.onRefusal = this;
  };

  /** After the steps that look only at the headers of a request. */
  readonly check = (context: RequestContext): void | Promise<void> => {
    if (context.onRefusal === undefined) return;
    const planned = this.#currentPlan().first(context, this.#options.clock.wallNow());
    if (planned.charges.length === 0) return;
    if (mayGoOn(context)) {
      const ahead = this.#options.store.decideAhead?.(planned.charges, undefined);
      if (ahead !== undefined) {
        goOn(context, ahead, (decision) => this.#checked(context, planned, decision));
        return;
      }
    }
    const decision = this.#options.store.decide(planned.charges);
    if (decision instanceof Promise) return decision.then((late) => this.#checked(context, planned, late));
    this.#checked(context, planned, decision);
  };

  /**
   * Throws `rate_limited` or `budget_exceeded`. `work`: absent of a request that takes no slot. `settle` has to follow at the request's end,
   * also where this throws. Returns an admission where the request may wait for its slot while its limits are decided.
   */
  reserve(
    context: RequestContext,
    work: ReservedWork | undefined,
  ): undefined | Promise<void> | PendingAdmission {
    if (context.onRefusal === undefined) return undefined;
    const pending = context.pendingLimits;
    const planned = work && this.#planReservation(context, work);
    if (planned === undefined || planned.charges.length === 0) {
      const admitted = pending?.admitted.then(() => this.#setHeaders(context));
      if (pending === undefined) this.#setHeaders(context);
      return work !== undefined && pending && admitted ? { call: pending.call, admitted } : admitted;
    }
    const ahead = this.#options.store.decideAhead?.(planned.charges, pending?.call);
    if (ahead !== undefined)
      return goOn(context, ahead, (decision) => this.#reserved(context, planned, decision));
    const decision = this.#options.store.decide(planned.charges);
    if (decision instanceof Promise) return decision.then((late) => this.#reserved(context, planned, late));
    this.#reserved(context, planned, decision);
    return undefined;
  }

  /** All tries of the request have ended. `error`: what it failed with. */
  settle({ limits, trace: { consumed } }: RequestContext, error: ServingError | undefined): void {
    const second = limits?.second;
    const tries = consumed?.tries ?? [];
    this.#countFallbacks(second, tries);
    if (second === undefined) return;
    this.#running.ended(second);
    const requests = error === undefined || isCounted(error) ? 1 : 0;
    this.#settle(second, (rule) => {
      if (rule.span.kind === 'now') return 0;
      if (rule.counts === 'requests') return requests;
      return this.#usedOf(rule, tries);
    });
  }

  /** Of tokens or money. */
  #usedOf({ counts, holder }: LimitRule, tries: readonly ConsumedTry[]): number {
    const own = holder.scope === 'model' ? tries.filter(({ model }) => model === holder.id) : tries;
    return counts === 'tokens' ? tokensOf(own) : this.#prices.costNanoOf(own);
  }

  /** What is given back is counted in another process. */
  get givesBackElsewhere(): boolean {
    return this.#options.store.flush !== undefined;
  }

  /** What was given back is counted before anybody can know of it. */
  flush(): void {
    this.#options.store.flush?.();
  }

  /** It counts no longer among those at the same time, and its store need not keep it. */
  ended({ limits }: RequestContext): void {
    if (limits?.first !== undefined)
      this.#settle(limits.first, ({ span, counts }) =>
        span.kind === 'now' || counts !== 'requests' ? 0 : 1,
      );
  }

  /** Models that were not asked for answered: what they used is counted in their limits, whatever remains there. */
  #countFallbacks(second: CountedCharges | undefined, tries: readonly ConsumedTry[]): void {
    const plan = this.#currentPlan();
    if (!plan.limitsModels) return;
    for (const each of tries) {
      if (second?.rules.some(({ holder }) => holder.scope === 'model' && holder.id === each.model)) continue;
      const amounts = { tokens: tokensOf([each]), costNano: this.#prices.costNano(each.model, each) };
      const charges = plan.afterwards(each.model, amounts, this.#options.clock.wallNow());
      if (charges.length > 0) void this.#options.store.decide(charges, { isFinal: true });
    }
  }

  refused(context: RequestContext, error: ServingError): undefined | Promise<ServingError | undefined> {
    const { pendingLimits } = context;
    if (pendingLimits !== undefined) return this.#refusedOnceKnown(context, error, pendingLimits);
    return this.#refused(context, error)?.then(() => undefined);
  }

  /** A refusal by limits goes before what was found out about the request meanwhile. */
  async #refusedOnceKnown(
    context: RequestContext,
    error: ServingError,
    { admitted }: PendingAdmission,
  ): Promise<ServingError> {
    const first = await admitted.then(() => error, toServingError);
    await this.#refused(context, first);
    return first;
  }

  #refused(context: RequestContext, error: ServingError): Promise<void> | undefined {
    context.onRefusal = undefined;
    const { limits } = context;
    if (limits?.first !== undefined && !isCounted(error)) {
      this.#settle(limits.first, () => 0);
      this.flush();
      limits.first = takenBack(limits.first);
    }
    if (limits !== undefined) {
      this.#setHeaders(context);
      return undefined;
    }
    // Refused before it was counted. A shared store is not asked for headers alone.
    const { clock, store } = this.#options;
    if (store.isShared) return undefined;
    const planned = this.#currentPlan().first(context, clock.wallNow());
    const { rules, charges } = planned;
    if (charges.length === 0) return undefined;
    const show = (states: readonly CounterState[]) => this.#show(context, { rules, states }, false);
    const states = store.peek(charges);
    // Where it is not known, the answer does without.
    if (states instanceof Promise) return states.then(show, () => {});
    show(states);
    return undefined;
  }

  /** The limits of these, with what remains. */
  statesOf({
    ofServer = true,
    callers = [],
    teams = [],
    models = [],
  }: LimitHolders): LimitRow[] | Promise<LimitRow[]> {
    const { clock, store } = this.#options;
    const plan = this.#currentPlan();
    const rules = [
      ...(ofServer ? plan.sharedRules() : []),
      ...teams.flatMap((team) => plan.teamRules(team)),
      ...callers.flatMap((caller) => plan.keyRules(caller)),
      ...models.flatMap((model) => plan.modelRules(model)),
    ];
    const wallNow = clock.wallNow();
    const periods = plan.periods(wallNow);
    const charges = plan.chargesOf(rules, periods);
    const states = store.peek(charges);
    const rows = (known: readonly CounterState[]) =>
      known.flatMap((state, index) => {
        const rule = rules[index];
        return rule === undefined ? [] : rowOf(rule, { state, wallNow, periods });
      });
    return states instanceof Promise ? states.then(rows) : rows(states);
  }

  /** A reload replaces the settings as a whole. */
  #currentPlan(): LimitPlan {
    const { limits, prices } = this.#options.settings;
    if (limits !== this.#plannedFor) {
      this.#plan = new LimitPlan(limits);
      this.#plannedFor = limits;
    }
    if (prices !== this.#pricedFor) {
      this.#prices = new Prices(prices);
      this.#pricedFor = prices;
    }
    return this.#plan;
  }

  #planReservation(context: RequestContext, { model, size }: ReservedWork): PlannedCharges {
    const amounts = () => reservedAmounts(model, size(), this.#prices);
    return this.#currentPlan().second(context, { model, amounts }, this.#options.clock.wallNow());
  }

  #checked(context: RequestContext, planned: PlannedCharges, decision: LimitDecision): void {
    this.#options.onChecked(verdictOf(decision));
    const first = this.#counted(context, planned, decision);
    context.limits = { first, second: undefined, refusal: undefined };
    if (!this.#options.store.keepsAdmissions && !planned.rules.some(({ span }) => span.kind === 'now'))
      return;
    // The client may have left while the store decided.
    if (context.isClosed) this.ended(context);
    else context.onClose(() => this.ended(context));
  }

  #reserved(context: RequestContext, planned: PlannedCharges, decision: LimitDecision): void {
    const second = this.#counted(context, planned, decision);
    if (context.limits === undefined) context.limits = { first: undefined, second, refusal: undefined };
    else context.limits.second = second;
    this.#running.begun(second, context.trace);
    this.#setHeaders(context);
  }

  /** Throws the refusal. */
  #counted(
    context: RequestContext,
    { rules, charges, scopes, isGuess }: PlannedCharges,
    { admission, states }: LimitDecision,
  ): CountedCharges {
    if (admission !== undefined) {
      for (const scope of scopes) this.#options.onDecision(scope, 'allowed');
      const settlement = { isSettled: false, runsAt: undefined };
      return { rules, charges, scopes, states, admission, ...settlement };
    }
    const refusal = { rules, charges, scopes, states, isGuess };
    if (context.limits === undefined) context.limits = { first: undefined, second: undefined, refusal };
    else context.limits.refusal = refusal;
    for (const scope of scopes)
      if (rules.some(({ holder }, index) => holder.scope === scope && states[index]?.retryInMs !== 0))
        this.#options.onDecision(scope, 'limited');
    throw refusalOf(refusal, this.#options.settings.currency);
  }

  #settle(counted: CountedCharges, amountOf: (rule: LimitRule) => number): void {
    if (counted.isSettled) return;
    counted.isSettled = true;
    this.#options.store.settle(counted.admission, counted.rules.map(amountOf));
  }

  #setHeaders(context: RequestContext): void {
    const { first, second, refusal } = context.limits ?? {};
    // What remains is not known.
    if (refusal !== undefined && isUndecided(refusal.states)) return;
    const known = refusal ?? second;
    if (known === undefined) {
      if (first !== undefined) this.#show(context, first, false);
      return;
    }
    const refused = refusal !== undefined;
    this.#show(context, known, refused, first);
  }

  #show(context: RequestContext, known: KnownLimits, refused: boolean, first?: KnownLimits): void {
    const { clock, protocolAt } = this.#options;
    const { limitHeaders } = protocolAt(context.routePath);
    const wallNow = clock.wallNow();
    context.setLimitHeaders(this.#texts.headersOf(known, { first, refused, wallNow, limitHeaders }));
  }
}

/** It waits for what its limits say before anything of it is answered, and its body needs no leave to be sent. */
function mayGoOn({ match, awaitsContinue }: RequestContext): boolean {
  return match?.route.asksModel === true && !awaitsContinue;
}

/** `known` throws what refuses the request, which then stays pending: nothing more is asked for it. */
function goOn(
  context: RequestContext,
  { call, decision }: DecisionAhead,
  known: (decision: LimitDecision) => void,
): PendingAdmission {
  const before = context.pendingLimits?.admitted;
  const admitted = (before === undefined ? decision : before.then(() => decision)).then((late) => {
    known(late);
    if (context.pendingLimits === pending) context.pendingLimits = undefined;
  });
  const pending: PendingAdmission = { call, admitted };
  context.pendingLimits = pending;
  // Whoever waits for it hears of the refusal.
  admitted.catch(() => {});
  return pending;
}

function tokensOf(tries: readonly ConsumedTry[]): number {
  let sum = 0;
  for (const { promptTokens, completionTokens } of tries) sum += promptTokens + completionTokens;
  return sum;
}

function verdictOf({ admission, states }: LimitDecision): LimitVerdict {
  if (admission !== undefined) return 'allowed';
  return isUndecided(states) ? 'undecided' : 'limited';
}

/** Of a refusal: by no limit. */
function isUndecided(states: readonly CounterState[]): boolean {
  return states.every(({ retryInMs }) => retryInMs === 0);
}
