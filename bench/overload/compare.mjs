// The simulator's loads for real: over HTTP on the scripted backend, and smaller on the embedded engine. What each takes
// is calibrated first, and the simulator is told that.
import { packageVersions } from '../machine.mjs';
import { CONTESTANTS } from '../simulate/contestants/catalog.mjs';
import { JAIN_TARGET } from '../simulate/scenarios/fairness.mjs';
import { capacity, serviceMs } from '../simulate/service.mjs';
import { shortened } from '../simulate/shortened.mjs';
import { show, table } from '../statistics.mjs';
import { startWorker } from '../worker.mjs';
import { calibrate } from './calibration.mjs';
import { goodputChart } from './charts.mjs';
import { clientAddresses } from './client-addresses.mjs';
import { embeddedSubject, whyNoModel } from './embedded-subject.mjs';
import * as fairness from './scenarios/fairness.mjs';
import * as flood from './scenarios/flood.mjs';
import * as goodput from './scenarios/goodput.mjs';
import * as shortAnswers from './scenarios/short-answers.mjs';
import { scriptedSubject } from './scripted-subject.mjs';

const SCRIPTED_DEADLINE_MS = 3000;
/** Of the embedded engine: so many times what a long answer takes with all slots in use. */
const ENGINE_DEADLINE_SERVICES = 4;
const ENGINE_IN_FLIGHT = 16;
const ONE_ADDRESS =
  'This system has no loopback addresses beside 127.0.0.1: all clients are one, and what is about several was not measured.';

/** `scriptedLoads`, `engineLoads`: × capacity; `seconds` are those that count of a load, `percentileSeconds` of one whose p99 is wanted. */
export async function run(settings) {
  const started = [];
  const keep = (program) => {
    started.unshift(program);
    return program;
  };
  try {
    const load = keep(await startWorker(new URL('load.mjs', import.meta.url)));
    const scripted = await measureScripted({ load, settings, server: keep(await scriptedSubject.start()) });
    await started.shift().stop();
    const engine = await measureEngine({ load, settings, keep });
    const { rounds, seconds, percentileSeconds } = settings;
    return {
      versions: packageVersions(['undici', 'node-llama-cpp']),
      settings: {
        rounds,
        seconds,
        percentileSeconds,
        ...scriptedSubject.nominal,
        deadlineMs: SCRIPTED_DEADLINE_MS,
      },
      ...shortened({ scripted, engine }),
    };
  } finally {
    for (const program of started) await program.stop();
  }
}

async function measureScripted({ load, settings, server: { url } }) {
  const { rounds, seconds, percentileSeconds, calibrationSeconds, scriptedLoads, simulatedMinutes } =
    settings;
  const subject = scriptedSubject;
  say('scripted backend: what it takes');
  const loop = (inFlight) =>
    calibrate({ load, url, subject, inFlight, seconds: calibrationSeconds.scripted });
  const calibration = { alone: await loop(1), saturated: await loop(subject.nominal.slots) };
  const { service } = calibration.saturated;
  const place = { load, url, subject, service };
  const addressesOf = async (names) => (await clientAddresses(names)) ?? {};
  const addresses = await addressesOf(goodput.CLIENT_NAMES);
  const hasAddresses = Object.keys(addresses).length > 0;
  if (!hasAddresses) say(ONE_ADDRESS);

  say(`scripted backend: ${scriptedLoads.join(', ')} × capacity`);
  const deadlineMs = SCRIPTED_DEADLINE_MS;
  const byLoad = await goodput.measure({ ...place, seconds, addresses, deadlineMs, loads: scriptedLoads });
  const curve = goodput.simulateCurve({ subject, service, deadlineMs, simulatedMinutes });
  say('scripted backend: short answers among long ones');
  const short = await shortAnswers.measure({ ...place, seconds: percentileSeconds, addresses, rounds });
  if (!hasAddresses) return { calibration, byLoad, curve, short, skipped: ONE_ADDRESS };
  say('scripted backend: a flood, and four that share');
  const floodPlace = {
    ...place,
    seconds: percentileSeconds,
    addresses: await addressesOf(flood.CLIENT_NAMES),
  };
  const sharing = { ...place, seconds, addresses: await addressesOf(fairness.CLIENT_NAMES) };
  return {
    calibration,
    byLoad,
    curve,
    short,
    flood: await flood.measure(floodPlace),
    fairness: await fairness.measure(sharing),
  };
}

async function measureEngine({ load, settings, keep }) {
  const { seconds, calibrationSeconds, engineLoads, simulatedMinutes } = settings;
  const noModel = await whyNoModel();
  if (noModel !== undefined) {
    say(`embedded engine: left out: ${noModel}`);
    return { skipped: noModel };
  }
  const subject = embeddedSubject;
  const { url } = keep(await subject.start());
  say('embedded engine: what it takes');
  const loop = (inFlight) => calibrate({ load, url, subject, inFlight, seconds: calibrationSeconds.engine });
  const saturated = await loop(ENGINE_IN_FLIGHT);
  const { service } = saturated;
  const longest = { promptTokens: 0, answerTokens: subject.mix.lengths.at(-1).answerTokens };
  const deadlineMs = Math.round(ENGINE_DEADLINE_SERVICES * serviceMs(service, longest));
  const addresses = (await clientAddresses(goodput.CLIENT_NAMES)) ?? {};
  say(`embedded engine: ${engineLoads.join(', ')} × capacity`);
  const place = { load, url, subject, service, addresses, deadlineMs };
  return {
    calibration: { saturated },
    deadlineMs,
    byLoad: await goodput.measure({ ...place, seconds, loads: engineLoads }),
    curve: goodput.simulateCurve({ subject, service, deadlineMs, simulatedMinutes }),
  };
}

