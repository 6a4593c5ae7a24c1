/**
 * How many threads compute: at most as many as there are usable cores (`chooseThreads`), and step by step as many as are
 * fastest at the moment (`ThreadGovernor`). Pure, but for `coresOfThisProcess`: costs, times and files come in.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Milliseconds } from '../../../core/clock.ts';

const TRIAL_STEPS = 2;
const STEPS_BEFORE_A_TRIAL = 4;
const NEWEST_WEIGHT = 0.3;
/** Steps that are slower than the best by so much share the cores with other load. */
const SLOW_FACTOR = 2.5;
/** A change must gain this much, and a trial that is worse by the other factor ends at once. */
const MIN_GAIN_FACTOR = 1.3;
const HOPELESS_FACTOR = 3;
const FIRST_PAUSE_MS = 2000;
const MAX_PAUSE_MS = 30_000;

interface Trial {
  readonly level: number;
  steps: number;
  totalCost: number;
}

/**
 * Chooses the threads of the next decode step. All cores are fastest while the engine has them to itself; beside other
 * load the threads of a step wait for each other at every layer, and fewer are many times faster. So it measures: it
 * keeps one level until steps get slow, then tries the level below; later the level above, less and less often. Owns
 * what it has measured.
 */
export class ThreadGovernor {
  /** Most first: 8, 4, 2, 1. */
  readonly #levels: readonly number[];
  readonly #costs = new StepCosts();
  #level = 0;
  #steps = 0;
  #cost = 0;
  #bestCost = Number.POSITIVE_INFINITY;
  #compared = false;
  #trial: Trial | undefined;
  #pauseMs: Milliseconds = FIRST_PAUSE_MS;
  #nextTrialAt: Milliseconds = 0;

  constructor(maxThreads: number) {
    const levels: number[] = [];
    for (let threads = maxThreads; threads >= 1; threads = Math.floor(threads / 2)) levels.push(threads);
    this.#levels = levels;
  }

  get threads(): number {
    return this.#levels[this.#trial?.level ?? this.#level] ?? 1;
  }

