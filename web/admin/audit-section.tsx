/** What administrators did, the newest first. */
import { useMemo, useState } from 'preact/hooks';
import { TableScroll } from '../ui/table.tsx';
import { ActionFailure, useAction } from './action.tsx';
import { type AuditEntry, listAudit } from './api.ts';
import { AuditPages, auditKey, type KnownEntries } from './audit-pages.ts';
import { Filter } from './filter.tsx';
import { Loaded, useResource } from './loaded.tsx';
import { fits } from './words.ts';

const POLL_MS = 5_000;

export function AuditSection() {
  const pages = useMemo(() => new AuditPages(listAudit), []);
  const asked = useResource((options) => pages.newest(options), { pollMs: POLL_MS });
  const more = async () => {
    await pages.older({});
    asked.reload();
    return '';
  };
  const [filter, setFilter] = useState('');
  return (
    <section aria-labelledby="admin-audit">
      <div class="admin-head">
        <h2 id="admin-audit">Audit log</h2>
        <Filter label="Filter the audit log" value={filter} onInput={setFilter} />
      </div>
      <Loaded asked={asked}>
        {(known) =>
          known.entries.length === 0 ? (
            <div class="admin-empty">
              <p>
                Nothing was changed yet. Each change of a key, a target, the queue or the configuration leaves
                an entry here, those of <code>llm-serve keys …</code> too.
              </p>
            </div>
          ) : (
            <Entries known={known} filter={filter} more={more} />
          )
        }
      </Loaded>
    </section>
  );
}

interface EntriesProps {
  readonly known: KnownEntries;
  readonly filter: string;
  readonly more: () => Promise<string>;
}

function Entries({ known: { entries, isAll }, filter, more }: EntriesProps) {
  const action = useAction();
  const shown = entries.filter((entry) =>
    fits(filter, entry.actor, entry.action, entry.subject, entry.address, detailsOf(entry)),
  );
  return (
    <>
      <TableScroll label="Audit log" columns={['When (UTC)', 'Who', 'From', 'What', 'To what', 'Details']}>
        {shown.map((entry) => (
          <tr key={auditKey(entry)}>
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
          <button
            type="button"
            class="button small"
            disabled={action.isBusy}
            onClick={() => void action.run(more)}
          >
            Older entries
          </button>
        </p>
      )}
      <ActionFailure action={action} />
    </>
  );
}

/** `overlap_seconds: 3600, models: ["small"]` */
function detailsOf({ details, damage }: AuditEntry): string {
  const facts = Object.entries(details).map(
    ([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return [...facts, ...(damage === undefined ? [] : [`${damage} can’t be read`])].join(', ');
}
