/**
 * All combinations of faults, wires, protocols and forms, with counts and times, and a seeded random mix of them for minutes.
 * `LLM_TEST_KEEP_RESULTS=1` writes the table of docs/reliability.md; `LLM_TEST_SEED` and `LLM_TEST_MINUTES` are the mix's.
 */
import { expect, onTestFinished, test, vi } from 'vitest';
// @ts-expect-error: plain JavaScript.
import { randomSource } from '../../bench/simulate/random.mjs';
import { type Ask, allAsks, FORMS, PROTOCOLS } from '../support/faults/asks.ts';
import type { Wire } from '../support/faults/fault.ts';
import { type Asked, type FaultWorld, SILENCE_MS, startFaultWorld } from '../support/faults/fault-world.ts';
import { FAULT_NAMES, type FaultName, faultOf } from '../support/faults/faults.ts';
import { keepResults } from '../support/faults/results.ts';

const WIRES: readonly Wire[] = ['openai-compatible', 'ollama'];
const WITHIN = { timeout: 120_000, interval: 20 };
const HEAVY_ASKS: readonly Ask[] = [
  { protocol: 'native', form: 'whole' },
  { protocol: 'openai-chat', form: 'stream' },
];
const ONE: Ask = { protocol: 'native', form: 'whole' };

interface Row {
  readonly fault: FaultName;
  readonly title: string;
  readonly cause: string;
  /** Beside a healthy target: requests, those that the fault struck, and what became of all. */
  requests: number;
  struck: number;
  answered: number;
  failed: number;
  broken: number;
  /** With another text than undisturbed. */
  changed: number;
  /** Codes of errors, alone for ever and beside a healthy target. */
  readonly codes: string[];
  /** Alone, once: answered of asked. */
  aloneAnswered: number;
  aloneAsked: number;
  /** From the end of the fault until the target answers again. */
  readonly recoveryMs: number[];
  /** Of streams that were tried elsewhere: time to first token beyond the fault's own detection. */
  readonly addedMs: number[];
}

test('every fault, both wires, all protocols and forms', async () => {
  const rows: Row[] = [];
  for (const name of FAULT_NAMES) {
    const fault = faultOf(name);
    const row = newRow(name);
    rows.push(row);
    const wires = fault.wire === undefined ? WIRES : [fault.wire];
    await Promise.all(
      wires.map((wire) => withWorld([wire, wire], (world) => besideHealthy(world, name, row))),
    );
    await Promise.all(wires.map((wire) => withWorld([wire], (world) => alone(world, name, row))));
    if (fault.phase === 'before' && !fault.isHeavy)
      for (const wire of wires) await withWorld([wire, wire], (world) => measureAdded(world, name, row));
    process.stdout.write(`${JSON.stringify(summary(row))}\n`);
  }
  keepResults('faults', {
    silenceMs: SILENCE_MS,
    rows: rows.map(summary),
    added: spread(rows.flatMap((row) => row.addedMs)),
  });
  for (const row of rows) {
    const about = JSON.stringify(summary(row));
    expect(row.broken, about).toBe(0);
    expect(row.changed, about).toBe(0);
    expect(row.struck, about).toBeGreaterThan(0);
    if (faultOf(row.fault).phase !== 'rejected') expect(row.failed, about).toBe(0);
  }
  expect(spread(rows.flatMap((row) => row.addedMs)).median).toBeLessThan(50);
});

async function besideHealthy(world: FaultWorld, name: FaultName, row: Row): Promise<void> {
  const fault = faultOf(name);
  const prompt = world.newPrompt();
  const asks = fault.isHeavy ? HEAVY_ASKS : allAsks({ from: FAULT_NAMES.indexOf(name) });
  const undisturbed = await Promise.all(asks.map((each) => world.ask(each, prompt)));
  world.target(0).play(() => name);
  const outcomes = await Promise.all(asks.map((each) => world.ask(each, prompt)));
  await world.settled();
  row.requests += outcomes.length;
  row.struck += world.target(0).struck;
  for (const [at, outcome] of outcomes.entries()) {
    note(row, outcome);
    const isChanged = outcome.kind === 'answer' && outcome.text !== undisturbed[at]?.text;
    if (isChanged && !fault.isOther) row.changed += 1;
  }
  if (fault.phase !== 'before' && fault.phase !== 'during') return;
  const since = Date.now();
  world.target(0).play(() => undefined);
  await vi.waitFor(async () => {
    await world.ask(ONE);
    expect(world.target(0).generations).toBeGreaterThan(0);
  }, WITHIN);
  row.recoveryMs.push(Date.now() - since);
}

