/** The configuration in force, without secrets, and reading it again. */
import { useMemo, useState } from 'preact/hooks';
import { plural } from '../ui/amounts.ts';
import { TableScroll } from '../ui/table.tsx';
import { ActionFailure, useAction } from './action.tsx';
import { type ConfigurationView, type ReloadOutcome, readConfiguration, reload } from './api.ts';
import { Filter } from './filter.tsx';
import { Loaded, useResource } from './loaded.tsx';
import { settingRows } from './settings-rows.ts';
import { fits } from './words.ts';

/** Others may reload it too. */
const POLL_MS = 10_000;

export function ConfigurationSection() {
  const asked = useResource(readConfiguration, { pollMs: POLL_MS });
  const [filter, setFilter] = useState('');
  return (
    <section aria-labelledby="admin-configuration">
      <div class="admin-head">
        <h2 id="admin-configuration">Configuration in force</h2>
        <Filter label="Filter settings" value={filter} onInput={setFilter} />
      </div>
      <Reload onDone={asked.reload} />
      <Loaded asked={asked}>{(view) => <Settings view={view} filter={filter} />}</Loaded>
    </section>
  );
}

function Settings({ view, filter }: { readonly view: ConfigurationView; readonly filter: string }) {
  const rows = useMemo(() => settingRows(view), [view]);
  // A secret's value is not known here, so that no filter can find it out.
  const shown = rows.filter((row) => fits(filter, row.path, row.isSecret ? 'hidden' : row.value, row.source));
  if (shown.length === 0) return <p class="notice">No setting fits the filter.</p>;
  return (
    <>
      <TableScroll label="Settings" columns={['Setting', 'Value', 'From', 'Changes take']}>
        {shown.map(({ path, value, isSecret, source, needsRestart }) => (
          <tr key={path}>
            <th scope="row" class="mono">
              {path}
            </th>
            <td class="mono wraps">{isSecret ? <i>hidden</i> : value}</td>
            <td>{source}</td>
            <td>{needsRestart ? 'a restart' : 'a reload'}</td>
          </tr>
        ))}
      </TableScroll>
      <p class="hint" role="status">
        {filter === ''
          ? plural(rows.length, 'setting')
          : `${shown.length} of ${plural(rows.length, 'setting')}`}
      </p>
    </>
  );
}

function Reload({ onDone }: { readonly onDone: () => void }) {
  const action = useAction();
  const [outcome, setOutcome] = useState<ReloadOutcome | undefined>(undefined);
  const run = () =>
    action.run(async () => {
      setOutcome(undefined);
      setOutcome(await reload());
      onDone();
      return 'The configuration was read again.';
    });
  return (
    <div class="admin-card">
      <p class="admin-line">
        <button type="button" class="button" disabled={action.isBusy} onClick={() => void run()}>
          {action.isBusy ? 'Reloading …' : 'Reload'}
        </button>
        <span class="hint">
          Reads it again from the same file, flags and environment. Where it is not valid, nothing changes.
        </span>
      </p>
      <ActionFailure action={action} />
      {outcome !== undefined && <Outcome outcome={outcome} />}
    </div>
  );
}

function Outcome({ outcome: { changed, unchanged_needs_restart } }: { readonly outcome: ReloadOutcome }) {
  return (
    <div class="admin-outcome">
      {changed.length === 0 && <p>Nothing is different.</p>}
      <Lines title="Changed" lines={changed} />
      <Lines title="Needs a restart" lines={unchanged_needs_restart} />
    </div>
  );
}

function Lines({ title, lines }: { readonly title: string; readonly lines: readonly string[] }) {
  if (lines.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul>
        {lines.map((line) => (
          <li key={line} class="mono">
            {line}
          </li>
        ))}
      </ul>
    </>
  );
}
