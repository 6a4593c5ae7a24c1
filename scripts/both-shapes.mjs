// The end-to-end tests that also run against a server with workers (LLM_TEST_WORKERS=2): those that are cheap and meet most of what
// differs. A test among them that can't run there says why, where it is skipped. Not here: files that expect log lines of requests as soon
// as the answer is there (proxy-protocol), which come a moment later from workers, and those that reload other flags (reload).

const folder = 'test/end-to-end';

export const WITH_WORKERS = [
  'access',
  'admin-port',
  'batching',
  'failover',
  'http-edge',
  'limits',
  'routing',
  'scheduling',
  'shutdown',
].map((name) => `${folder}/${name}.test.ts`);
