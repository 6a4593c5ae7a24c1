// Every end-to-end test runs against a server in one process, and then again against one with two workers (LLM_TEST_WORKERS=2): `npm test`
// runs all files again but those that are named here, `npm run test:long` the second list too. So a new file runs in both shapes. A test
// that can't run against workers says why, where it is skipped.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = 'test/end-to-end';
const suffix = '.test.ts';

/** It would be the same again: no server that could have other workers. */
export const NEVER_AGAIN = {
  'embedded-workers': 'its servers have workers of their own',
  models: 'the command for model files, without a server',
  'shared-limit-exactness': 'a store of limits, without a server',
  'slot-leases-workers': 'its servers have workers of their own',
  'stalled-processes': 'its servers have workers of their own',
  'way-of-a-token': 'counts the files that a token passes in one process',
  'worker-views': 'its servers have workers of their own',
  workers: 'its servers have workers of their own',
};

/** Long, or of what a connection's process has no part in. */
export const AGAIN_IN_THE_LONG_RUN = {
  bench: 'the client of a benchmark: the server is what it asks',
  chat: 'a client at a terminal: the server is what it asks',
  'chat-snippets': 'programs that the page shows, and what they print',
  configuration: 'mostly commands that read a configuration and end',
  dashboards: 'a minute of load under Prometheus',
  'embedded-embeddings': 'the engine is the same; embedded-workers has what differs',
  'embedded-files': 'the engine is the same; embedded-workers has what differs',
  'embedded-isolation': 'the engine is the same; embedded-workers has what differs',
  'embedded-reload': 'the engine is the same; embedded-workers has what differs',
  'embedded-resume': 'the engine is the same; embedded-workers has what differs',
  'embedded-structured-output': 'the engine is the same; embedded-workers has what differs',
  embedded: 'the engine is the same; embedded-workers has what differs',
  examples: 'programs in other languages, and what they print',
  faults: 'minutes of faults, each with servers of its own',
  floods: 'half a minute of floods',
  'fuzz-admin': 'thousands of bodies, read the same in every process',
  'fuzz-routes': 'thousands of bodies, read the same in every process',
  page: 'files that every process sends the same',
  'planted-secrets': 'some forty starts of servers and commands',
  proxies: 'what real proxies pass on',
  readme: 'what the documentation shows, word for word',
  'rolling-restart': 'a minute of load behind real balancers',
  run: 'a client at the command line: the server is what it asks',
  'slot-leases': 'a minute of replicas, most of it in the control process',
  'slot-leases-reload': 'the control process leases, whatever serves',
  'store-faults': 'mostly commands that open a store and end',
  'store-faults-postgres': 'a PostgreSQL of its own, and a minute of its faults',
  'upstream-faults': 'what a target’s server does, on connections that a worker opens as one process does',
  whatif: 'mostly commands that read a record and end',
};

export function filesWithWorkers({ isLong }) {
  const names = readdirSync(fileURLToPath(new URL(`../${folder}`, import.meta.url)))
    .filter((file) => file.endsWith(suffix))
    .map((file) => file.slice(0, -suffix.length));
  const isAgain = (name) => !(name in NEVER_AGAIN) && (isLong || !(name in AGAIN_IN_THE_LONG_RUN));
  return names.filter(isAgain).map((name) => `${folder}/${name}${suffix}`);
}
