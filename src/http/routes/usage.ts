/** Usage: GET /v1/usage has that of the key that asks, GET /admin/usage that of all. Neither takes a slot; both wait for the store. */
import { type TSchema, Type } from 'typebox';
import type { Clock } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import { ErrorAnswer } from '../../protocols/catalog.ts';
import {
  readUsageRequest,
  type ShownUsage,
  USAGE_DIMENSIONS,
  type UsageReader,
  type UsageReport,
  type UsageRequest,
  type UsageWords,
  usageReport,
} from '../../usage/usage-report.ts';
import type { UsageDimension } from '../../usage/usage-row.ts';
import { type EdgeRoute, pageRoute, type RequestContext } from '../context.ts';
import type { ReadingLines } from '../reading-line.ts';
import { type DescribedOperation, json, type QueryParameter } from './operations.ts';
import { protocolAt } from './protocols.ts';
import { type UsageAnswer, usageReportSchema } from './usage-report-schema.ts';

interface UsageRouteOptions {
  readonly clock: Clock;
  readonly usage: UsageReader;
  readonly readings: ReadingLines;
}

export const OWN_USAGE_PATH = '/v1/usage';
const ALL_USAGE_PATH = '/admin/usage';
const NAMES = { by: 'by', from: 'from', to: 'to' } as const satisfies Record<keyof UsageWords, string>;
/** All rows of an answer are of one key, and of its team. */
const OWN_DIMENSIONS: readonly UsageDimension[] = ['model', 'target', 'day', 'hour'];

const timeText = (description: string) =>
  Type.String({
    description: `${description}: a UTC month, day or time such as 2026-01, 2026-01-31 or 2026-01-31T12:00Z, or a span until now such as 24h or 7d.`,
  });

const queryOf = (
  dimensions: readonly UsageDimension[],
  usual: readonly UsageDimension[],
): readonly QueryParameter[] => [
  {
    name: NAMES.by,
    schema: Type.String({
      default: usual.join(','),
      description: `What rows are by: ${dimensions.join(', ')}; several with commas between them.`,
    }),
  },
  { name: NAMES.from, schema: timeText('From that hour on (default: 30 days)') },
  { name: NAMES.to, schema: timeText('Before that hour (default: until now)') },
];

const OWN_USUAL: readonly UsageDimension[] = ['model'];
const ALL_USUAL: readonly UsageDimension[] = ['key'];

const COUNTED =
  'Requests to models that have ended, in whole UTC hours. Tokens, money and slots are those of all tries.';
/** In the words of the protocol that has the path. */
const refusalsOf = (schema: TSchema) => {
  const refused = json(schema);
  return { 400: refused, 401: refused, 403: refused, 429: refused, 503: refused, 508: refused };
};

export const DESCRIBED_USAGE: readonly DescribedOperation[] = [
  {
    path: OWN_USAGE_PATH,
    summary: 'What your key has used',
    description: `${COUNTED} Where the server asks for no key, it answers 403.`,
    query: queryOf(OWN_DIMENSIONS, OWN_USUAL),
    answers: {
      200: json(usageReportSchema(OWN_DIMENSIONS)),
      ...refusalsOf(protocolAt(OWN_USAGE_PATH).errors.schema),
    },
  },
  {
    path: ALL_USAGE_PATH,
    summary: 'What all keys have used',
    description: COUNTED,
    query: [
      ...queryOf(USAGE_DIMENSIONS, ALL_USUAL),
      { name: 'key', schema: Type.String({ description: 'Only of the key with this name or id.' }) },
      { name: 'team', schema: Type.String({ description: 'Only of this team.' }) },
    ],
    answers: {
      200: json(usageReportSchema(USAGE_DIMENSIONS)),
      ...refusalsOf(ErrorAnswer),
    },
  },
];

/** The one for administrators has its access by its path. */
export function usageRoutes({ clock, usage, readings }: UsageRouteOptions): readonly EdgeRoute[] {
  return [
    pageRoute(OWN_USAGE_PATH, async (context) => {
      const { caller } = context.trace;
      if (caller === undefined)
        throw new ServingError('forbidden', {
          message:
            'Usage is told by key, and this request has none: the server asks for no key. On its own machine, llm-serve usage and GET /admin/usage have that of all requests.',
        });
      const request = readUsageRequest(
        wordsOf(context),
        { usualBy: OWN_USUAL, dimensions: OWN_DIMENSIONS, names: NAMES },
        clock.wallNow(),
      );
      await readings.ofCallers.read(context, () => answer(context, usage, { ...request, caller: caller.id }));
    }),
    pageRoute(ALL_USAGE_PATH, async (context) => {
      const { by, from, to, key, team } = wordsOf(context);
      const request = readUsageRequest(
        { by, from, to },
        { usualBy: ALL_USUAL, dimensions: USAGE_DIMENSIONS, names: NAMES },
        clock.wallNow(),
      );
      await readings.ofAdministrators.read(context, () => answer(context, usage, { ...request, key, team }));
    }),
  ];
}

async function answer(context: RequestContext, usage: UsageReader, request: UsageRequest): Promise<void> {
  const report: UsageReport = await usageReport(usage, request).catch((error: unknown) => {
    throw error instanceof ServingError ? error : new ServingError('store_unavailable', { cause: error });
  });
  context.answerJson(200, wireReport(report));
}

function wireReport({ rows, ...report }: UsageReport): UsageAnswer {
  return { ...report, rows: rows.map((row: ShownUsage) => ({ ...row })) };
}

/** Empty ones are none. Further ones are ignored: clients send their own. */
function wordsOf({ request: { url = '' } }: RequestContext) {
  const queryAt = url.indexOf('?');
  const query = new URLSearchParams(queryAt === -1 ? '' : url.slice(queryAt));
  const word = (name: string) => query.get(name) || undefined;
  return { by: word('by'), from: word('from'), to: word('to'), key: word('key'), team: word('team') };
}
