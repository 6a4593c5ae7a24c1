// The end-to-end tests that also run against a server with workers (LLM_TEST_WORKERS=2): in `npm test` those that are cheap and meet most of
// what differs, in `npm run test:long` these and the others. A test that can't run there says why, where it is skipped.

const folder = 'test/end-to-end';

export const WITH_WORKERS = [
  'access',
  'admin-port',
  'batching',
  'failover',
  'http-edge',
  'limits',
  'proxy-protocol',
  'routing',
  'scheduling',
  'shutdown',
].map((name) => `${folder}/${name}.test.ts`);