/** One after the other, so that they do not wait for each other. */
async function measureAdded(world: FaultWorld, name: FaultName, row: Row): Promise<void> {
  const isSilence = faultOf(name).causes.some((cause) => cause === 'first_token_timeout');
  world.target(0).play(() => name);
  for (let turn = 0; turn < 4; turn += 1) {
    const before = world.target(0).struck;
    const { line, kind } = await world.ask({ protocol: 'openai-chat', form: 'stream' });
    if (kind !== 'answer' || world.target(0).struck === before) continue;
    row.addedMs.push(Number(line.latencyMs) - Number(line.generateMs) - (isSilence ? SILENCE_MS : 0));
  }
}

async function alone(world: FaultWorld, name: FaultName, row: Row): Promise<void> {
  const fault = faultOf(name);
  for (const form of fault.inStreamsOnly ? (['stream'] as const) : FORMS) {
    const protocol = PROTOCOLS[(FAULT_NAMES.indexOf(name) + (form === 'stream' ? 3 : 0)) % PROTOCOLS.length];
    const asked: Ask = { protocol: protocol ?? 'native', form };
    world.target(0).play((generation) => (generation === 1 ? name : undefined));
    const once = await world.ask(asked);
    row.aloneAsked += 1;
    if (once.kind === 'answer') row.aloneAnswered += 1;
    if (once.kind === 'broken') row.broken += 1;
    world.target(0).play(() => name);
    const forEver = await world.ask(asked);
    if (forEver.kind === 'broken') row.broken += 1;
    if (forEver.kind === 'error') noteCode(row, forEver);
    world.target(0).play(() => undefined);
  }
  await world.settled();
}

function note(row: Row, outcome: Asked): void {
  const { kind } = outcome;
  if (kind === 'answer') row.answered += 1;
  else if (kind === 'error') row.failed += 1;
  else row.broken += 1;
  if (outcome.kind === 'error') noteCode(row, outcome);
}

function noteCode({ codes }: Row, { line }: Asked): void {
  const code = String(line.errorCode);
  if (!codes.includes(code)) codes.push(code);
}

function newRow(fault: FaultName): Row {
  const { title, causes } = faultOf(fault);
  return {
    ...{ fault, title, cause: causes[0] ?? '', requests: 0, struck: 0, answered: 0, failed: 0, broken: 0 },
    ...{ changed: 0, codes: [], aloneAnswered: 0, aloneAsked: 0, recoveryMs: [], addedMs: [] },
  };
}

function summary({ recoveryMs, addedMs, ...row }: Row) {
  return { ...row, recoveryMs: spread(recoveryMs), addedMs: spread(addedMs) };
}

function spread(values: readonly number[]) {
  const sorted = [...values].sort((one, other) => one - other).map((value) => Math.round(value * 10) / 10);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: sorted.length, median: at(0.5), p95: at(0.95), max: at(1) };
}

async function withWorld(wires: readonly Wire[], run: (world: FaultWorld) => Promise<void>): Promise<void> {
  const ends: (() => Promise<void>)[] = [];
  try {
    await run(await startFaultWorld({ wires, endsWith: (end) => ends.push(end) }));
  } finally {
    await Promise.all(ends.map((end) => end()));
  }
}

/**
 * One of three at fault: a request fails only where the next target begins to fail just when it gets there. Two of three: where both
 * fail it, too, and where a silence uses up its one second try.
 */
