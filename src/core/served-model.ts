/** A model as others may know it: configuration, and what the probes last found. */
import type { Ability, TargetState } from './backend.ts';
import type { ModelId } from './generation.ts';
import type { ModelDetails } from './model-details.ts';

export interface ServedModel {
  readonly id: ModelId;
  readonly aliases: readonly string[];
  /** Of its targets the largest; tokens. */
  readonly contextSize: number | undefined;
  /** A request for it could be served now. */
  readonly ready: boolean;
  /** What any of its targets can do, as far as they tell. */
  readonly abilities: readonly Ability[];
  /** Of the first of its targets that tells any. */
  readonly details: Omit<ModelDetails, 'digest'>;
  /** No other model's: 64 lower-case hexadecimal digits. */
  readonly digest: string;
  readonly targets: readonly {
    readonly backend: string;
    /** The model's name there. */
    readonly model: string;
    readonly state: TargetState;
    readonly loaded: boolean;
  }[];
}
