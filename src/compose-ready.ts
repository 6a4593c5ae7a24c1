/** Reports once that the default model can be used; a part of both shapes of the server. */
import type { ServedModel } from './core/backend.ts';
import type { Serving } from './serving/serving.ts';

/** To be called with each change of a target. */
export function createReadyReport(
  serving: Serving,
  onReady: ((model: ServedModel) => void) | undefined,
): () => void {
  let isReported = false;
  return () => {
    const { targets } = serving;
    if (isReported || targets.readiness({ draining: false }).status !== 'ready') return;
    isReported = true;
    const model = targets.list().find(({ id }) => id === targets.defaultModel);
    if (model !== undefined) onReady?.(model);
  };
}
