/** GET /admin/audit: what administrators did. */
import { type Static, Type } from 'typebox';
import type { AuditEntry } from '../../../access/audit-log.ts';
import type { AuditTrail } from '../../../access/audit-trail.ts';
import { ServingError } from '../../../core/errors.ts';
import { parseIsoTime } from '../../../core/iso-time.ts';
import type { EdgeRoute, RequestContext } from '../../context.ts';
import type { ReadingLine } from '../../reading-line.ts';
import { type DescribedOperation, json } from '../operations.ts';
import {
  ADMIN_PREFIX,
  adminRoute,
  NO_STORE,
  NOT_VALID,
  numberFrom,
  queryOf,
  REFUSALS,
} from './admin-route.ts';
import { AuditAnswer, type Entry } from './answer-schemas.ts';

export interface AuditRouteOptions {
  readonly audit: AuditTrail;
  readonly readings: ReadingLine;
}

const ENTRIES = { least: 1, most: 1000, usual: 100 } as const;

const PATH = `${ADMIN_PREFIX}audit`;

export const DESCRIBED_AUDIT: readonly DescribedOperation[] = [
  {
    path: PATH,
    summary: 'What administrators did',
    query: [
      {
        name: 'limit',
        schema: Type.Integer({ minimum: ENTRIES.least, maximum: ENTRIES.most, default: ENTRIES.usual }),
      },
      {
        name: 'before',
        schema: Type.String({
          format: 'date-time',
          description: 'Only older entries: the at of the last one that is known.',
        }),
      },
    ],
    answers: { 200: json(AuditAnswer), ...NOT_VALID, ...REFUSALS, ...NO_STORE },
  },
];

export function auditRoutes({ audit, readings }: AuditRouteOptions): readonly EdgeRoute[] {
  return [
    adminRoute({
      method: 'GET',
      path: PATH,
      handle: async (context) => {
        const limit = numberFrom(context, 'limit', ENTRIES);
        const before = timeFrom(context, 'before');
        const entries = await readings.read(context, () => audit.list({ limit, before }));
        context.answerJson(200, { entries: entries.map(shownEntry) } satisfies Static<typeof AuditAnswer>);
      },
    }),
  ];
}

function shownEntry({ at, ...entry }: AuditEntry): Static<typeof Entry> {
  return { at: new Date(at).toISOString(), ...entry };
}

/** Since the Unix epoch. Throws `invalid_request`. */
function timeFrom({ request }: RequestContext, name: string): number | undefined {
  const text = queryOf(request.url).get(name);
  if (text === null) return undefined;
  const time = parseIsoTime(text);
  if (time !== undefined) return time;
  throw new ServingError('invalid_request', {
    message: `${name} is ${JSON.stringify(text.slice(0, 40))}, but must be a date or a time such as 2027-01-31T12:00:00.000Z.`,
    param: name,
  });
}
