/** `llm-serve whatif FILE`: replays a record with other settings, and shows what would have changed. */
import { writeFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ConfigError } from '../config/config-error.ts';
import { printableText } from '../core/log.ts';
import { replayError } from '../simulation/outcomes.ts';
import { RecordError, type Recording, readRecord } from '../simulation/read-record.ts';
import { CHOICES, type Changes, Replayer } from '../simulation/replay.ts';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS } from './help.ts';
import { recordLines } from './record.ts';
import { type WhatIfResult, whatIfChart, whatIfText } from './whatif-report.ts';

interface WhatIfFlags extends Changes {
  readonly json?: boolean;
  readonly chart?: string;
}

export function addWhatIfCommand(program: Command, { exit }: CommandFrame): void {
  program
    .command('whatif')
    .helpGroup(COMMAND_GROUPS.use)
    .description('Replay a record (serve --record) with other settings: what would have changed?')
    .argument('<file>', 'the record')
    .optionsGroup('What would be different:')
    .option('--slots <count>', 'slots of each target', whole(1))
    .option('--targets <count>', 'targets of each model; further ones are like its first', whole(1))
    .option('--load <factor>', 'requests arrive so many times as fast', positive)
    .addOption(new Option('--order <name>', 'who goes first').choices(CHOICES.order))
    .addOption(new Option('--mode <name>', 'when batches leave').choices(CHOICES.mode))
    .addOption(new Option('--routing <name>', 'which target gets a request').choices(CHOICES.routing))
    .option('--max-batch-size <count>', 'requests of a batch', whole(1))
    .option('--window-ms <ms>', 'of the mode window', whole(0))
    .option('--max-queue <count>', 'requests that may wait for a model', whole(1))
    .option('--max-queue-per-client <count>', 'of one client', whole(1))
    .option('--queue-timeout-ms <ms>', 'the longest wait for a slot', whole(1))
    .optionsGroup('Output:')
    .option('--json', 'all figures as JSON')
    .option('--chart <file>', 'write a chart (SVG) of the times')
    .allowExcessArguments(false)
    .action((file: string, flags: WhatIfFlags) => exit(whatIf(file, flags)));
}

function whatIf(file: string, { json = false, chart, ...changes }: WhatIfFlags): number {
  const recording = read(file);
  const result = resultOf(recording, changes);
  if (chart !== undefined) writeChart(chart, whatIfChart(result));
  const text = json ? `${JSON.stringify(result, undefined, 2)}\n` : whatIfText(result);
  process.stdout.write(printableText(text));
  return 0;
}

export function resultOf(recording: Recording, changes: Changes): WhatIfResult {
  const { settings, requests, run, runs, underOtherSettings, unreadable } = recording;
  const replayer = new Replayer(settings, requests);
  const replayed = replayer.replay();
  const isChanged = Object.values(changes).some((value) => value !== undefined);
  const changed = isChanged ? replayer.replay(changes) : undefined;
  const { recorded } = replayer;
  const services = Object.fromEntries(replayer.services);
  // Recorded times are rounded: where a slot is taken over at once, two requests seem to hold it.
  const seen = Math.min(
    recorded.slots,
    Math.max(0, ...Object.values(services).map(({ seenRunning }) => seenRunning)),
  );
  return {
    record: { started_at_ms: run.started_at_ms, version: run.version, runs, underOtherSettings, unreadable },
    changes,
    objectives: settings.objectives,
    recorded,
    replayed: replayed.figures,
    what_if: changed?.figures,
    error: replayError(recorded, replayed.figures),
    extrapolates: changed !== undefined && changed.most > seen ? { to: changed.most, seen } : undefined,
    service: services,
  };
}

function read(file: string): Recording {
  try {
    return readRecord(recordLines(file));
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof RecordError) throw new ConfigError(`${file} cannot be replayed: ${message}.`);
    throw new ConfigError(`${file} cannot be read: ${message}`);
  }
}

function writeChart(file: string, svg: string): void {
  try {
    writeFileSync(file, svg);
  } catch (error) {
    throw new ConfigError(`the chart cannot be written to ${file}: ${(error as Error).message}`);
  }
}

function whole(least: number): (text: string) => number {
  return (text) => {
    if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text);
    throw new InvalidArgumentError(`It must be a whole number, at least ${least}.`);
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a number above 0.');
}
