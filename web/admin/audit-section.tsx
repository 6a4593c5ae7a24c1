/** What administrators did, the newest first. */
import { useState } from 'preact/hooks';
import { TableScroll } from '../ui/table.tsx';
import { ActionFailure, useAction } from './action.tsx';
import { type AuditEntry, listAudit } from './api.ts';
import { Filter } from './filter.tsx';
import { Loaded, useResource } from './loaded.tsx';
import { fits } from './words.ts';

const POLL_MS = 5_000;
const PAGE = 50;

export function AuditSection() {
  const asked = useResource((options) => listAudit({ limit: PAGE }, options), { pollMs: POLL_MS });
  const [filter, setFilter] = useState('');
  return (
    <section aria-labelledby="admin-audit">
      <div class="admin-head">
        <h2 id="admin-audit">Audit log</h2>
        <Filter label="Filter the audit log" value={filter} onInput={setFilter} />
      </div>
      <Loaded asked={asked}>
        {(newest) =>
          newest.length === 0 ? (
            <div class="admin-empty">
              <p>
                Nothing was changed yet. Each change of a key, a target, the queue or the configuration leaves
                an entry here, those of <code>llm-serve keys …</code> too.
              </p>
            </div>
          ) : (
            <Entries newest={newest} filter={filter} />
          )
        }
      </Loaded>
    </section>
  );
}

function Entries({ newest, filter }: { readonly newest: readonly AuditEntry[]; readonly filter: string }) {
  /** What the person has asked for beyond the newest. */
  const [older, setOlder] = useState<readonly AuditEntry[]>([]);
  const [isAll, setIsAll] = useState(newest.length < PAGE);
  const action = useAction();
  const all = merged(newest, older);
  const more = () =>
    action.run(async () => {
      const last = all.at(-1);
      const entries = await listAudit({ limit: PAGE, ...(last && { before: last.at }) }, {});
      setOlder(merged(all, entries));
      setIsAll(entries.length < PAGE);
      return '';
    });
  const shown = all.filter((entry) =>
    fits(filter, entry.actor, entry.action, entry.subject, entry.address, detailsOf(entry)),
  );
  return (
    <>
      <TableScroll label="Audit log" columns={['When (UTC)', 'Who', 'From', 'What', 'To what', 'Details']}>
        {shown.map((entry) => (
          <tr key={keyOf(entry)}>
            <td class="figure-cell">{entry.at.slice(0, 19).replace('T', ' ')}</td>
            <td>{entry.actor}</td>
            <td>{entry.address || '–'}</td>
            <th scope="row">{entry.action}</th>
            <td>{entry.subject || '–'}</td>
            <td class="wraps">{detailsOf(entry) || '–'}</td>
          </tr>
        ))}
      </TableScroll>
      {shown.length === 0 && <p class="notice">No entry fits the filter.</p>}
      {!isAll && (
        <p>
          <button type="button" class="button small" disabled={action.isBusy} onClick={() => void more()}>
            Older entries
          </button>
        </p>
      )}
      <ActionFailure action={action} />
    </>
  );
}

/** Of both lists, each once: what is newest moves on while older ones are on the screen. */
function merged(newer: readonly AuditEntry[], older: readonly AuditEntry[]): readonly AuditEntry[] {
  const known = new Set(newer.map(keyOf));
  return [...newer, ...older.filter((entry) => !known.has(keyOf(entry)))];
}

function keyOf({ at, actor, action, subject, details }: AuditEntry): string {
  return JSON.stringify([at, actor, action, subject, details]);
}

/** `overlap_seconds: 3600, models: ["small"]` */
function detailsOf({ details }: AuditEntry): string {
  return Object.entries(details)
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
}
