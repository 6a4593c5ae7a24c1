// What receipts and metrics cost per request, in CPU time, in process: the numbers for the log and the answer, their text in the header
// and in the body, and the counters and histograms at the end of an attempt and of a request.
import { packageVersions } from './machine.mjs';
import { show, summarize, table } from './statistics.mjs';

const { timingsOf, timingsText, wireTimings } = await import('../dist/core/request-trace.js');
const { serverTiming } = await import('../dist/http/context.js');
const { Metrics } = await import('../dist/telemetry/metrics.js');
const { ProcessMetrics } = await import('../dist/telemetry/process-metrics.js');

/** At most so many nanoseconds for all of them. */
const TARGET_NANOSECONDS = 3000;
const TRACES = 512;
const CASES = {
  timings: { label: 'numbers (log)', run: ({ trace }) => timingsOf(trace, trace.endedAt) },
  header: { label: 'header', run: ({ trace }) => serverTiming(trace) },
  chunk: { label: 'last chunk (OpenAI)', run: ({ trace }) => timingsText(timingsOf(trace, trace.endedAt)) },
  body: {
    label: 'body (others)',
    run: ({ trace }) => JSON.stringify(wireTimings(timingsOf(trace, trace.endedAt))),
  },
  attempt: {
    label: 'end of an attempt',
    run: ({ trace }, metrics) => metrics.attemptEnded(trace.attempts[0]),
  },
  request: { label: 'end of a request', run: (record, metrics) => metrics.requestEnded(record) },
  gap: { label: 'each token', run: (_, metrics) => metrics.tokenGap('m', 12.3, 'one') },
};
/** Of an OpenAI stream; one with a body of another protocol has that instead of the chunk. */
const PER_REQUEST = ['timings', 'header', 'chunk', 'attempt', 'request'];

export async function run({ rounds, operations }) {
  const metrics = new Metrics({
    version: '0',
    source: { loads: () => [], targets: () => [], oldestRequestMs: () => 0, edge: () => ({}) },
    settings: { objectives: { ttftMs: 500, tpotMs: 50, e2eMs: 5000 }, vllmNames: false },
    process: new ProcessMetrics(),
  });
  const records = Array.from({ length: TRACES }, (_, index) => recordOf(index));
  const measured = [];
  for (let round = 0; round < rounds; round += 1)
    measured.push(
      Object.fromEntries(
        Object.entries(CASES).map(([name, each]) => [
          name,
          costOf(each.run, { records, metrics, operations }),
        ]),
      ),
    );
  return { versions: packageVersions([]), settings: { rounds, operations }, rounds: measured };
}

/** Nanoseconds of CPU time each. */
function costOf(once, { records, metrics, operations }) {
  const all = () => {
    for (let count = 0; count < operations; count += 1) once(records[count % TRACES], metrics);
  };
  all();
  const before = process.cpuUsage();
  all();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / operations;
}

/** Of a request that was answered as a stream, at the first try. */
function recordOf(index) {
  const jitterMs = (index % 97) / 7;
  const attempt = {
    target: 'one',
    model: 'm',
    enqueuedAt: 1.1,
    startedAt: 3.2 + jitterMs,
    batch: { id: 'batch_1', size: 2 },
    kind: undefined,
    after: undefined,
    failure: undefined,
    firstTokenAt: 40.3 + 2 * jitterMs,
    endedAt: 240.7 + 3 * jitterMs,
    outcome: 'completed',
  };
  const trace = {
    requestId: 'r',
    receivedAt: 0,
    model: 'm',
    priority: 'normal',
    target: 'one',
    attempts: [attempt],
    enqueuedAt: attempt.enqueuedAt,
    dispatchedAt: attempt.startedAt,
    firstTokenAt: attempt.firstTokenAt,
    endedAt: attempt.endedAt + 0.2,
    batch: attempt.batch,
    usage: { promptTokens: 16, completionTokens: 64, cachedTokens: 4 },
    finishReason: 'stop',
  };
  const endedAt = attempt.endedAt + 0.4;
  return {
    method: 'POST',
    path: '/stream',
    route: '/stream',
    status: 200,
    clientAddress: '::1',
    trace,
    endedAt,
  };
}

export function report({ rounds }) {
  const ofAll = rounds.map((round) => PER_REQUEST.reduce((sum, name) => sum + round[name], 0));
  const cells = Object.keys(CASES).map((name) => show(summarize(rounds.map((round) => round[name]))));
  return [
    '**Receipts and metrics, nanoseconds of CPU time:**',
    '',
    table(
      [...Object.values(CASES).map(({ label }) => label), 'a request, all of them', 'at most'],
      [[...cells, show(summarize(ofAll)), TARGET_NANOSECONDS.toLocaleString('en')]],
    ),
  ].join('\n');
}