test.each([1, 2])('a random mix of faults at %i of three targets at a time', async (atFault) => {
  const seed = Number(process.env.LLM_TEST_SEED ?? 20_261_127);
  const minutes = Number(process.env.LLM_TEST_MINUTES ?? 2);
  const random: () => number = randomSource(seed).next;
  const world = await startFaultWorld({
    wires: ['openai-compatible', 'ollama', 'openai-compatible'],
    flags: ['--routing.prefix-affinity', 'true'],
    endsWith: onTestFinished,
  });
  const until = Date.now() + minutes * 60_000;
  const disturber = disturb(world, { random, until, atFault });
  const counts = { requests: 0, answered: 0, failed: 0, broken: 0, changed: 0, retried: 0, resumed: 0 };
  const codes: Record<string, number> = {};
  const problems: string[] = [];
  const client = async () => {
    while (Date.now() < until) {
      const asked = pick(allAsks(), random);
      const prompt = world.newPrompt();
      const outcome = await world.ask(asked, prompt);
      const { kind, text, line } = outcome;
      counts.requests += 1;
      if (Number(line.attempts ?? 1) > 1) counts.retried += 1;
      if (Number(line.resumed ?? 0) > 0) counts.resumed += 1;
      if (kind === 'answer') counts.answered += 1;
      else if (kind === 'error') {
        counts.failed += 1;
        codes[String(line.errorCode)] = (codes[String(line.errorCode)] ?? 0) + 1;
        problems.push(JSON.stringify(line));
      } else counts.broken += 1;
      const isOther = kind === 'answer' ? text !== answerTo(prompt) : !answerTo(prompt).startsWith(text);
      if (isOther) counts.changed += 1;
      if (isOther || kind === 'broken') problems.push(`${JSON.stringify(asked)} ${text} ${outcome.body}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
  const struck = await disturber;
  await world.settled();
  const about = JSON.stringify({ atFault, seed, minutes, ...counts, codes, struck });
  process.stdout.write(`${about}\n${problems.slice(0, 5).join('\n')}\n`);
  keepResults(`faults-random-${atFault}`, { atFault, targets: 3, seed, minutes, ...counts, codes, struck });
  expect(counts.broken, about).toBe(0);
  expect(counts.changed, about).toBe(0);
  expect(counts.requests, about).toBeGreaterThan(100);
  if (atFault === 1) expect(counts.failed, about).toBeLessThanOrEqual(counts.requests * 0.005);
});

/** Those that leave the text as it is, and cost neither megabytes nor seconds. */
const MIXED = FAULT_NAMES.filter((name) => {
  const { isHeavy, isOther, phase } = faultOf(name);
  return !isHeavy && !isOther && phase !== 'rejected' && name !== 'context-error';
});

interface Disturbance {
  readonly random: () => number;
  readonly until: number;
  readonly atFault: number;
}

/** So many targets do what chance says for a while, then others. Resolves with how often a fault struck. */
async function disturb(world: FaultWorld, { random, until, atFault }: Disturbance): Promise<number> {
  const { targets } = world;
  let struck = 0;
  for (let round = 0; Date.now() < until; round += 1) {
    for (const [at, target] of targets.entries()) {
      struck += target.struck;
      target.play(() => undefined);
      target.beSilent(false);
      await target.listen();
      if ((at + round) % targets.length >= atFault) continue;
      const usable = MIXED.filter((name) => (faultOf(name).wire ?? target.wire) === target.wire);
      const share = random();
      const what = random();
      const name = pick(usable, random);
      if (what < 0.15) await target.goDown();
      else if (what < 0.2) target.beSilent(true);
      else if (what < 0.6) target.play(() => name);
      else target.play(() => (random() < share ? pick(usable, random) : undefined));
    }
    await new Promise((resolve) => setTimeout(resolve, 500 + random() * 3000));
  }
  for (const target of targets) {
    struck += target.struck;
    target.beSilent(false);
    target.play(() => undefined);
    await target.listen();
  }
  return struck;
}

/** The played model repeats its prompt, for as many tokens as it may. */
function answerTo(prompt: string): string {
  const words = prompt.split(' ');
  return Array.from({ length: 16 }, (_, at) => words[at % words.length]).join(' ');
}

function pick<Value>(values: readonly Value[], random: () => number): Value {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new Error('there is nothing to choose from');
  return value;
}