function say(what) {
  process.stdout.write(`  ${what}…\n`);
}

export function report({ scripted, engine }) {
  const sections = [
    ['Targets', targetsTable({ scripted, engine })],
    ['What the scripted backend takes', scriptedCalibration(scripted.calibration)],
    [
      'Scripted backend: 8 equal clients, deadline 3 s; measured / simulated with the same arrivals',
      goodput.report(scripted.byLoad),
    ],
    ['Short answers among long ones at 0.8 × capacity: arrival to end', shortAnswers.report(scripted.short)],
    ...(scripted.skipped
      ? [['Several clients', scripted.skipped]]
      : [
          ['A flood at 2 × capacity beside three light clients', flood.report(scripted.flood)],
          ['Four clients that always have requests waiting, over HTTP', fairness.report(scripted.fairness)],
        ]),
    ['Embedded engine: measured / simulated with the same arrivals', engineReport(engine)],
  ];
  return sections.map(([title, content]) => `### ${title}\n\n${content}`).join('\n\n');
}

function targetsTable({ scripted, engine }) {
  const percent = (share) => `${(share * 100).toFixed(0)} %`;
  const peaks = [
    ['scripted backend', goodput.peakShare(scripted.byLoad)],
    ['embedded engine', engine.skipped ? undefined : goodput.peakShare(engine.byLoad)],
  ].filter(([, share]) => share !== undefined);
  const peakRow = ([label, share], figure) => [
    `${figure} in time at 2 × capacity, of the most at any load up to it, ${label}`,
    percent(share[figure]),
    `at least ${percent(goodput.PEAK_TARGET)}`,
  ];
  const several = () => [
    [
      'light clients’ p99 in the queue beside a flood',
      `${scripted.flood.measured.light.p99Ms.toFixed(0)} ms`,
      `at most the longest service and their own shortest, ${scripted.flood.boundMs.toFixed(0)} ms`,
    ],
    ['Jain index of tokens', scripted.fairness.jain.toFixed(3), `at least ${JAIN_TARGET}`],
  ];
  return table(
    ['', 'measured', 'target'],
    [
      ...peaks.flatMap((peak) => ['tokens', 'requests'].map((figure) => peakRow(peak, figure))),
      [
        'short answers’ p99 at 0.8 × capacity, over HTTP ÷ simulated',
        show(shortAnswers.ratios(scripted.short, 'p99Ms'), 2),
        `at most ${shortAnswers.RATIO_TARGET}`,
      ],
      ...(scripted.skipped ? [] : several()),
    ],
  );
}

function scriptedCalibration({ alone, saturated }) {
  const { lengths, promptTokens } = scriptedSubject.mix;
  const meanPrompt = (promptTokens.min + promptTokens.max) / 2;
  const nominal = lengths.map(({ answerTokens }) =>
    serviceMs(scriptedSubject.nominal, { answerTokens, promptTokens: meanPrompt }),
  );
  const row = (label, byLength, { firstTokenMs, tokenMs }, aroundMs) => [
    label,
    ...byLength.map((milliseconds) => milliseconds.toFixed(0)),
    firstTokenMs.toFixed(1),
    tokenMs.toFixed(2),
    aroundMs?.toFixed(1) ?? '',
  ];
  const full = capacity(saturated.service, scriptedSubject.mix);
  return [
    table(
      [
        '',
        ...lengths.map(({ answerTokens }) => `${answerTokens} tokens: ms`),
        'before the first token, without the prompt, ms',
        'per further token, ms',
        'around it, ms',
      ],
      [
        row('as configured, mean prompt', nominal, scriptedSubject.nominal),
        row('one request at a time, median', alone.byLength, alone.service, alone.aroundMs),
        row('8 at a time, median', saturated.byLength, saturated.service, saturated.aroundMs),
      ],
    ),
    `Capacity by the last row: ${full.requestsPerSecond.toFixed(1)} requests/s, ${full.tokensPerSecond.toFixed(0)} tokens/s.`,
  ].join('\n\n');
}

function engineReport(engine) {
  if (engine.skipped) return `Not measured: ${engine.skipped}`;
  const { calibration, deadlineMs, byLoad } = engine;
  const { service, answeredShare, count } = calibration.saturated;
  const full = capacity(service, embeddedSubject.mix);
  const [short, long] = embeddedSubject.mix.lengths.map(({ answerTokens }) => answerTokens);
  return [
    `With ${ENGINE_IN_FLIGHT} requests always under way (${count} answers): ${service.firstTokenMs.toFixed(0)} ms to the first token and ${service.tokenMs.toFixed(1)} ms per further one in each of ${service.slots} slots, which is a capacity of ${full.tokensPerSecond.toFixed(0)} tokens/s (${full.requestsPerSecond.toFixed(1)} requests/s) with ${short} tokens for 80 % and ${long} for 20 %; answers had ${(answeredShare * 100).toFixed(0)} % of the tokens that were asked for. Deadline ${(deadlineMs / 1000).toFixed(1)} s.`,
    goodput.report(byLoad),
  ].join('\n\n');
}

export function charts({ scripted, engine }) {
  return { 'goodput-measured': goodputChart({ scripted, engine, label: CONTESTANTS.ours.label }) };
}
