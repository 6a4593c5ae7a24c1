/**
 * Who is held to what: from the settings and a request's caller, address and model to the charges of a decision. Pure. A request is
 * decided twice: before its body is read, when only its caller is known, and when its model and size are.
 */
import type { Caller } from '../core/caller.ts';
import type { Milliseconds } from '../core/clock.ts';
import type { Limits } from '../core/limit-names.ts';
import {
  counterAt,
  heldBy,
  type LimitHolder,
  type LimitRule,
  type LimitScope,
  type RateLimitSetting,
  rateLimitRule,
  rulesOf,
  type UtcPeriods,
  utcPeriodsAt,
} from './limit-rule.ts';
import { type Charge, type CounterState, type LimitAdmission, withoutLimit } from './limit-store.ts';
import { PlacedCharge } from './placed-charge.ts';
import { SharedBounds } from './shared-bounds.ts';

type LimitsByName = Readonly<Record<string, Limits>>;

export interface LimitSettings {
  /** Undefined: off. Of each key without a limit of its own on requests, and of each address without a key. */
  readonly rateLimit: RateLimitSetting | undefined;
  readonly all: Limits;
  readonly perKey: Limits;
  readonly perTeam: Limits;
  readonly perAddress: Limits;
  readonly perModel: Limits;
  /** In place of the ones above, limit by limit. */
  readonly keys: LimitsByName;
  readonly teams: LimitsByName;
  readonly models: LimitsByName;
}

/** Who asks. */
export interface LimitedClient {
  readonly caller: Caller | undefined;
  readonly addressKey: string;
}

/** What is asked of a model, by the estimate. `amounts` is only asked where something limits them. */
interface LimitedWork {
  readonly model: string;
  readonly amounts: () => EstimatedAmounts;
}

export interface EstimatedAmounts {
  readonly expected: LimitedAmounts;
  /** Absent: all of it is what the client has asked for. */
  readonly guessed?: GuessedAmounts | undefined;
}

/** Nobody has said how long the answers may be. */
interface GuessedAmounts {
  /** What the client has asked for itself; the rest is a guess. */
  readonly asked: LimitedAmounts;
  readonly answers: number;
}

export interface LimitedAmounts {
  readonly tokens: number;
  readonly costNano: number;
}

/** The rules and the charges of a decision, in the same order. */
export interface PlannedCharges {
  readonly rules: readonly LimitRule[];
  readonly charges: readonly PlacedCharge[];
  /** Whose limits they are, each once. */
  readonly scopes: readonly LimitScope[];
  /** Nobody has said how long the answer may be. */
  readonly isGuess?: boolean | undefined;
}

/** What a decision was about, and what it says remains. */
export interface DecidedCharges extends PlannedCharges {
  readonly states: readonly CounterState[];
}

export interface CountedCharges extends DecidedCharges {
  readonly admission: LimitAdmission;
  isSettled: boolean;
  /** Its place among those that run. */
  runsAt: number | undefined;
}

/** What limits hold of one request. */
export interface HeldLimits {
  /** Before its body is read, and once its model is known. */
  first: CountedCharges | undefined;
  second: CountedCharges | undefined;
  /** The decision that refused it. */
  refusal: DecidedCharges | undefined;
}

const NOTHING: PlannedCharges = { rules: [], charges: [], scopes: [] };
const ALL: LimitHolder = { scope: 'all', id: '', name: '' };
const NOT_KNOWN: LimitedAmounts = { tokens: 0, costNano: 0 };
const ANY_ADDRESS: LimitHolder = { scope: 'address', id: '', name: '' };

/** Made once a day for all requests of a caller. */
interface CallerPlan {
  readonly periods: UtcPeriods;
  readonly first: PlannedCharges;
  /** Of tokens and money: as in the first. */
  readonly used: PlannedCharges;
}

interface ModelPlan {
  readonly periods: UtcPeriods;
  readonly planned: PlannedCharges;
}

export class LimitPlan {
  readonly #settings: LimitSettings;
  readonly #all: readonly LimitRule[];
  /** For any address: with a key, without one, and of both those of tokens and money. */
  readonly #addressWithKey: readonly LimitRule[];
  readonly #addressWithoutKey: readonly LimitRule[];
  readonly #addressUsed: readonly LimitRule[];
  readonly #limitsModels: boolean;
  readonly #bounds = new SharedBounds();
  readonly #byCaller = new WeakMap<Caller, CallerPlan>();
  readonly #byModel = new Map<string, ModelPlan>();
  #withoutCaller: CallerPlan | undefined;
  #periods: UtcPeriods;

