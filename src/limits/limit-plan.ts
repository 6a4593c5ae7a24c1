/**
 * Who is held to what: from the settings and a request's caller, address and model to the charges of a decision. Pure. A request is
 * decided twice: before its body is read, when only its caller is known, and when its model and size are.
 */
import type { Caller } from '../core/caller.ts';
import type { Milliseconds } from '../core/clock.ts';
import type { Limits } from '../core/limit-names.ts';
import {
  chargeOf,
  type LimitHolder,
  type LimitRule,
  type LimitScope,
  type RateLimitSetting,
  rateLimitRule,
  rulesOf,
  type UtcPeriods,
  utcPeriodsAt,
} from './limit-rule.ts';
import type { Charge, CounterState, LimitAdmission } from './limit-store.ts';

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
  readonly amounts: () => LimitedAmounts;
}

export interface LimitedAmounts {
  readonly tokens: number;
  readonly costNano: number;
}

/** The rules and the charges of a decision, in the same order. */
export interface PlannedCharges {
  readonly rules: readonly LimitRule[];
  readonly charges: readonly Charge[];
  /** Whose limits they are, each once. */
  readonly scopes: readonly LimitScope[];
}

/** What a decision was about, and what it says remains. */
export interface DecidedCharges extends PlannedCharges {
  readonly states: readonly CounterState[];
}

export interface CountedCharges extends DecidedCharges {
  readonly admission: LimitAdmission;
  isSettled: boolean;
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

/** Rules of one holder, or of several. */
interface RuleSet {
  readonly all: readonly LimitRule[];
  /** Those of tokens and money. */
  readonly used: readonly LimitRule[];
}

interface CallerRules extends RuleSet {
  /** Of the day for which they were made: they are made once for all requests of a caller on it. */
  readonly periods: UtcPeriods;
  readonly first: PlannedCharges;
}

export class LimitPlan {
  readonly #settings: LimitSettings;
  readonly #all: readonly LimitRule[];
  readonly #limitsAddresses: boolean;
  readonly #byCaller = new WeakMap<Caller, CallerRules>();
  readonly #byModel = new Map<string, readonly LimitRule[]>();
  #withoutCaller: CallerRules | undefined;
  #periods: UtcPeriods;

  constructor(settings: LimitSettings) {
    this.#settings = settings;
    this.#all = rulesOf(ALL, settings.all);
    this.#limitsAddresses = Object.keys(settings.perAddress).length > 0;
    this.#periods = utcPeriodsAt(0);
    this.#withoutCaller = undefined;
  }

