/**
 * Three servers with the embedded engine as targets of one: 200 greedy streams while one after the other is killed with SIGKILL in the
 * middle of its streams, and started again. Each is compared with two undisturbed runs of the same requests. `LLM_TEST_KEEP_RESULTS=1` writes the figures of docs/reliability.md.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
// @ts-expect-error: plain JavaScript.
import { writeShortenedModel } from '../../bench/conversations/shortened-model.mjs';
import { quantile } from '../../src/core/quantile.ts';
import { ENGINE_THREADS, isAlive, modelPath } from '../support/embedded-engine.ts';
import { type Executable, startExecutable } from '../support/executable.ts';
import { askFor, type Outcome } from '../support/faults/asks.ts';
import { keepResults } from '../support/faults/results.ts';
import { metric } from '../support/http-client.ts';
import type { LogLine } from '../support/log-lines.ts';
import { whenReady } from '../support/readiness.ts';

const STREAMS = 200;
const AT_ONCE = 12;
const MAX_TOKENS = 24;
const LAYERS = 3;
/** A kill comes when so many streams have ended. */
const KILLS_AFTER = [40, 90, 140];
/** What the victim has been working on by then, as a part of what an undisturbed answer takes. */
const KILLED_AFTER_SHARE = 0.4;
const WITHIN = { timeout: 300_000, interval: 10 };

interface Answered extends Outcome {
  readonly line: LogLine;
}

