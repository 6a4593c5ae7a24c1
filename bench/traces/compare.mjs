// What traces cost: the same requests with traces off, on with every request sampled, and on with none. Each has a server of its own,
// and they take turns. The figures to quote are the ratios within a round.
import { packageVersions } from '../machine.mjs';
import { cpuPerUnit } from '../process-usage.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds, rotate } from '../rounds.mjs';
import { startOurs } from '../servers.mjs';
import { show, table } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';
import { startWorker } from '../worker.mjs';

export const perNode = true;
const CONNECTIONS = 8;
const PATH = '/v1/chat/completions';
const BODY = JSON.stringify({
  model: 'bench',
  messages: [{ role: 'user', content: 'What is the capital of France?' }],
  max_tokens: 1024,
  temperature: 0,
  stream: true,
});
const TARGET = atMost(1.05);
const LABELS = { off: 'off', unsampled: 'on, no request sampled', sampled: 'on, every request sampled' };
/** How often the upstream's eight tokens are in an answer. */
const LENGTHS = { short: 1, long: 32 };
const LENGTH_LABELS = { short: '8 tokens', long: '256 tokens' };

export async function run({ rounds, requests, node }) {
  return withPrograms(async (keep) => {
    const load = keep(await startWorker(new URL('../load.mjs', import.meta.url)));
    const receiver = keep(await startWorker(new URL('receiver.mjs', import.meta.url)));
    const traced = (ratio) => [
      ...['--tracing.endpoint', `http://127.0.0.1:${receiver.hello.port}`],
      ...['--tracing.sample-ratio', ratio, '--rate-limit.enabled', 'false'],
    ];
    const flags = {
      off: ['--rate-limit.enabled', 'false'],
      unsampled: traced('0'),
      sampled: traced('1'),
    };
    const servers = [];
    for (const [length, times] of Object.entries(LENGTHS)) {
      const upstream = keep(
        await startWorker(new URL('../gateway/upstream.mjs', import.meta.url), { args: [String(times)] }),
      );
      const upstreamUrl = `http://127.0.0.1:${upstream.hello.port}`;
      for (const name of Object.keys(LABELS))
        servers.push({ name, length, ...keep(await startOurs({ upstreamUrl, node, flags: flags[name] })) });
    }
    const measureRound = async (round) => {
      const result = {};
      for (const { name, length, url, pid } of rotate(servers, round)) {
        const order = { url, path: PATH, body: BODY, connections: CONNECTIONS };
        const units = length === 'long' ? Math.ceil(requests / 4) : requests;
        const { cpu } = await cpuPerUnit({ pid, units }, () => load.ask({ ...order, requests: units }));
        result[length] = { ...result[length], [name]: { cpu } };
      }
      return result;
    };
    // Not counted: a round in which everything is compiled by then.
    await measureRound(0);
    const measured = await inRounds(rounds, measureRound);
    const spans = [];
    for (const { name, length, url } of servers)
      if (name === 'sampled') spans.push({ length, ...(await spansOf(url)) });
    return {
      versions: packageVersions(['undici'], node),
      settings: { rounds, requests, connections: CONNECTIONS },
      spans,
      rounds: measured,
    };
  });
}

/** What became of them; those that were dropped would make traces look cheaper than they are. */
async function spansOf(url) {
  const text = await (await fetch(`${url}/metrics`)).text();
  const count = (outcome) =>
    Number(new RegExp(`spans_total\\{outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
  return { exported: count('exported'), dropped: count('dropped'), failed: count('failed') };
}

export function report({ rounds, spans }) {
  const rows = Object.keys(LENGTHS).flatMap((length) =>
    Object.entries(LABELS).map(([name, label]) => {
      const cpu = overRounds(rounds, (round) => round[length][name].cpu.total);
      const ratio = overRounds(rounds, (round) => ratioOf(round[length], name));
      return [LENGTH_LABELS[length], label, show(cpu, 1), name === 'off' ? '' : `**${show(ratio, 3)}**`];
    }),
  );
  const lost = spans.reduce((sum, { dropped, failed }) => sum + dropped + failed, 0);
  const all = spans.reduce((sum, { exported }) => sum + exported, lost);
  const head = ['answer', 'traces', 'µs of CPU a request', 'of off'];
  return `${table(head, rows)}\n\nOf ${all} spans, ${lost} were lost. Target with every request sampled: ${TARGET.text} of off.`;
}

function ratioOf(measured, name) {
  return measured[name].cpu.total / measured.off.cpu.total;
}

export function targets({ rounds }) {
  return Object.keys(LENGTHS).map((length) =>
    target(
      `CPU of a request with an answer of ${LENGTH_LABELS[length]} and its spans, of one without`,
      TARGET,
      overRounds(rounds, (round) => ratioOf(round[length], 'sampled')),
      3,
    ),
  );
}
