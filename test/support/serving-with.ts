/** Serving as tests want it: the model `m`, no second try, bounds that no test meets by chance. */
import { silentLog } from '../../src/core/log.ts';
import { Serving } from '../../src/serving/serving.ts';
import { controlShape } from './control-shape.ts';
import { NO_RETRY, SCHEDULER } from './scheduling.ts';

type ServingOptions = ConstructorParameters<typeof Serving>[0];

export function servingWith(
  options: Pick<ServingOptions, 'clock' | 'targets'> & Partial<ServingOptions>,
): Serving {
  const { createControl } = controlShape;
  return new Serving({
    log: silentLog,
    defaultModel: 'm',
    aliases: new Map(),
    dropUnsupported: false,
    scheduler: SCHEDULER,
    queueTimeoutMs: 5000,
    retry: NO_RETRY,
    resume: 'auto',
    fallbackModels: new Map(),
    onTokenGap: () => {},
    onFatal: () => {},
    ...(createControl !== undefined && { createControl }),
    ...options,
  });
}