  periods(wallNow: Milliseconds): UtcPeriods {
    if (wallNow >= this.#periods.dayEndsAt || wallNow < this.#periods.dayBeganAt)
      this.#periods = utcPeriodsAt(wallNow);
    return this.#periods;
  }

  /** Before the body: requests are counted, of tokens and money something must remain. */
  first({ caller, addressKey }: LimitedClient, wallNow: Milliseconds): PlannedCharges {
    const periods = this.periods(wallNow);
    const own = this.#rulesOf(caller, periods);
    const ofAddress = this.#addressRules(caller, addressKey);
    if (ofAddress.length === 0) return own.first;
    const charges = ofAddress.map((rule) => firstCharge(rule, periods));
    return {
      rules: [...own.first.rules, ...ofAddress],
      charges: [...own.first.charges, ...charges],
      scopes: [...own.first.scopes, 'address'],
    };
  }

  /** Once the model is known: what it may use, and the limits of the model. */
  second({ caller, addressKey }: LimitedClient, work: LimitedWork, wallNow: Milliseconds): PlannedCharges {
    const periods = this.periods(wallNow);
    const { used } = this.#rulesOf(caller, periods);
    const ofAddress = this.#addressRules(caller, addressKey).filter(isOfUse);
    const ofModel = this.modelRules(work.model);
    if (used.length === 0 && ofAddress.length === 0 && ofModel.length === 0) return NOTHING;
    const rules = [...used, ...ofAddress, ...ofModel];
    const amounts = work.amounts();
    return {
      rules,
      charges: rules.map((rule) => chargeOf(rule, amountOf(rule, amounts), periods)),
      scopes: scopesOf(rules),
    };
  }

  /** A model answered that was not asked for: what it used is counted in its limits, without a bound. */
  afterwards(model: string, amounts: LimitedAmounts, wallNow: Milliseconds): readonly Charge[] {
    const rules = this.modelRules(model);
    if (rules.length === 0) return [];
    const periods = this.periods(wallNow);
    return rules.filter(isOfUse).map((rule) => {
      const charge = chargeOf(rule, amountOf(rule, amounts), periods);
      return { ...charge, bound: { ...charge.bound, limit: Number.POSITIVE_INFINITY } };
    });
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
    const rules = rulesOf(holder, limits);
    if (rateLimit === undefined || rules.some(limitsRequests)) return rules;
    return [rateLimitRule(holder, rateLimit), ...rules];
  }

  teamRules(team: string): readonly LimitRule[] {
    const { perTeam, teams } = this.#settings;
    return rulesOf({ scope: 'team', id: team, name: team }, { ...perTeam, ...ownOf(teams, team) });
  }

  /** `model`: one that exists. */
  modelRules(model: string): readonly LimitRule[] {
    let rules = this.#byModel.get(model);
    if (rules === undefined) {
      const { perModel, models } = this.#settings;
      rules = rulesOf({ scope: 'model', id: model, name: model }, { ...perModel, ...ownOf(models, model) });
      this.#byModel.set(model, rules);
    }
    return rules;
  }

  #rulesOf(caller: Caller | undefined, periods: UtcPeriods): CallerRules {
    const known = caller === undefined ? this.#withoutCaller : this.#byCaller.get(caller);
    if (known?.periods === periods) return known;
    const own = caller === undefined ? [] : this.keyRules(caller);
    const ofTeam = caller?.team === undefined ? [] : this.teamRules(caller.team);
    const all = known?.all ?? [...own, ...ofTeam, ...this.#all];
    const charges = all.map((rule) => firstCharge(rule, periods));
    const first = { rules: all, charges, scopes: scopesOf(all) };
    const made = { all, used: all.filter(isOfUse), periods, first };
    if (caller === undefined) this.#withoutCaller = made;
    else this.#byCaller.set(caller, made);
    return made;
  }

  #addressRules(caller: Caller | undefined, addressKey: string): readonly LimitRule[] {
    const { rateLimit, perAddress } = this.#settings;
    const holder: LimitHolder = { scope: 'address', id: addressKey, name: '' };
    const own = this.#limitsAddresses ? rulesOf(holder, perAddress) : NO_RULES;
    if (caller !== undefined || rateLimit === undefined || own.some(limitsRequests)) return own;
    return [rateLimitRule(holder, rateLimit), ...own];
  }
}

const NO_RULES: readonly LimitRule[] = [];

/** A name may be that of a property that all objects have. */
function ownOf(limits: LimitsByName, name: string): Limits | undefined {
  return Object.hasOwn(limits, name) ? limits[name] : undefined;
}

function scopesOf(rules: readonly LimitRule[]): readonly LimitScope[] {
  return [...new Set(rules.map(({ holder }) => holder.scope))];
}

function limitsRequests({ counts, span }: LimitRule): boolean {
  return counts === 'requests' && span.kind === 'window';
}

function isOfUse({ counts }: LimitRule): boolean {
  return counts !== 'requests';
}

function firstCharge(rule: LimitRule, periods: UtcPeriods): Charge {
  return chargeOf(rule, isOfUse(rule) ? 0 : 1, periods);
}

function amountOf({ counts }: LimitRule, { tokens, costNano }: LimitedAmounts): number {
  if (counts === 'requests') return 1;
  return counts === 'tokens' ? tokens : costNano;
}