  /** The step that took `threads` is over. */
  recordStep(step: { readonly tokens: number; readonly durationMs: Milliseconds }, now: Milliseconds): void {
    this.record(this.#costs.relative(step.tokens, step.durationMs), now);
  }

  /** The same. `cost`: the time of the step relative to its work, in any unit. */
  record(cost: number, now: Milliseconds): void {
    if (this.#trial) {
      this.#recordTrial(this.#trial, cost, now);
      return;
    }
    this.#steps += 1;
    this.#cost = this.#steps === 1 ? cost : this.#cost + NEWEST_WEIGHT * (cost - this.#cost);
    if (this.#steps < STEPS_BEFORE_A_TRIAL) return;
    this.#bestCost = Math.min(this.#bestCost, this.#cost);
    const level = this.#levelToTry(now);
    if (level !== undefined) this.#trial = { level, steps: 0, totalCost: 0 };
  }

  #levelToTry(now: Milliseconds): number | undefined {
    const hasBelow = this.#level + 1 < this.#levels.length;
    if (hasBelow && !this.#compared) return this.#level + 1;
    if (now < this.#nextTrialAt) return undefined;
    if (hasBelow && this.#cost > SLOW_FACTOR * this.#bestCost) return this.#level + 1;
    return this.#level > 0 ? this.#level - 1 : undefined;
  }

  #recordTrial(trial: Trial, cost: number, now: Milliseconds): void {
    trial.steps += 1;
    trial.totalCost += cost;
    const hopeless = cost > HOPELESS_FACTOR * this.#cost;
    if (trial.steps < TRIAL_STEPS && !hopeless) return;
    const better = trial.totalCost / trial.steps < this.#cost / MIN_GAIN_FACTOR;
    const down = trial.level > this.#level;
    this.#trial = undefined;
    this.#compared = true;
    if (better) {
      this.#moveTo(trial.level, now, down);
      return;
    }
    this.#pauseMs = Math.min(MAX_PAUSE_MS, this.#pauseMs * 2);
    this.#nextTrialAt = now + this.#pauseMs;
  }

  #moveTo(level: number, now: Milliseconds, down: boolean): void {
    this.#level = level;
    this.#steps = 0;
    this.#bestCost = Number.POSITIVE_INFINITY;
    // Below, the next level down is worth a comparison at once; above, the one left has just been compared.
    this.#compared = !down;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#nextTrialAt = now + this.#pauseMs;
  }
}

/** Up to here each number of tokens is a kind of step of its own; above, each doubling is. */
const MAX_SINGLE_KIND = 16;

/**
 * How slow a decode step was, relative to the fastest of its kind: 1 is the fastest. Steps of few and of many tokens are
 * not comparable: what a token costs in each depends on the machine. Owns the fastest of each kind.
 */
export class StepCosts {
  /** Per token, by kind. */
  readonly #fastestMs = new Map<number, Milliseconds>();

  relative(tokens: number, durationMs: Milliseconds): number {
    const kind = tokens <= MAX_SINGLE_KIND ? tokens : 2 ** Math.ceil(Math.log2(tokens));
    const tokenMs = durationMs / tokens;
    const fastestMs = Math.min(this.#fastestMs.get(kind) ?? tokenMs, tokenMs);
    this.#fastestMs.set(kind, fastestMs);
    return tokenMs / fastestMs;
  }
}

export interface ThreadChoice {
  readonly threads: number;
  /** Completes "2 threads: …". */
  readonly why: string;
  /** Set if the configured number is not available. */
  readonly warning?: string;
}

/** The maximum number of threads, and why, in words for the log. Never more than usable cores. */
export function chooseThreads(configured: number | undefined, usable: UsableCores): ThreadChoice {
  const limit = describeLimit(usable);
  if (configured === undefined) return { threads: usable.cores, why: `one per core; ${limit}` };
  if (configured <= usable.cores) return { threads: configured, why: 'as configured' };
  return {
    threads: usable.cores,
    why: `fewer than configured; ${limit}`,
    warning:
      `threads is ${configured}, but this process may use ${cores(usable.cores)} (${limit}): ` +
      `${usable.cores} ${usable.cores === 1 ? 'is' : 'are'} used. More would wait for each other at every layer.`,
  };
}

function describeLimit({ available, quota }: UsableCores): string {
  if (quota === undefined) return `${cores(available)} available`;
  const worth = Number(quota.cores.toFixed(2));
  return `${quota.file} allows ${worth} of ${cores(available)}${worth > 1 ? ', rounded down to whole ones' : ''}`;
}

function cores(count: number): string {
  return count === 1 ? '1 core' : `${count} cores`;
}

interface CoreSources {
  /** Cores that the affinity mask allows. */
  readonly available: number;
  /** A file's text; undefined if it does not exist or may not be read. */
  readonly readFile: (path: string) => string | undefined;
}

interface CpuQuota {
  /** Cores that the quota is worth; rarely a whole number. */
  readonly cores: number;
  /** The file with the quota. */
  readonly file: string;
}

interface UsableCores {
  readonly cores: number;
  readonly available: number;
  /** The tightest quota, if it is lower than what the affinity allows. */
  readonly quota?: CpuQuota;
}

/**
 * How many cores a process may really use: those its affinity allows, or fewer if its control group has a CPU quota (a
 * container's limit). At least 1, and whole cores, rounded down: the threads of a decode step wait for each other, and a
 * thread above the quota gets all of them, and the API beside them, stopped for the rest of every period.
 */
export function usableCores(sources: CoreSources): UsableCores {
  const { available } = sources;
  const [tightest] = cpuQuotas(sources.readFile).sort((a, b) => a.cores - b.cores);
  if (tightest === undefined || tightest.cores >= available) return { cores: available, available };
  return { cores: Math.max(1, Math.floor(tightest.cores)), available, quota: tightest };
}

/** "/proc/self/cgroup" has a line for each hierarchy: number, controllers, path; version 2 names no controllers. */
interface Membership {
  readonly version: 1 | 2;
  readonly path: string;
}

interface Mount {
  readonly version: 1 | 2;
  /** The group that is seen at the mount point. */
  readonly root: string;
  readonly point: string;
}

function cpuQuotas(readFile: CoreSources['readFile']): CpuQuota[] {
  const memberships = parseMemberships(readFile('/proc/self/cgroup') ?? '');
  const mounts = parseMounts(readFile('/proc/self/mountinfo') ?? '');
  return memberships.flatMap(({ version, path }) =>
    mounts
      .filter((mount) => mount.version === version)
      .flatMap((mount) => foldersUpwards(mount, path))
      .flatMap((folder) => (version === 2 ? readVersion2(folder, readFile) : readVersion1(folder, readFile))),
  );
}

function parseMemberships(text: string): Membership[] {
  return text.split('\n').flatMap((line): Membership[] => {
    const [number, controllers, ...path] = line.split(':');
    if (number === undefined || controllers === undefined || path.length === 0) return [];
    if (controllers === '') return [{ version: 2, path: path.join(':') }];
    return controllers.split(',').includes('cpu') ? [{ version: 1, path: path.join(':') }] : [];
  });
}

/** A line of "/proc/self/mountinfo": …, root, mount point, …, "-", file system, source, options of the file system. */
function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line): Mount[] => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, point] = before.split(' ');
    const [system, , options = ''] = after.split(' ');
    if (root === undefined || point === undefined) return [];
    const at = { root: unescapeOctal(root), point: unescapeOctal(point) };
    if (system === 'cgroup2') return [{ version: 2, ...at }];
    return system === 'cgroup' && options.split(',').includes('cpu') ? [{ version: 1, ...at }] : [];
  });
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** The process's own group first, then those above it as far as they can be seen: each of them may have a quota. */
function foldersUpwards({ root, point }: Mount, path: string): string[] {
  const names = namesBelow(root, path);
  return Array.from({ length: names.length + 1 }, (_, up) =>
    [point, ...names.slice(0, names.length - up)].join('/').replaceAll('//', '/'),
  );
}

