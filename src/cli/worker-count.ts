/** How many processes serve: `server.workers`, on this machine. */
import { availableParallelism } from 'node:os';

/** `auto`: one for every two cores, as there is also the control process, an engine, and what clients of this machine need. */
export function workerCount(configured: number | 'auto', cores: number = availableParallelism()): number {
  return configured === 'auto' ? Math.max(1, Math.floor(cores / 2)) : configured;
}
