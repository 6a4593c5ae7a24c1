/** Where a backend has its engine from: from a process that this one runs, or from one that another of our processes runs. */
import type { CallOptions, TargetStatus } from '../../core/backend.ts';
import type { EngineAccess } from './engine-access.ts';
import type { GpuSetting } from './messages.ts';

export interface EngineSource {
  readonly access: EngineAccess;
  status(): TargetStatus;
  /** Settles when the model is loaded, rejects when it cannot be. */
  warmUp(options: CallOptions): Promise<void>;
  /** Requests under way fail. */
  close(): Promise<void>;
}

export interface LlamaCppTarget {
  /** Its name in this configuration. */
  readonly id: string;
  /** A model’s name in any of its forms: models/names.ts lists them. */
  readonly model: string;
  readonly slots: number;
  readonly context_size: number;
  readonly chat_template?: 'file' | 'catalogue';
  readonly threads?: number;
  readonly flash_attention: boolean;
  readonly gpu: GpuSetting;
  readonly step_timeout_ms: number;
  readonly load_timeout_ms: number;
}

/** By which all processes of one configuration know the engine of a target: another one where it has to be loaded otherwise. */
export function engineNameOf(target: LlamaCppTarget): string {
  const { id, model, slots, context_size, chat_template, threads, flash_attention, gpu } = target;
  const { step_timeout_ms, load_timeout_ms } = target;
  return JSON.stringify([
    id,
    model,
    slots,
    context_size,
    chat_template ?? null,
    threads ?? null,
    flash_attention,
    gpu,
    step_timeout_ms,
    load_timeout_ms,
  ]);
}
