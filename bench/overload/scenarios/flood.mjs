// One address sends twice what can be served, beside three that send little: how long each waits for its start, as the
// server itself says.
import { CONTESTANTS } from '../../simulate/contestants/catalog.mjs';
import { equalClients } from '../../simulate/jobs.mjs';
import { outcomeShares, queueTimes } from '../../simulate/measures.mjs';
import { capacity, serviceMs } from '../../simulate/service.mjs';
import { table } from '../../statistics.mjs';
import { measureLoad, planLoad, simulateLoad } from '../open-load.mjs';

const FLOOD_LOAD = 2;
const LIGHT_LOAD = 0.05;
const LIGHT_CLIENTS = 3;
const DEADLINE_MS = 5000;
/** The flood's queue needs no longer to be there. */
const EDGE_MS = 3000;
const SEED = 7;
const NAMES = { flood: 'flood', light: equalClients(LIGHT_CLIENTS, {}).map(({ name }) => name) };
export const CLIENT_NAMES = [NAMES.flood, ...NAMES.light];

export async function measure({ load, url, subject, addresses, service, seconds }) {
  const { requestsPerSecond } = capacity(service, subject.mix);
  const client = (share) => ({
    mix: subject.mix,
    deadlineMs: DEADLINE_MS,
    requestsPerSecond: share * requestsPerSecond,
  });
  const clients = [
    { ...client(FLOOD_LOAD), name: NAMES.flood },
    ...equalClients(LIGHT_CLIENTS, client(LIGHT_LOAD)),
  ];
  const plan = planLoad({ clients, seed: SEED, seconds, edgeMs: EDGE_MS });
  const measured = await measureLoad({ load, url, subject, addresses, plan });
  const simulated = (name) => figuresOf(simulateLoad({ create: CONTESTANTS[name].create, service, plan }));
  return {
    boundMs: boundMs(service, subject.mix),
    measured: figuresOf(measured),
    ours: simulated('ours'),
    fifo: simulated('fifo'),
  };
}

/** The longest service, and the shortest of its own. */
function boundMs(service, { lengths, promptTokens }) {
  const of = (choose, prompt) =>
    choose(...lengths.map((length) => serviceMs(service, { ...length, promptTokens: prompt })));
  return of(Math.max, promptTokens.max) + of(Math.min, promptTokens.min);
}

function figuresOf({ records }) {
  const isFlood = ({ job }) => job.client === NAMES.flood;
  const kind = (own) => ({ ...queueTimes(own), completed: outcomeShares(own).completed });
  return {
    light: kind(records.filter((record) => !isFlood(record))),
    flood: kind(records.filter(isFlood)),
  };
}

export function report(figures) {
  const row = (name, label) => [
    label,
    ...['light', 'flood'].flatMap((kind) => {
      const { p50Ms, p99Ms, count, completed } = figures[name][kind];
      return [p50Ms.toFixed(0), p99Ms.toFixed(0), `${count}`, (completed * 100).toFixed(0)];
    }),
  ];
  const columns = (kind) => [`${kind}: queue p50 ms`, 'p99 ms', 'started', 'completed %'];
  return table(
    ['', ...columns('light'), ...columns('flood')],
    [
      row('measured', 'llm-serve, over HTTP'),
      row('ours', `${CONTESTANTS.ours.label}, simulated`),
      row('fifo', `${CONTESTANTS.fifo.label}, simulated`),
    ],
  );
}