/** A path that is not below what is mounted cannot be seen from here: then the mount's own group has to do. */
function namesBelow(root: string, path: string): string[] {
  const above = root.split('/').filter((name) => name !== '');
  const names = path.split('/').filter((name) => name !== '');
  const isBelow = above.every((name, index) => names[index] === name) && !names.includes('..');
  return isBelow ? names.slice(above.length) : [];
}

/** "150000 100000" is one and a half cores, "max 100000" no limit. */
function readVersion2(folder: string, readFile: CoreSources['readFile']): CpuQuota[] {
  const file = `${folder}/cpu.max`;
  const [quota = '', period = ''] = (readFile(file) ?? '').trim().split(/\s+/);
  return quotaOf({ file, quota, period });
}

/** −1 is no limit. */
function readVersion1(folder: string, readFile: CoreSources['readFile']): CpuQuota[] {
  const file = `${folder}/cpu.cfs_quota_us`;
  return quotaOf({
    file,
    quota: readFile(file) ?? '',
    period: readFile(`${folder}/cpu.cfs_period_us`) ?? '',
  });
}

function quotaOf(from: {
  readonly file: string;
  readonly quota: string;
  readonly period: string;
}): CpuQuota[] {
  const cores = Number(from.quota) / Number(from.period);
  return Number.isFinite(cores) && cores > 0 ? [{ cores, file: from.file }] : [];
}

export function coresOfThisProcess(): UsableCores {
  return usableCores({ available: availableParallelism(), readFile });
}

/** On other systems than Linux there are no such files, and no such limits. */
function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
