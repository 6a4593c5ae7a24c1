/** The keys of the store: who has one, what it may do, what it did today. */
import { type StateUpdater, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { number, plural } from '../../ui/amounts.ts';
import { CopyButton } from '../../ui/copy-button.tsx';
import { TableScroll } from '../../ui/table.tsx';
import { type KeyView, listKeys, type MadeKey, readUsage, type UsageAnswer } from '../api.ts';
import { currency, useCurrency } from '../currency.ts';
import { Filter } from '../filter.tsx';
import { Loaded, useResource } from '../loaded.tsx';
import { limitsInWords, moment, stateInWords, stateOf } from '../words.ts';
import {
  ChangeKeyDialog,
  KeyDetailsDialog,
  NewKeyDialog,
  RevokeDialog,
  RotateDialog,
} from './key-dialogs.tsx';
import { KeyPages, type ShownKeys } from './key-pages.ts';
import { showSecret } from './secret.tsx';
import { type UsedToday, usedToday } from './used-today.ts';

const POLL_MS = 10_000;
/** Who types goes on within that time. */
const TYPING_MS = 250;
/** As long as the server takes. */
const LONGEST_FILTER = 200;
const COLUMNS = ['Name', 'Key', 'Team', 'Limits', 'Models', 'Expires', 'State', 'Used today (UTC)'];
const COMMAND = 'llm-serve keys create --name alice --team red';

/** The dialog that is open. */
type Open =
  | { readonly what: 'new' }
  | { readonly what: 'details' | 'change' | 'rotate' | 'revoke'; readonly key: KeyView };

export function KeysSection() {
  const pages = useMemo(() => new KeyPages(listKeys), []);
  const asked = useResource((options) => pages.read(options), { pollMs: POLL_MS });
  const usage = useResource(readToday, { pollMs: POLL_MS });
  const [filter, setFilter] = useState('');
  const [withRevoked, setWithRevoked] = useState(false);
  const [open, setOpen] = useState<Open | undefined>(undefined);
  const typing = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(typing.current), []);
  const turn = (change: () => void) => {
    change();
    asked.reload();
  };
  const find = (text: string) => {
    setFilter(text);
    clearTimeout(typing.current);
    typing.current = setTimeout(() => turn(() => pages.look({ filter: text })), TYPING_MS);
  };
  const include = (isChecked: boolean) => {
    setWithRevoked(isChecked);
    turn(() => pages.look({ withRevoked: isChecked }));
  };
  return (
    <section aria-labelledby="admin-keys">
      <div class="admin-head">
        <h2 id="admin-keys">Keys</h2>
        <button type="button" class="button primary" onClick={() => setOpen({ what: 'new' })}>
          New key
        </button>
        <label class="admin-check">
          <input
            type="checkbox"
            checked={withRevoked}
            onChange={(event) => include(event.currentTarget.checked)}
          />
          Show revoked
        </label>
        <Filter label="Filter keys" value={filter} maxLength={LONGEST_FILTER} onInput={find} />
      </div>
      <Loaded asked={asked}>
        {(shown) =>
          shown.areNone ? (
            <NoKeys />
          ) : (
            <KeysTable
              shown={shown}
              today={usage.state.value}
              onOpen={(key) => setOpen({ what: 'details', key })}
              onBack={() => turn(() => pages.back())}
              onForth={() => turn(() => pages.forth())}
            />
          )
        }
      </Loaded>
      <OpenDialog open={open} setOpen={setOpen} onChanged={asked.reload} />
    </section>
  );
}

async function readToday(options: Parameters<typeof readUsage>[1]): Promise<UsageAnswer> {
  const now = new Date();
  const from = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()));
  // Who may not read it is told by the list of keys.
  const answer = await readUsage({ by: ['key', 'hour'], from, to: now }, { ...options, quiet: true });
  currency.set(answer.currency);
  return answer;
}

function NoKeys() {
  return (
    <div class="admin-empty">
      <p>
        There is no key yet. As soon as there is one, every request needs a key, those from this machine too.
        Make one here, or in a terminal:
      </p>
      <p>
        <code>{COMMAND}</code> <CopyButton text={() => COMMAND} label="Copy the command" small />
      </p>
      <p class="hint">Make one that may administer first, so that you can still open this view.</p>
    </div>
  );
}

interface KeysTableProps {
  readonly shown: ShownKeys;
  readonly today: UsageAnswer | undefined;
  readonly onOpen: (key: KeyView) => void;
  readonly onBack: () => void;
  readonly onForth: () => void;
}

