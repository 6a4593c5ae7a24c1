/** A target as administrators and the live feed see it, of whatever process it is told. */
import type { LeasedSlots } from '../core/leased-slots.ts';
import type { Target } from './targets.ts';

export interface TargetState {
  readonly name: string;
  readonly model: string;
  readonly backend: string;
  /** What its probe reports. */
  readonly status: string;
  readonly loaded: boolean;
  readonly health: Target['health'];
  /** As many as it has now. */
  readonly slots: number;
  /** Slots that are held. */
  readonly used: number;
  /** Estimated, of what runs there. */
  readonly tokensInFlight: number;
  /** Absent: its slots are not leased. */
  readonly lease?: LeasedSlots | undefined;
  /** How often it was ejected, by cause. */
  readonly ejections: Readonly<Record<string, number>>;
}

/** What serving knows of a target beside its own facts. */
export interface TargetFigures {
  usedOf(target: Target): { readonly slots: number; readonly tokens: number };
  slotsOf(target: Target): number;
  leaseOf(target: Target): LeasedSlots | undefined;
  ejectionsOf(target: Target): ReadonlyMap<string, number>;
}

export function targetState(target: Target, serving: TargetFigures): TargetState {
  const { slots: used, tokens: tokensInFlight } = serving.usedOf(target);
  return {
    name: target.id,
    model: target.model,
    backend: target.backendName,
    status: target.status.state,
    loaded: target.status.loaded,
    health: target.health,
    slots: serving.slotsOf(target),
    used,
    tokensInFlight,
    lease: serving.leaseOf(target),
    ejections: Object.fromEntries(serving.ejectionsOf(target)),
  };
}
