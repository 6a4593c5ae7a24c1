/** Puts another configuration in force while the server runs: POST /admin/reload, SIGHUP, a changed file. */
import type { BackendEnvironment } from './backends/backend-definition.ts';
import { rateLimitNotice, type StoredKeys } from './config/access-rules.ts';
import type { Config } from './config/config.ts';
import { ConfigError } from './config/config-error.ts';
import type { LoadedConfig } from './config/load.ts';
import { planReload, type ReloadPlan, sourcesInForce } from './config/reload-plan.ts';
import {
  createTargets,
  edgeSettings,
  metricsSettings,
  servingSettings,
  sharedLimitSettings,
  targetSettings,
  usageSettings,
} from './configured.ts';
import { ServingError, toServingError } from './core/errors.ts';
import type { LiveFeed } from './core/live-feed.ts';
import type { ApplicationLog } from './core/log.ts';
import { isSameAccess } from './http/access.ts';
import type { ReloadOutcome } from './http/routes/admin.ts';
import type { EdgeSettings } from './http/settings.ts';
import type { Serving } from './serving/serving.ts';
import type { Target } from './serving/targets.ts';
import type { SharedLimitSettings } from './stores/valkey/shared-limit-store.ts';
import type { MetricsSettings } from './telemetry/metrics.ts';
import type { UsageSettings } from './usage/usage-writer.ts';

interface ReloaderOptions {
  /** In force at the start. */
  readonly config: Config;
  /** Where its settings come from; absent: not known. */
  readonly sources?: LoadedConfig['sources'];
  readonly log: ApplicationLog;
  /** Reads the configuration again, from where it came. Throws ConfigError. */
  readonly readConfig: () => Promise<LoadedConfig>;
  readonly serving: Serving;
  readonly edge: EdgeSettings;
  readonly keys: StoredKeys;
  readonly environment: BackendEnvironment;
  /** Of the workers; absent: there are none. */
  readonly workers?: number | undefined;
  /** Each absent where this process has it not. */
  readonly observed?: MetricsSettings;
  readonly usage?: UsageSettings;
  readonly sharedLimits?: SharedLimitSettings | undefined;
  readonly live?: LiveFeed;
  /** In the turn in which it changes, before targets do: the workers are told. */
  readonly onPutInForce?: (trigger: string, file: LoadedConfig['file']) => void;
}

/**
 * Puts another configuration in force, one reload at a time. The new one is read and checked whole, and its targets are created, before
 * anything changes; then all of it changes in one turn of the event loop.
 */
export class Reloader {
  readonly #options: ReloaderOptions;
  #running: Config;
  #sources: LoadedConfig['sources'];
  #isReloading = false;
  /** Asked for while another reload was under way. */
  #next: string | undefined;

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#running = options.config;
    this.#sources = options.sources ?? {};
  }

  /** The configuration in force. */
  get running(): Config {
    return this.#running;
  }

  /** Where its settings come from. */
  get sources(): LoadedConfig['sources'] {
    return this.#sources;
  }

  /** `trigger`: for the log. Throws `reload_in_progress`, `draining`, or `invalid_configuration`; then nothing has changed. */
  async reload(trigger: string): Promise<ReloadOutcome> {
    const { log, readConfig } = this.#options;
    this.#refuseWhileDraining();
    if (this.#isReloading) throw new ServingError('reload_in_progress');
    this.#isReloading = true;
    try {
      const loaded = await readConfig();
      this.#refuseWhileDraining();
      return this.putInForce(trigger, loaded);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      log.error(`${trigger}: the configuration was not reloaded, nothing has changed: ${error.message}`);
      throw new ServingError('invalid_configuration', { message: error.message });
    } finally {
      this.#isReloading = false;
      this.#reloadNext();
    }
  }

  /** In this turn. Throws ConfigError; then nothing has changed. */
  putInForce(trigger: string, { config, sources, warnings, file }: LoadedConfig): ReloadOutcome {
    const { log, keys, onPutInForce } = this.#options;
    for (const warning of warnings) log.warn(warning);
    const plan = planReload(this.#running, config, keys);
    const { changed, needsRestart } = this.#apply(plan, () => onPutInForce?.(trigger, file));
    this.#sources = sourcesInForce(this.#sources, sources, needsRestart);
    const staying = needsRestart.length === 0 ? {} : { needsRestart };
    log.info(`${trigger}: ${changed.length === 0 ? 'nothing has changed' : 'configuration reloaded'}`, {
      ...(changed.length > 0 && { changed }),
      ...staying,
    });
    return { changed, unchanged_needs_restart: needsRestart };
  }

  /** As `reload`, for those who wait for no answer: it comes after a reload that is under way, and its failure is in the log. */
  reloadLater(trigger: string): void {
    if (this.#isReloading) {
      this.#next = trigger;
      return;
    }
    this.reload(trigger).catch((error: unknown) => {
      const { code, message } = toServingError(error);
      if (code !== 'invalid_configuration') this.#options.log.error(`${trigger}: not reloaded: ${message}`);
    });
  }

  /** The store holds its first key: what is decided by whether there are keys is decided again. */
  keysChanged(): void {
    const { edge, keys, workers, log } = this.#options;
    Object.assign(edge, edgeSettings(this.#running, keys, workers));
    if (this.#running.rate_limit.enabled === 'with_keys') log.info(rateLimitNotice(this.#running, keys));
  }

  #refuseWhileDraining(): void {
    if (!this.#options.serving.drain.draining) return;
    throw new ServingError('draining', { message: 'The server is shutting down.', retryAfterSeconds: 1 });
  }

  #reloadNext(): void {
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) this.reloadLater(next);
  }

  #apply(plan: ReloadPlan, onAccepted: () => void): ReloadPlan {
    const { serving, edge, keys, workers, observed, usage, sharedLimits, live } = this.#options;
    const { config, kept } = plan;
    const known = new Map(
      serving.targets.all.filter(({ id }) => kept.has(id)).map((target) => [target.id, target]),
    );
    const targets = this.#createTargets(config, known);
    onAccepted();
    for (const target of config.models.flatMap((model) => model.targets)) {
      const going = known.get(target.name);
      if (going !== undefined) Object.assign(going, targetSettings(target));
    }
    const edgeAfter = edgeSettings(config, keys, workers);
    const isSame = isSameAccess(edge, edgeAfter);
    Object.assign(edge, edgeAfter);
    // A stream of GET /live goes on for as long as its reader likes: what it may see is decided again.
    if (!isSame) live?.disconnectAll();
    if (observed !== undefined) Object.assign(observed, metricsSettings(config));
    if (usage !== undefined) Object.assign(usage, usageSettings(config));
    if (sharedLimits !== undefined) Object.assign(sharedLimits, sharedLimitSettings(config));
    serving.apply({ targets, ...servingSettings(config, workers) });
    this.#running = config;
    return plan;
  }

  #createTargets(config: Config, known: ReadonlyMap<string, Target>): Target[] {
    try {
      return createTargets(config, this.#options.environment, known);
    } catch (error) {
      throw new ConfigError(`A target cannot be created: ${(error as Error).message}`);
    }
  }
}
