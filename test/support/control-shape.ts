/** Which control serving has in tests: that of one process, or a worker's. A suite that runs in both shapes is run again with the other. */
import type { ControlOptions } from '../../src/serving/local-control.ts';
import type { ServingControl } from '../../src/serving/serving-control.ts';

/** Undefined: as without workers. */
export const controlShape: { createControl: ((options: ControlOptions) => ServingControl) | undefined } = {
  createControl: undefined,
};
