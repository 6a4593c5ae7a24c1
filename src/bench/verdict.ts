/** One plain sentence about a run: how much load the server carries within the targets, and what limits it beyond that. */
import { durationText } from '../core/duration-text.ts';
import type { StepMeasures } from './measures.ts';
import { type Objectives, objectivesText } from './objectives.ts';
import type { Step } from './plan.ts';

/** A load is carried if this share of its requests meets all targets. */
export const CARRIED_SHARE = 0.95;
/** Beyond these the client is too slow for its own measurements. */
const BUSY_CPU_SHARE = 0.9;
const LATE_SEND_MS = 25;
/** Of the median time to the first token. */
const LATE_LOOP_SHARE = 0.1;
const LATE_LOOP_MS = 25;

/** `it used 97 % of a core`; undefined: it kept up. */
export function clientProblem({ client, clientDelay, ttft }: StepMeasures): string | undefined {
  if (client !== undefined && client.cpuShare > BUSY_CPU_SHARE)
    return `it used ${Math.round(client.cpuShare * 100)} % of a core`;
  const lateMs = client?.loopLagP99Ms ?? 0;
  if (lateMs > Math.max(LATE_LOOP_MS, LATE_LOOP_SHARE * (ttft?.p50.value ?? 0)))
    return `it was late by ${durationText(lateMs)} (p99 of its event loop)`;
  const delay = clientDelay?.p99.value ?? 0;
  return delay > LATE_SEND_MS
    ? `it sent requests ${durationText(delay)} after they were due (p99)`
    : undefined;
}

/** A load during which the client was too slow is neither carried nor not: its figures are the client's. */
export function verdict(steps: readonly StepMeasures[], objectives: Objectives): string {
  const measured = [...steps]
    .filter(({ requests }) => requests > 0)
    .sort((one, other) => loadOf(one.step) - loadOf(other.step));
  const [first] = measured;
  if (first === undefined) return 'Nothing was measured.';
  if (measured.every(({ completed }) => completed === 0))
    return `No request completed: ${errorsText(measured)}.`;
  const reliable = measured.filter((each) => clientProblem(each) === undefined);
  const [lightest] = reliable;
  if (lightest === undefined)
    return `Nothing can be said of the server: at every load the client was too slow (at ${loadText(first.step)} ${clientProblem(first)}).`;
  const within = objectivesText(objectives);
  const carried = reliable.findLast(({ goodShare }) => goodShare >= CARRIED_SHARE);
  if (carried === undefined)
    return `Not even ${loadText(lightest.step)} ${within}: ${shareText(lightest)}; limited by ${limitOf(lightest, reliable)}.`;
  // The first loads are those that suffer from cold caches; a sentence about a heavier one must not hide it.
  const missed = reliable.find(
    ({ step, goodShare }) => loadOf(step) < loadOf(carried.step) && goodShare < CARRIED_SHARE,
  );
  const although =
    missed === undefined ? '' : `, although only ${shareText(missed)} at ${loadText(missed.step)}`;
  const carriedText = `${capitalized(loadText(carried.step))} ${within} (${shareText(carried)}${although})`;
  const isHeavier = ({ step }: StepMeasures) => loadOf(step) > loadOf(carried.step);
  const heavier = reliable.find(isHeavier);
  if (heavier !== undefined)
    return `${carriedText}; at ${loadText(heavier.step)} ${shareText(heavier)}, limited by ${limitOf(heavier, reliable)}.`;
  const unclear = measured.find(isHeavier);
  if (unclear !== undefined)
    return `${carriedText}; of ${loadText(unclear.step)} nothing can be said, since the client was too slow: ${clientProblem(unclear)}.`;
  return `${carriedText}; no heavier load was tried.${saturationText(reliable)}`;
}

/** More load brought hardly more answers. */
const GROWTH = 1.1;

/** `steps` from the lightest load to the heaviest. */
function saturationText(steps: readonly StepMeasures[]): string {
  const last = steps.at(-1);
  const enough = steps.find(
    ({ completedPerSecond }) => completedPerSecond * GROWTH >= (last?.completedPerSecond ?? 0),
  );
  if (last === undefined || enough === undefined || enough === last || last.step.kind === 'open') return '';
  return ` Throughput stopped growing at ${loadText(enough.step)} (${enough.completedPerSecond.toFixed(1)} answers per second).`;
}

/** `4 users at once`, `2.5 requests per second` */
function loadText(step: Step): string {
  if (step.kind === 'open') return `${step.rate} requests per second`;
  return step.concurrency === 1 ? '1 user' : `${step.concurrency} users at once`;
}

const loadOf = (step: Step) => (step.kind === 'open' ? step.rate : step.concurrency);
const shareText = ({ goodShare }: StepMeasures) => `${Math.floor(goodShare * 100)} % of the requests`;

function errorsText(steps: readonly StepMeasures[]): string {
  const names = new Set(steps.flatMap(({ errors }) => Object.keys(errors)));
  return [...names].join(', ');
}

/** Why requests of this step were not good, by what most of them lack. `all` from the lightest load to the heaviest. */
function limitOf(measures: StepMeasures, all: readonly StepMeasures[]): string {
  const { misses, rejected, failed } = measures;
  const causes: readonly (readonly [number, () => string])[] = [
    [rejected, () => `rejections (${errorsText([measures])})`],
    [failed, () => `failures (${errorsText([measures])})`],
    [misses.ttft ?? 0, () => firstTokenLimit(measures)],
    [misses.tpot ?? 0, () => `the speed of decoding (${ms(measures.tpot?.p50.value)} per token at p50)`],
    [misses.e2e ?? 0, () => latencyLimit(measures, all)],
  ];
  const [, words] = causes.reduce((most, each) => (each[0] > most[0] ? each : most));
  return words();
}

/** Told apart by the server's own figures of the queue and the prompt; without them nobody outside can. */
function firstTokenLimit({ ttft, serverQueue, serverPrompt }: StepMeasures): string {
  const first = ttft?.p50.value ?? 0;
  const of = `of ${ms(first)} to the first token at p50`;
  if (serverQueue !== undefined && serverQueue.p50.value >= first / 2)
    return `waiting for a slot (${ms(serverQueue.p50.value)} in the server’s queue ${of})`;
  if (serverPrompt !== undefined && serverPrompt.p50.value >= first / 2)
    return `evaluating prompts (${ms(serverPrompt.p50.value)} ${of})`;
  if (serverQueue !== undefined)
    return `the time before the first token after the queue (${ms(serverQueue.p50.value)} in the queue ${of}): evaluating prompts, or a queue further up`;
  return `the time to the first token (${ms(first)} at p50); the server gives no figure of how much of it was waiting`;
}

/** Neither beginning nor pace was missed by more: which of the two grew beyond the lightest load? */
function latencyLimit(measures: StepMeasures, [lightest = measures]: readonly StepMeasures[]): string {
  const decoding = (step: StepMeasures) => (step.e2e?.p50.value ?? 0) - (step.ttft?.p50.value ?? 0);
  const moreFirst = (measures.ttft?.p50.value ?? 0) - (lightest.ttft?.p50.value ?? 0);
  const moreDecoding = decoding(measures) - decoding(lightest);
  return moreFirst > moreDecoding
    ? firstTokenLimit(measures)
    : `the speed of decoding (${ms(measures.tpot?.p50.value)} per token at p50)`;
}

const ms = (value: number | undefined) => (value === undefined ? '?' : durationText(value));
const capitalized = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
