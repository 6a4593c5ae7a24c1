// What the server notes for GET /live of each token and each request, in CPU time, in process: where nobody reads it and where somebody
// does.
const { LinkedList } = await import('../../dist/scheduling/linked-list.js');
const { SlotNumbers } = await import('../../dist/scheduling/slot-numbers.js');
const { SnapshotFeed } = await import('../../dist/telemetry/live-feed.js');

const OPERATIONS = 1_000_000;

/** Nanoseconds, once a round. */
export function costsInProcess(rounds) {
  return Array.from({ length: rounds }, () => ({ unread: costsOf(newFeed()), read: costsOf(readFeed()) }));
}

function newFeed() {
  const clock = {
    now: () => performance.now(),
    wallNow: () => Date.now(),
    // Snapshots are measured with the whole server.
    schedule: () => ({ cancel: () => {} }),
    atEndOfTurn: () => {},
  };
  const state = () => ({ models: [], targets: [], queue: [], running: [] });
  return new SnapshotFeed({ clock, version: '0', state, settings: { objectives: { ttftMs: 500 } } });
}

function readFeed() {
  const feed = newFeed();
  feed.watch(
    { owner: undefined, intervalMs: 250 },
    { snapshot: () => {}, heartbeat: () => {}, end: () => {} },
  );
  return feed;
}

/** Of a request: its end, its place in the list of what runs, and the number of its slot. */
function costsOf(feed) {
  const running = new LinkedList();
  const node = { previous: undefined, next: undefined, list: undefined };
  const numbers = new SlotNumbers();
  const record = recordOf();
  return {
    token: costOf((index) => feed.tokenGap(15 + (index % 16))),
    request: costOf(() => {
      running.append(node);
      running.remove(node);
      numbers.giveBack(numbers.take());
      feed.requestEnded(record);
    }),
  };
}

function costOf(once) {
  const all = () => {
    for (let index = 0; index < OPERATIONS; index += 1) once(index);
  };
  all();
  const before = process.cpuUsage();
  all();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / OPERATIONS;
}

function recordOf() {
  const receivedAt = performance.now();
  const attempt = {
    target: 'one',
    model: 'm',
    enqueuedAt: receivedAt + 0.3,
    startedAt: receivedAt + 2,
    batch: { id: 'batch_1', size: 2 },
    kind: undefined,
    after: undefined,
    failure: undefined,
    firstTokenAt: receivedAt + 40,
    endedAt: receivedAt + 240,
    outcome: 'completed',
  };
  const trace = {
    requestId: 'req_1',
    receivedAt,
    model: 'm',
    client: '127.0.0.1',
    enqueuedAt: attempt.enqueuedAt,
    dispatchedAt: attempt.startedAt,
    firstTokenAt: attempt.firstTokenAt,
    endedAt: attempt.endedAt,
    finishReason: 'stop',
    usage: { promptTokens: 37, cachedTokens: 0, completionTokens: 64 },
    attempts: [attempt],
  };
  return {
    method: 'POST',
    path: '/v1/chat/completions',
    route: '/v1/chat/completions',
    status: 200,
    clientAddress: '127.0.0.1',
    trace,
    endedAt: receivedAt + 240.5,
  };
}
