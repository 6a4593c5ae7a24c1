/** What administrators see and do through a worker: the control process, which knows of all workers, is asked. */
import type { Administered } from '../serving/administered.ts';
import type { Asker } from './questions.ts';
import type { AskedOfControl } from './view-messages.ts';

export function remoteAdministered(asker: Asker<AskedOfControl>): Administered {
  return {
    active: (limit) => asker.ask('active', { limit }),
    cancel: async (id) => (await asker.ask('cancel', { id })) ?? undefined,
    targets: () => asker.ask('targets', null),
    setDrained: async (target, isDrained) =>
      (await asker.ask('set-drained', { target, isDrained })) ?? undefined,
  };
}
