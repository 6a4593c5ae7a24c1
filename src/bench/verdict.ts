/** One plain sentence about a run: how much load the server carries within the targets, and what limits it beyond that. */
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

/** Undefined: it kept up. */
export function clientProblem({ client, clientDelay, ttft }: StepMeasures): string | undefined {
  if (client !== undefined && client.cpuShare > BUSY_CPU_SHARE)
    return `this client used ${Math.round(client.cpuShare * 100)} % of a core`;
  const lateMs = client?.loopLagP99Ms ?? 0;
  if (lateMs > Math.max(LATE_LOOP_MS, LATE_LOOP_SHARE * (ttft?.p50.value ?? 0)))
    return `this client was late by ${Math.round(lateMs)} ms (p99 of its event loop)`;
  const delay = clientDelay?.p99.value ?? 0;
  return delay > LATE_SEND_MS
    ? `this client sent requests ${Math.round(delay)} ms after they were due (p99)`
    : undefined;
}

export function verdict(steps: readonly StepMeasures[], objectives: Objectives): string {
  const measured = steps.filter(({ requests }) => requests > 0);
  const within = objectivesText(objectives);
  if (measured.length === 0) return 'Nothing was measured.';
  if (measured.every(({ completed }) => completed === 0))
    return `No request completed: ${errorsText(measured)}.`;
  const carried = measured.filter(({ goodShare }) => goodShare >= CARRIED_SHARE);
  const best = carried.reduce<StepMeasures | undefined>(
    (most, each) => (most === undefined || loadOf(each.step) > loadOf(most.step) ? each : most),
    undefined,
  );
  const heavier = measured
    .filter(({ step }) => best === undefined || loadOf(step) > loadOf(best.step))
    .sort((one, other) => loadOf(one.step) - loadOf(other.step))[0];
  if (best === undefined) {
    const step = heavier ?? measured[0];
    if (step === undefined) return 'Nothing was measured.';
    return `Not even ${loadText(step.step)} ${within}: ${shareText(step)}; limited by ${limitOf(step, measured)}.`;
  }
  const carriedText = `${loadText(best.step)} ${within} (${shareText(best)})`;
  if (heavier === undefined)
    return `${capitalized(carriedText)}; no heavier load was tried.${saturationText(measured)}`;
  return `${capitalized(carriedText)}; at ${loadText(heavier.step)} ${shareText(heavier)}, limited by ${limitOf(heavier, measured)}.`;
}

/** More load brought hardly more answers. */
const GROWTH = 1.1;

function saturationText(steps: readonly StepMeasures[]): string {
  const byLoad = [...steps].sort((one, other) => loadOf(one.step) - loadOf(other.step));
  const last = byLoad.at(-1);
  const enough = byLoad.find(
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

/** Why requests of this step were not good, by what most of them lack. */
function limitOf(measures: StepMeasures, all: readonly StepMeasures[]): string {
  const problem = clientProblem(measures);
  if (problem !== undefined) return `the client, not the server: ${problem}`;
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
function latencyLimit(measures: StepMeasures, all: readonly StepMeasures[]): string {
  const [lightest = measures] = [...all].sort((one, other) => loadOf(one.step) - loadOf(other.step));
  const decoding = (step: StepMeasures) => (step.e2e?.p50.value ?? 0) - (step.ttft?.p50.value ?? 0);
  const moreFirst = (measures.ttft?.p50.value ?? 0) - (lightest.ttft?.p50.value ?? 0);
  const moreDecoding = decoding(measures) - decoding(lightest);
  return moreFirst > moreDecoding
    ? firstTokenLimit(measures)
    : `the speed of decoding (${ms(measures.tpot?.p50.value)} per token at p50)`;
}

const ms = (value: number | undefined) =>
  value === undefined ? '?' : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const capitalized = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