  constructor(settings: LimitSettings) {
    const { rateLimit, perAddress, perModel, models } = settings;
    this.#settings = settings;
    this.#all = rulesOf(ALL, settings.all);
    this.#addressWithKey = rulesOf(ANY_ADDRESS, perAddress);
    this.#addressWithoutKey = withRateLimit(ANY_ADDRESS, this.#addressWithKey, rateLimit);
    this.#addressUsed = this.#addressWithKey.filter(({ counts }) => counts !== 'requests');
    this.#limitsModels = [perModel, models].some((limits) => Object.keys(limits).length > 0);
    this.#periods = utcPeriodsAt(0);
    this.#withoutCaller = undefined;
  }

  /** Some model has limits. */
  get limitsModels(): boolean {
    return this.#limitsModels;
  }

  periods(wallNow: Milliseconds): UtcPeriods {
    if (wallNow >= this.#periods.dayEndsAt || wallNow < this.#periods.dayBeganAt)
      this.#periods = utcPeriodsAt(wallNow);
    return this.#periods;
  }

  /** Before the body: requests are counted, of tokens and money something must remain. */
  first({ caller, addressKey }: LimitedClient, wallNow: Milliseconds): PlannedCharges {
    const periods = this.periods(wallNow);
    const { first } = this.#planOf(caller, periods);
    const ofAddress = caller === undefined ? this.#addressWithoutKey : this.#addressWithKey;
    if (ofAddress.length === 0) return first;
    return joined([first, this.#ofAddress(ofAddress, addressKey, periods)]);
  }

  /** Once the model is known: what it may use, and the limits of the model. */
  second({ caller, addressKey }: LimitedClient, work: LimitedWork, wallNow: Milliseconds): PlannedCharges {
    const periods = this.periods(wallNow);
    const parts = [this.#planOf(caller, periods).used];
    if (this.#addressUsed.length > 0) parts.push(this.#ofAddress(this.#addressUsed, addressKey, periods));
    const ofModel = this.#planOfModel(work.model, periods);
    if (ofModel.rules.length > 0) parts.push(ofModel);
    const planned = joined(parts);
    return planned.rules.length === 0 ? NOTHING : withAmounts(planned, work.amounts());
  }

  /** A model answered that was not asked for: what it used is counted in its limits, without a bound. */
  afterwards(model: string, amounts: LimitedAmounts, wallNow: Milliseconds): readonly Charge[] {
    const used = onlyUsed(this.#planOfModel(model, this.periods(wallNow)));
    return withAmounts(used, { expected: amounts }).charges.map((charge) =>
      withoutLimit(charge, charge.amount),
    );
  }

  /** For a list of what is limited: those of the server, of a caller with its team. */
  sharedRules(): readonly LimitRule[] {
    return this.#all;
  }

  keyRules(caller: Caller): readonly LimitRule[] {
    const { rateLimit, perKey, keys } = this.#settings;
    const byConfiguration = caller.source === 'configuration' ? ownOf(keys, caller.name) : undefined;
    const limits = { ...perKey, ...byConfiguration, ...caller.limits };
    const holder: LimitHolder = { scope: 'key', id: caller.id, name: caller.name };
    return withRateLimit(holder, rulesOf(holder, limits), rateLimit);
  }

  teamRules(team: string): readonly LimitRule[] {
    const { perTeam, teams } = this.#settings;
    return rulesOf({ scope: 'team', id: team, name: team }, { ...perTeam, ...ownOf(teams, team) });
  }

  /** `model`: one that exists. */
  modelRules(model: string): readonly LimitRule[] {
    return this.#planOfModel(model, this.#periods).rules;
  }

  /** To ask what remains of limits, whoever's they are. */
  chargesOf(rules: readonly LimitRule[], periods: UtcPeriods): readonly Charge[] {
    return rules.map((rule) => this.#chargeOf(rule, 0, periods));
  }

  #planOfModel(model: string, periods: UtcPeriods): PlannedCharges {
    const known = this.#byModel.get(model);
    if (known?.periods === periods) return known.planned;
    const { perModel, models } = this.#settings;
    const holder: LimitHolder = { scope: 'model', id: model, name: model };
    const rules = known?.planned.rules ?? rulesOf(holder, { ...perModel, ...ownOf(models, model) });
    const planned = this.#planned(rules, periods);
    this.#byModel.set(model, { periods, planned });
    return planned;
  }

  #planOf(caller: Caller | undefined, periods: UtcPeriods): CallerPlan {
    const known = caller === undefined ? this.#withoutCaller : this.#byCaller.get(caller);
    if (known?.periods === periods) return known;
    const own = caller === undefined ? [] : this.keyRules(caller);
    const ofTeam = caller?.team === undefined ? [] : this.teamRules(caller.team);
    const first = this.#planned(known?.first.rules ?? [...own, ...ofTeam, ...this.#all], periods);
    const made = { periods, first, used: onlyUsed(first) };
    if (caller === undefined) this.#withoutCaller = made;
    else this.#byCaller.set(caller, made);
    return made;
  }

  #ofAddress(rules: readonly LimitRule[], addressKey: string, periods: UtcPeriods): PlannedCharges {
    const holder: LimitHolder = { scope: 'address', id: addressKey, name: '' };
    return this.#planned(
      rules.map((rule) => heldBy(holder, rule)),
      periods,
    );
  }

  /** As of a request of which nothing is known yet. */
  #planned(rules: readonly LimitRule[], periods: UtcPeriods): PlannedCharges {
    const charges = rules.map((rule) => this.#chargeOf(rule, amountOf(rule, NOT_KNOWN), periods));
    return { rules, charges, scopes: scopesOf(rules) };
  }

  #chargeOf(rule: LimitRule, amount: number, periods: UtcPeriods): PlacedCharge {
    return new PlacedCharge(counterAt(rule, periods), this.#bounds.of(rule, periods), amount);
  }
}

/** A name may be that of a property that all objects have. */
function ownOf(limits: LimitsByName, name: string): Limits | undefined {
  return Object.hasOwn(limits, name) ? limits[name] : undefined;
}

function withRateLimit(
  holder: LimitHolder,
  rules: readonly LimitRule[],
  rateLimit: RateLimitSetting | undefined,
): readonly LimitRule[] {
  if (rateLimit === undefined || rules.some(limitsRequests)) return rules;
  return [rateLimitRule(holder, rateLimit), ...rules];
}

function onlyUsed({ rules, charges }: PlannedCharges): PlannedCharges {
  const isUsed = (_: unknown, index: number) => rules[index]?.counts !== 'requests';
  const used = rules.filter(isUsed);
  return { rules: used, charges: charges.filter(isUsed), scopes: scopesOf(used) };
}

/** No two of them have a scope in common. */
function joined(parts: readonly PlannedCharges[]): PlannedCharges {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  return {
    rules: parts.flatMap(({ rules }) => rules),
    charges: parts.flatMap(({ charges }) => charges),
    scopes: parts.flatMap(({ scopes }) => scopes),
  };
}

/** A guess takes a tenth of a limit at most for each answer, and five for a request. What they use beyond is counted while they run. */
const MAX_GUESSED_TENTHS = 5;

function withAmounts(
  { rules, charges, scopes }: PlannedCharges,
  { expected, guessed }: EstimatedAmounts,
): PlannedCharges {
  const tenths = Math.min(MAX_GUESSED_TENTHS, guessed?.answers ?? 0);
  const changed: PlacedCharge[] = [];
  for (let index = 0; index < rules.length; index += 1) {
    const [rule, charge] = [rules[index], charges[index]];
    if (rule === undefined || charge === undefined) continue;
    let amount = amountOf(rule, expected);
    if (guessed !== undefined && rule.counts !== 'requests')
      amount = Math.max(
        amountOf(rule, guessed.asked),
        Math.min(amount, Math.ceil((tenths * charge.bound.limit) / 10)),
      );
    changed.push(charge.withAmount(amount));
  }
  return { rules, charges: changed, scopes, isGuess: guessed !== undefined };
}

function scopesOf(rules: readonly LimitRule[]): readonly LimitScope[] {
  return [...new Set(rules.map(({ holder }) => holder.scope))];
}

function limitsRequests({ counts, span }: LimitRule): boolean {
  return counts === 'requests' && span.kind === 'window';
}

function amountOf({ counts }: LimitRule, { tokens, costNano }: LimitedAmounts): number {
  if (counts === 'requests') return 1;
  return counts === 'tokens' ? tokens : costNano;
}

/** As it would be if the request had not come. */
export function takenBack(counted: CountedCharges): CountedCharges {
  const states = counted.states.map((state, index) => {
    const amount = counted.charges[index]?.amount ?? 0;
    const remaining = Math.min(state.limit, state.remaining + amount);
    return { limit: state.limit, remaining, retryInMs: amount > 0 && remaining > 0 ? 0 : state.retryInMs };
  });
  return { ...counted, states };
}
