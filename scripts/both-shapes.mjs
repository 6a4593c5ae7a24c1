// Every end-to-end test runs against a server in one process, and then again against one with two workers (LLM_TEST_WORKERS=2): `npm test`
// runs all files again but those that are named here, `npm run test:long` the second list too. So a new file runs in both shapes. A test
// that can't run against workers says why, where it is skipped.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = 'test/end-to-end';
const suffix = '.test.ts';

/** The same again: no server that could have other workers. */
export const NEVER_AGAIN = {
  'embedded-workers': 'its servers have workers of their own',
  models: 'the command for model files, without a server',
  'shared-limit-exactness': 'a limit store and no server',
  'slot-leases': 'its replicas have processes of their own',
  'slot-leases-reload': 'its replicas have processes of their own',
  'slot-leases-workers': 'its servers have workers of their own',
  'way-of-a-token': 'counts the files that a token passes in this process',
  'worker-views': 'its servers have workers of their own',
  workers: 'its servers have workers of their own',
};

/** Long, or of what workers have no part in. */
export const AGAIN_IN_THE_LONG_RUN = {};

export function filesWithWorkers({ isLong }) {
  const names = readdirSync(fileURLToPath(new URL(`../${folder}`, import.meta.url)))
    .filter((file) => file.endsWith(suffix))
    .map((file) => file.slice(0, -suffix.length));
  const isAgain = (name) => !(name in NEVER_AGAIN) && (isLong || !(name in AGAIN_IN_THE_LONG_RUN));
  return names.filter(isAgain).map((name) => `${folder}/${name}${suffix}`);
}