/** Slots of each engine. One: what runs beside a request cannot change its answer in the last bit of a step. */
test.each([1, 4])(
  '200 greedy streams, %i slots for each of three engines, each killed once',
  async (slots) => {
    const folder = mkdtempSync(join(tmpdir(), 'llm-serve-killed-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const model = join(folder, 'shortened.gguf');
    writeShortenedModel({ source: await modelPath(), target: model, layers: LAYERS });
    const engines = await Promise.all([0, 1, 2].map(() => startEngine({ model, slots })));
    const gateway = await startGateway(engines, slots);
    await whenReady(gateway);

    const first = await askAll(gateway);
    const second = await askAll(gateway);
    const killedAtSeconds = KILLED_AFTER_SHARE * typicalSeconds(second);
    const enginePids: number[] = [];
    let runningAtKill = 0;
    const disturbed = await askAll(gateway, async (kill) => {
      const victim = engines[kill];
      if (victim === undefined) throw new Error(`there is no engine ${kill}`);
      const { pid } = await victim.logged(({ msg }) => msg === 'engine ready');
      enginePids.push(Number(pid));
      await vi.waitFor(async () => {
        expect(await metric(victim, 'llm_serve_oldest_request_seconds')).toBeGreaterThan(killedAtSeconds);
      }, WITHIN);
      runningAtKill += await metric(victim, 'llm_serve_requests_running');
      victim.signal('SIGKILL');
      await victim.ended;
      engines[kill] = await startEngine({ model, slots, port: victim.port });
    });
    await vi.waitFor(() => expect(enginePids.filter(isAlive)).toEqual([]), WITHIN);

    const figures = compare({ first, second, disturbed });
    const about = JSON.stringify({ slots, runningAtKill, ...figures }, null, 1);
    process.stdout.write(`${about}\n`);
    keepResults(`killed-engine-${slots}-slots`, {
      ...{
        streams: STREAMS,
        atOnce: AT_ONCE,
        maxTokens: MAX_TOKENS,
        layers: LAYERS,
        slots,
        kills: KILLS_AFTER.length,
        runningAtKill,
      },
      cpus: cpus().length,
      ...figures,
      raw: { first: raw(first), second: raw(second), disturbed: raw(disturbed) },
    });
    expect(first.every(({ kind }) => kind === 'answer')).toBe(true);
    expect(second.every(({ kind }) => kind === 'answer')).toBe(true);
    expect(figures.broken, about).toBe(0);
    expect(figures.failedWithOtherText, about).toBe(0);
    expect(figures.resumedWithOtherText, about).toBe(0);
    expect(figures.resumed + figures.failed, about).toBeGreaterThan(0);
    if (slots === 1) expect(figures.common, about).toBe(STREAMS);
    expect(figures.equal + figures.failed, about).toBeGreaterThanOrEqual(figures.common);
  },
);

interface EngineOptions {
  readonly model: string;
  readonly slots: number;
  /** Absent: a free one. */
  readonly port?: number;
}

function startEngine({ model, slots, port = 0 }: EngineOptions): Promise<Executable> {
  const target = {
    backend: 'llama-cpp',
    model,
    slots,
    context_size: 256,
    threads: ENGINE_THREADS,
    gpu: 'off',
  };
  return startExecutable({
    flags: ['--rate-limit.enabled', 'false', '--port', String(port)],
    environment: { LLM_SERVE_MODELS: JSON.stringify([{ id: 'm', targets: [target] }]) },
    endsWith: onTestFinished,
  });
}

async function startGateway(engines: readonly Executable[], slots: number): Promise<Executable> {
  const targets = engines.map(({ url }, at) => ({
    ...{ name: `engine-${at}`, backend: 'openai-compatible', url, model: 'm', slots },
  }));
  return startExecutable({
    flags: ['--rate-limit.enabled', 'false', '--scheduler.max-queue-per-client', '1000'],
    environment: { LLM_SERVE_MODELS: JSON.stringify([{ id: 'm', targets }]) },
    endsWith: onTestFinished,
  });
}

function typicalSeconds(answers: readonly Answered[]): number {
  const durations = Float64Array.from(answers, ({ line }) => Number(line.upstreamMs)).sort();
  return quantile(durations, 0.5) / 1000;
}

/** `kill` is called with the number of the kill, from 0. */
async function askAll(
  gateway: Executable,
  kill?: (kill: number) => Promise<void>,
): Promise<readonly Answered[]> {
  const answers: Answered[] = [];
  const kills: Promise<void>[] = [];
  let next = 0;
  let ended = 0;
  const client = async () => {
    while (next < STREAMS) {
      const index = next;
      next += 1;
      const prompt = `Question ${index}: what comes after the number ${index * 7}, and why?`;
      const asked = { protocol: 'openai-chat', form: 'stream' } as const;
      const outcome = await askFor(gateway, asked, prompt, { maxTokens: MAX_TOKENS });
      answers[index] = { ...outcome, line: await gateway.requestLine(outcome.requestId) };
      ended += 1;
      const at = KILLS_AFTER.indexOf(ended);
      if (kill !== undefined && at !== -1) kills.push(kill(at));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  await Promise.all(kills);
  return answers;
}

function compare(runs: {
  readonly first: readonly Answered[];
  readonly second: readonly Answered[];
  readonly disturbed: readonly Answered[];
}) {
  const { first, second, disturbed } = runs;
  const undisturbed = (at: number) => [first[at]?.text ?? '', second[at]?.text ?? ''];
  const isEqual = ({ text }: Answered, at: number) => undisturbed(at).includes(text);
  const isResumed = ({ line }: Answered) => Number(line.resumed ?? 0) > 0;
  const answered = disturbed.filter(({ kind }) => kind === 'answer');
  return {
    /** Equal in both undisturbed runs. */
    common: first.filter(({ text }, at) => text === second[at]?.text).length,
    /** Complete, and equal to an undisturbed run's. */
    equal: disturbed.filter((each, at) => each.kind === 'answer' && isEqual(each, at)).length,
    answered: answered.length,
    failed: disturbed.filter(({ kind }) => kind === 'error').length,
    broken: disturbed.filter(({ kind }) => kind === 'broken').length,
    resumed: disturbed.filter(isResumed).length,
    triedAgain: disturbed.filter(({ line }) => Number(line.attempts ?? 1) > 1).length,
    /** A resumed answer that no undisturbed run has. */
    resumedWithOtherText: disturbed.filter(
      (each, at) => each.kind === 'answer' && isResumed(each) && !isEqual(each, at),
    ).length,
    /** What came before an error is the beginning of no undisturbed answer. */
    failedWithOtherText: disturbed.filter(
      ({ kind, text }, at) => kind === 'error' && !undisturbed(at).some((whole) => whole.startsWith(text)),
    ).length,
  };
}

/** Of each stream: how it ended, its characters, its text's hash, how often it was resumed. */
function raw(answers: readonly Answered[]) {
  return answers.map(({ kind, text, line }) =>
    [kind, text.length, createHash('sha256').update(text).digest('hex').slice(0, 12), line.resumed ?? 0].join(
      ' ',
    ),
  );
}