function KeysTable({ shown, today, onOpen, onBack, onForth }: KeysTableProps) {
  const { keys, before, hasNext, isFiltered } = shown;
  const used = today === undefined ? undefined : usedToday(today.rows);
  const isPage = before > 0 || hasNext;
  if (keys.length === 0 && !isPage)
    return <p class="notice">{isFiltered ? 'No key fits the filter.' : 'All keys are revoked.'}</p>;
  return (
    <>
      <TableScroll label="Keys" columns={COLUMNS}>
        {keys.map((key) => (
          <KeyRow
            key={key.id}
            shown={key}
            used={used && (used.get(key.id) ?? NOT_USED)}
            onOpen={() => onOpen(key)}
          />
        ))}
      </TableScroll>
      <p class="hint" role="status">
        {isPage ? pageInWords(shown) : `${plural(keys.length, 'key')}.`} Keys of <code>auth.api_keys</code>{' '}
        are in the configuration.
      </p>
      {isPage && (
        <p>
          <button type="button" class="button small" disabled={before === 0} onClick={onBack}>
            Previous keys
          </button>{' '}
          <button type="button" class="button small" disabled={!hasNext} onClick={onForth}>
            Next keys
          </button>
        </p>
      )}
    </>
  );
}

function pageInWords({ keys, before, hasNext }: ShownKeys): string {
  if (keys.length === 0) return 'There are no further keys.';
  const those = `Keys ${number(before + 1)} to ${number(before + keys.length)}, in the order in which they were made;`;
  return `${those} ${hasNext ? 'there are more: go on, or filter.' : 'these are the last.'}`;
}

const NOT_USED: UsedToday = { requests: 0, tokens: 0, lastHour: undefined };

interface KeyRowProps {
  readonly shown: KeyView;
  /** Undefined: not known. */
  readonly used: UsedToday | undefined;
  readonly onOpen: () => void;
}

function KeyRow({ shown, used, onOpen }: KeyRowProps) {
  const currency = useCurrency();
  const now = Date.now();
  return (
    <tr>
      <th scope="row">
        <button type="button" class="link" onClick={onOpen}>
          {shown.name}
        </button>
        {shown.may_admin && <small class="admin-tag">admin</small>}
      </th>
      <td class="mono">{shown.shown === '' ? '–' : `${shown.shown}…`}</td>
      <td>{shown.team ?? '–'}</td>
      <td class="wraps">{limitsInWords(shown.limits, currency) || '–'}</td>
      <td class="wraps">{shown.models?.join(', ') ?? 'all'}</td>
      <td class="figure-cell">{shown.expires_at === null ? 'never' : moment(shown.expires_at)}</td>
      <td>
        <span class={stateOf(shown, now) === 'active' ? 'state' : 'state alarming'}>
          {stateInWords(shown, now)}
        </span>
      </td>
      <td class="figure-cell">{usedInWords(used)}</td>
    </tr>
  );
}

function usedInWords(used: UsedToday | undefined): string {
  if (used === undefined) return '–';
  if (used.requests === 0) return 'no request';
  const last = used.lastHour === undefined ? '' : `, last after ${used.lastHour}`;
  return `${plural(used.requests, 'request')}, ${number(used.tokens)} tokens${last}`;
}

interface OpenDialogProps {
  readonly open: Open | undefined;
  readonly setOpen: (change: StateUpdater<Open | undefined>) => void;
  readonly onChanged: () => void;
}

function OpenDialog({ open, setOpen, onChanged }: OpenDialogProps) {
  if (open === undefined) return null;
  // What a dialog began may end when it was cancelled and another one is open: that one stays.
  const onClose = () => setOpen((now) => (now === open ? undefined : now));
  const onMade =
    (title: string) =>
    ({ key: secret, overlap_until: until }: MadeKey) => {
      onClose();
      const note = until === null ? '' : `The secret before is accepted until ${moment(until)} UTC.`;
      showSecret({ title, secret, note });
      onChanged();
    };
  if (open.what === 'new')
    return <NewKeyDialog key="new" onClose={onClose} onMade={onMade('The key is ready')} />;
  const { what, key: shown } = open;
  const common = { shown, onClose, onChanged };
  if (what === 'change') return <ChangeKeyDialog {...common} />;
  if (what === 'revoke') return <RevokeDialog {...common} />;
  if (what === 'rotate')
    return (
      <RotateDialog shown={shown} onClose={onClose} onMade={onMade(`The new secret of ${shown.name}`)} />
    );
  return <KeyDetailsDialog {...common} onChoose={(next) => setOpen({ what: next, key: shown })} />;
}
