// How many requests a second a server takes without letting the slowest wait: requests arrive at random whatever becomes of those
// before (open loop), and the time counts from when one was due. Client and upstream are on other cores than the server.
import { packageVersions } from '../machine.mjs';
import { startNativePrograms, whatIsMissing } from '../native/programs.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, rotate, selected } from '../rounds.mjs';
import { FORWARDERS, LABELS, startForwarder, startOurs } from '../servers.mjs';
import { show, summarize, table } from '../statistics.mjs';
import { startWorker } from '../worker.mjs';

export const perNode = true;
export { whatIsMissing };

const BOUNDS_MS = [5, 10, 50];
/** Offered, of what the server answers when 32 clients keep it busy. */
const SHARES = [0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1, 1.05];
const CONNECTIONS = 32;
const HARNESS_LATE_MS = 2;
const CALL = {
  path: '/generate',
  body: { prompt: 'What is the capital of France?', max_tokens: 8, temperature: 0 },
};

export async function run({ rounds, seconds, requests, only, node }) {
  return withPrograms(async (keep) => {
    const native = keep(await startNativePrograms());
    const load = keep(await startWorker(new URL('../load.mjs', import.meta.url)));
    native.pinOther(load);
    const { upstreamUrl } = native;
    const all = [];
    for (const name of FORWARDERS)
      all.push({ name, ...keep(await startForwarder(name, { upstreamUrl, node })) });
    all.push({ name: 'ours', ...keep(await startOurs({ upstreamUrl, node, target: { slots: 1024 } })) });
    const servers = selected(all, only);
    for (const server of servers) native.pinServer(server);
    const capacityOf = async ({ url }) => {
      const order = { url, path: CALL.path, body: JSON.stringify(CALL.body), connections: CONNECTIONS };
      return (await load.ask({ ...order, requests })).requestsPerSecond;
    };
    // Not counted: everything is compiled by then.
    for (const server of servers) await capacityOf(server);
    return {
      versions: packageVersions(['fastify', 'undici'], node),
      settings: { rounds, seconds, requests, connections: CONNECTIONS },
      rounds: await inRounds(rounds, async (round) => {
        const result = {};
        for (const server of rotate(servers, round)) {
          const capacity = await capacityOf(server);
          result[server.name] = { capacity, points: await offer(server, { native, capacity, seconds }) };
        }
        return result;
      }),
    };
  });
}

/** Up to the first rate at which even the loosest bound is missed. */
async function offer({ url }, { native, capacity, seconds }) {
  const points = [];
  for (const share of SHARES) {
    const rate = Math.round(capacity * share);
    const point = await native.run('request-client', [new URL(url).port, rate, seconds], CALL);
    points.push({ share, rate, ...point });
    if (point.failed || point.latencyMs.p99 > BOUNDS_MS.at(-1)) break;
  }
  return points;
}

/** The highest rate that was offered with 99 of 100 answers within `bound`; NaN where there is none. */
function rateWithin({ points }, bound) {
  const within = ({ failed, latencyMs, clientLateMs }) =>
    failed === undefined && clientLateMs.p99 <= HARNESS_LATE_MS && latencyMs.p99 <= bound;
  const rates = points.filter(within).map(({ rate }) => rate);
  return rates.length > 0 ? Math.max(...rates) : Number.NaN;
}

export function report({ rounds }) {
  const names = Object.keys(LABELS).filter((name) => rounds[0][name]);
  /** Of the rounds in which there is such a rate. */
  const cell = (read, digits) => {
    const values = rounds.map(read).filter((value) => !Number.isNaN(value));
    return values.length > 0 ? show(summarize(values), digits) : '–';
  };
  const rows = names.map((name) => [
    LABELS[name],
    ...BOUNDS_MS.map((bound) => cell((round) => rateWithin(round[name], bound), 0)),
    cell((round) => round[name].capacity, 0),
  ]);
  const ratios = FORWARDERS.filter((name) => rounds[0].ours && rounds[0][name]).map((name) => [
    `llm-serve / ${LABELS[name]}`,
    ...BOUNDS_MS.map((bound) =>
      cell((round) => rateWithin(round.ours, bound) / rateWithin(round[name], bound), 2),
    ),
    cell((round) => round.ours.capacity / round[name].capacity, 2),
  ]);
  const head = [
    'requests/s, one core',
    ...BOUNDS_MS.map((bound) => `p99 ≤ ${bound} ms`),
    `${CONNECTIONS} clients that ask again at once`,
  ];
  return `${table(head, [...rows, ...ratios])}\n\n– is none at all.`;
}
