/**
 * The engine of a backend whose process runs it: downloads the model, has it loaded, and tells the other processes how the engine is,
 * where there are any. Owns the supervisor and the warm-up that is under way.
 */
import { createRequire } from 'node:module';
import type { CallOptions, ModelDetails, TargetStatus } from '../../core/backend.ts';
import { ServingError, toServingError } from '../../core/errors.ts';
import { findModel } from '../../models/catalog.ts';
import { ensureModel } from '../../models/fetch.ts';
import { fileDetails } from '../../models/model-file.ts';
import type { BackendEnvironment } from '../backend-definition.ts';
import type { EngineAccess } from './engine-access.ts';
import { noticeOf } from './engine-notice.ts';
import { type EngineSource, engineNameOf, type LlamaCppTarget } from './engine-source.ts';
import { statusOf } from './engine-state.ts';
import { type ChatTemplateName, LIBRARY_MISSING } from './messages.ts';
import { Supervisor, type SupervisorOptions } from './supervisor.ts';

export class OwnedEngine implements EngineSource {
  readonly #target: LlamaCppTarget;
  readonly #environment: BackendEnvironment;
  readonly #supervisor: Supervisor;
  #warming: Promise<void> | undefined;
  #details: ModelDetails | undefined;
  #warmUpError: ServingError | undefined;

  constructor(target: LlamaCppTarget, environment: BackendEnvironment, enginePath: string) {
    this.#target = target;
    this.#environment = environment;
    this.#supervisor = new Supervisor({
      clock: environment.clock,
      log: environment.log,
      environment: environment.processEnvironment,
      stepTimeoutMs: target.step_timeout_ms,
      loadTimeoutMs: target.load_timeout_ms,
      enginePath,
      ...sharingOptions(target, environment),
    });
  }

  get access(): EngineAccess {
    return this.#supervisor.access;
  }

  status(): TargetStatus {
    const { state } = this.#supervisor;
    const contextSize = this.#target.context_size;
    if (this.#warming !== undefined && (state.phase === 'idle' || state.phase === 'failed')) {
      return { state: 'loading', loaded: false, contextSize, detail: 'The model is being downloaded.' };
    }
    const error = this.#warmUpError;
    if (state.phase === 'idle' && error !== undefined) {
      const failed = error.code === 'model_not_found' ? 'not_found' : 'failed';
      return { state: failed, loaded: false, contextSize, detail: error.message };
    }
    const status = statusOf(state, { contextSize }, this.#details);
    const { kvCacheUsed } = this.#supervisor;
    return state.phase === 'ready' && kvCacheUsed !== undefined ? { ...status, kvCacheUsed } : status;
  }

  /** Callers at the same time share one warm-up; it follows the signal of the first. */
  warmUp({ signal }: CallOptions): Promise<void> {
    this.#warming ??= this.#load(signal)
      .then(
        () => {
          this.#warmUpError = undefined;
        },
        (thrown: unknown) => {
          this.#warmUpError = toServingError(thrown);
          throw thrown;
        },
      )
      .finally(() => {
        this.#warming = undefined;
      });
    return this.#warming;
  }

  close(): Promise<void> {
    return this.#supervisor.close();
  }

  async #load(signal: AbortSignal): Promise<void> {
    const { model, slots, context_size: contextSize, gpu, threads, flash_attention } = this.#target;
    requireLibrary();
    const chatTemplate = this.#chatTemplate();
    const { cacheDirectory, hubUrl, log, onDownloadProgress } = this.#environment;
    const modelPath = await ensureModel(model, {
      cacheDirectory,
      hubUrl,
      signal,
      log,
      onProgress: onDownloadProgress,
    });
    this.#details = await fileDetails(model, modelPath);
    const settings = {
      modelPath,
      contextSize,
      sequences: slots,
      chatTemplate,
      gpu,
      flashAttention: flash_attention,
    };
    await this.#supervisor.start(threads === undefined ? settings : { ...settings, threads }, signal);
  }

  #chatTemplate(): ChatTemplateName {
    const own = findModel(this.#target.model)?.chatTemplate;
    const wanted = this.#target.chat_template ?? (own === undefined ? 'file' : 'catalogue');
    if (wanted === 'file') return 'file';
    if (own === 'chatml') return own;
    throw new ServingError('model_not_found', {
      message:
        `chat_template: catalogue is set for ${this.#target.model}, but the catalogue has no template of its own for it. ` +
        'Set chat_template: file, or remove it.',
    });
  }
}

/** For an engine that other processes use as well. */
function sharingOptions(
  target: LlamaCppTarget,
  { engines }: BackendEnvironment,
): Pick<SupervisorOptions, 'guestAddresses' | 'onState'> {
  if (engines?.mode !== 'owns') return {};
  const { directory } = engines;
  const announcement = engines.announce(engineNameOf(target));
  announcement.tell(noticeOf({ phase: 'idle' }));
  return {
    guestAddresses: directory,
    onState: (state, more) => {
      if (state.phase === 'closed') announcement.end();
      else announcement.tell(noticeOf(state, more));
    },
  };
}

/** Checked before a model is downloaded in vain. The library itself is loaded by the engine’s process only. */
function requireLibrary(): void {
  try {
    createRequire(import.meta.url).resolve('node-llama-cpp');
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'MODULE_NOT_FOUND') return;
    throw new ServingError('backend_error', { message: LIBRARY_MISSING, failure: 'misconfigured', cause });
  }
}
