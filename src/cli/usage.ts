/** `llm-serve usage`: what keys, teams and models have used. Reads access.store, whether a server runs or not. */
import type { Command } from 'commander';
import { ConfigError } from '../config/config-error.ts';
import { ServingError } from '../core/errors.ts';
import { systemClock } from '../system-clock.ts';
import {
  readUsageRequest,
  USAGE_DIMENSIONS,
  type UsageReport,
  type UsageWords,
  usageReport,
} from '../usage/usage-report.ts';
import type { UsageDimension } from '../usage/usage-row.ts';
import type { CommandFrame } from './command-frame.ts';
import { COMMAND_GROUPS } from './help.ts';
import { openConfiguredStore } from './opened-store.ts';
import { type Flags, readConfig } from './read-config.ts';
import { flagsOf, STORE_SECTIONS, withSections } from './settings-flags.ts';
import { usageCsv, usageTable } from './usage-text.ts';

const NAMES = { by: '--by', from: '--since', to: '--until' } as const satisfies Record<
  keyof UsageWords,
  string
>;
const USUAL_BY: readonly UsageDimension[] = ['key'];

interface UsageFlags {
  readonly by?: string;
  readonly since?: string;
  readonly until?: string;
  readonly key?: string;
  readonly team?: string;
  readonly json?: boolean;
  readonly csv?: boolean;
}

export function addUsageCommand(program: Command, { exit }: CommandFrame): void {
  const command = program
    .command('usage')
    .helpGroup(COMMAND_GROUPS.access)
    .description('Requests, tokens and money by key, team, model, target or time.')
    .option('--by <names>', `${USAGE_DIMENSIONS.join(', ')}; several with commas (default: key)`)
    .option(
      '--since <time>',
      'from that hour on: 2026-01, 2026-01-31, 2026-01-31T12:00Z, 7d, 24h (default: 30d)',
    )
    .option('--until <time>', 'before that hour (default: until now)')
    .option('--key <name>', 'only of the key with this name or id')
    .option('--team <name>', 'only of this team')
    .option('--json', 'a list of rows as JSON')
    .option('--csv', 'for spreadsheets');
  withSections(command, STORE_SECTIONS).action(async (flags: UsageFlags) => {
    await showUsage(flagsOf(command), flags);
    exit(0);
  });
}

async function showUsage(settings: Flags, flags: UsageFlags): Promise<void> {
  const { by: byText, since: from, until: to, key, team, json = false, csv = false } = flags;
  if (json && csv) throw new ConfigError('--json and --csv exclude one another.');
  const request = requestFrom({ by: byText, from, to });
  const { by } = request;
  const report = await readReport(settings, { ...request, key, team });
  process.stdout.write(textOf(report, by, { json, csv }));
}

function requestFrom(words: UsageWords): ReturnType<typeof readUsageRequest> {
  try {
    const wording = { usualBy: USUAL_BY, dimensions: USAGE_DIMENSIONS, names: NAMES };
    return readUsageRequest(words, wording, systemClock.wallNow());
  } catch (error) {
    throw error instanceof ServingError ? new ConfigError(error.message) : error;
  }
}

async function readReport(settings: Flags, request: Parameters<typeof usageReport>[1]): Promise<UsageReport> {
  const { currency } = readConfig(settings).config.prices;
  const store = await openConfiguredStore(settings, 'read');
  try {
    const reader = {
      currency: () => currency,
      keysNamed: (idOrName: string) => store.keys.named(idOrName),
      namesOf: (ids: readonly string[]) => store.keys.namesOf(ids),
      report: store.usage.report.bind(store.usage),
    };
    return await usageReport(reader, request);
  } finally {
    await store.close();
  }
}

function textOf(
  report: UsageReport,
  by: readonly UsageDimension[],
  { json, csv }: { readonly json: boolean; readonly csv: boolean },
): string {
  if (json) return `${JSON.stringify(report.rows, undefined, 2)}\n`;
  if (csv) return usageCsv(report, by);
  return `${usageTable(report, by).join('\n')}\n`;
}
