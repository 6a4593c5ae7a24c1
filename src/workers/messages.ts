/**
 * What the control process and its workers send each other: one union for each direction, made of one for each subject. Times are those
 * of the host (link.ts). Both are of one version: a worker of another one does not start.
 */
import type { EngineToWorker } from './engine-messages.ts';
import type { KeysToControl, KeysToWorker } from './key-messages.ts';
import type { LifeToControl, LifeToWorker } from './life-messages.ts';
import type { LimitsToControl, LimitsToWorker } from './limit-messages.ts';
import type { SchedulingToControl, SchedulingToWorker } from './scheduling-messages.ts';
import type { ViewsToControl, ViewsToWorker } from './view-messages.ts';

export type ToControl =
  | LifeToControl
  | KeysToControl
  | SchedulingToControl
  | LimitsToControl
  | ViewsToControl;

export type ToWorker =
  | LifeToWorker
  | KeysToWorker
  | SchedulingToWorker
  | LimitsToWorker
  | ViewsToWorker
  | EngineToWorker;
