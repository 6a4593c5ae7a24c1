/** What serving does in one process, it does as a worker: the same suites, with the queue and the targets' states beyond a link. */
import { afterAll, beforeAll, describe } from 'vitest';
import { controlShape } from '../../support/control-shape.ts';
import { linkedControl } from '../../support/linked-control.ts';

describe('through a link', async () => {
  beforeAll(() => {
    controlShape.createControl = linkedControl;
  });
  afterAll(() => {
    controlShape.createControl = undefined;
  });
  // Under another name, as a module is evaluated once.
  await import('../serving/apply.test.ts?linked');
  await import('../serving/target-health.test.ts?linked');
  await import('../serving/ejected-targets.test.ts?linked');
  await import('../serving/retries.test.ts?linked');
  await import('../serving/embed.test.ts?linked');
  await import('../serving/generate.test.ts?linked');
  await import('../serving/serving.test.ts?linked');
  await import('../serving/lost-engine.test.ts?linked');
  await import('../serving/consumption.test.ts?linked');
  await import('../serving/resumed-streams.test.ts?linked');
  await import('../serving/retries.property.test.ts?linked');
});
