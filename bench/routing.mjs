// What it costs to choose the target of one request, in CPU time, in process, by the number of targets: with a prompt whose home has
// room, with one whose home is crowded, and by each policy without prefix affinity.
import { packageVersions } from './machine.mjs';
import { show, summarize, table } from './statistics.mjs';

const { fingerprintOf } = await import('../dist/scheduling/prefix-fingerprint.js');
const { QueuedRequest } = await import('../dist/scheduling/queued-request.js');
const { Slots } = await import('../dist/scheduling/slots.js');

/** At most so many nanoseconds with so many targets. */
const TARGET_NANOSECONDS = { 3: 3000, 300: 20_000 };
const TARGETS = [3, 30, 300];
const CASES = {
  home: { label: 'prompt with a home', policy: 'load', prefixAffinity: true },
  crowded: { label: 'its home crowded', policy: 'load', prefixAffinity: true, crowded: true },
  load: { label: 'by load', policy: 'load' },
  weighted: { label: 'weighted', policy: 'weighted' },
  tokens: { label: 'fewest tokens', policy: 'fewest-tokens' },
  random: { label: 'random', policy: 'random' },
};
const WARM_UP = 20_000;

export async function run({ rounds, operations }) {
  const measured = [];
  for (let round = 0; round < rounds; round += 1)
    measured.push(
      Object.fromEntries(
        TARGETS.map((targets) => [
          targets,
          Object.fromEntries(
            Object.entries(CASES).map(([name, each]) => [name, costOf({ targets, operations, ...each })]),
          ),
        ]),
      ),
    );
  return { versions: packageVersions([]), settings: { rounds, operations }, rounds: measured };
}

/** Nanoseconds of CPU time for each choice; every one is taken, and ends a few choices later. */
function costOf({ targets, operations, policy, prefixAffinity = false, crowded = false }) {
  const slots = new Slots({
    maxTokensInFlight: Number.POSITIVE_INFINITY,
    routing: { policy, prefixAffinity, random: Math.random },
  });
  for (let index = 0; index < targets; index += 1) {
    slots.setTarget({ id: `model/vllm/${index}`, model: 'model', slots: 64, state: 'ready' }, 0);
    slots.reportLoad(`model/vllm/${index}`, { running: index % 7, waiting: 0, kvCacheUsed: 0.3 }, 0);
  }
  // A crowded home is that of the one conversation that everybody has.
  const conversations = Array.from({ length: crowded ? 1 : 997 }, (_, index) =>
    fingerprintOf(
      { kind: 'chat', messages: [{ role: 'user', content: `conversation ${index}` }] },
      undefined,
    ),
  );
  const inFlight = 2 * targets;
  const choose = (index) => {
    const request = requestOf(index, conversations[index % conversations.length]);
    const target = slots.findRoom(request);
    slots.take({ target, granted: request, flow: undefined, dispatchedAt: 0 });
    if (index >= inFlight) slots.release(`entry_${index - inFlight}`, SETTLEMENT, 0);
  };
  for (let index = 0; index < WARM_UP; index += 1) choose(index);
  const before = process.cpuUsage();
  for (let index = WARM_UP; index < WARM_UP + operations; index += 1) choose(index);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / operations;
}

const SETTLEMENT = { outcome: 'completed', promptTokens: 20, answerTokens: 100, firstTokenMs: 1 };

function requestOf(index, prefix) {
  return new QueuedRequest({
    entry: { id: `entry_${index}`, promptTokens: 20, prefix },
    rank: 0,
    enqueuedAt: 0,
    arrival: index,
    answerTokens: 100,
    chargedTokens: 80 + (index % 80),
    startBy: 0,
  });
}

export function report({ rounds }) {
  const row = (targets) => [
    String(targets),
    ...Object.keys(CASES).map((name) => show(summarize(rounds.map((round) => round[targets][name])))),
    TARGET_NANOSECONDS[targets]?.toLocaleString('en') ?? '',
  ];
  return [
    '**Choosing a target, taking its slot and releasing another, nanoseconds of CPU time, by targets:**',
    '',
    table(['targets', ...Object.values(CASES).map(({ label }) => label), 'at most'], TARGETS.map(row)),
  ].join('\n');
}
