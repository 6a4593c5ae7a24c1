/** The conversations of this browser: search, open, rename, delete, export, import. */
import { useRef, useState } from 'preact/hooks';
import { useStore } from '../state/store.ts';
import { Icon } from '../ui/icons.tsx';
import {
  exportConversations,
  importConversations,
  openConversation,
  removeConversation,
  renameConversation,
} from './actions.ts';
import { conversation, summaries } from './chat-state.ts';
import { keepsConversations, type Summary } from './conversation-database.ts';
import { WhereKept } from './where-kept.tsx';

interface SidebarProps {
  readonly onPicked: () => void;
  /** Undefined: it stays. */
  readonly onClose: (() => void) | undefined;
}

export function Sidebar({ onPicked, onClose }: SidebarProps) {
  const all = useStore(summaries);
  const isKept = useStore(keepsConversations);
  const [wanted, setWanted] = useState('');
  const file = useRef<HTMLInputElement>(null);
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter((each) =>
    words.every((word) => `${each.title}\n${each.text}`.toLowerCase().includes(word)),
  );
  return (
    <>
      <div class="side-head">
        <label class="search">
          <Icon name="search" />
          <span class="visually-hidden">Search conversations</span>
          <input
            type="search"
            placeholder="Search"
            value={wanted}
            onInput={(event) => setWanted(event.currentTarget.value)}
          />
        </label>
        {onClose !== undefined && (
          <button type="button" class="icon-button" aria-label="Close conversations" onClick={onClose}>
            <Icon name="close" />
          </button>
        )}
      </div>
      {(all.length === 0 || !isKept) && (
        <p class="hint pad">
          <WhereKept />
        </p>
      )}
      {found.length === 0 && all.length > 0 && <p class="hint pad">Nothing found.</p>}
      <ul class="conversations">
        {found.map((each) => (
          <Entry key={each.id} summary={each} onPicked={onPicked} />
        ))}
      </ul>
      <div class="side-foot">
        <button
          type="button"
          class="button small"
          onClick={() => void exportConversations()}
          disabled={all.length === 0}
        >
          Export all
        </button>
        <button type="button" class="button small" onClick={() => file.current?.click()}>
          Import
        </button>
        <input
          ref={file}
          type="file"
          accept="application/json,.json"
          hidden
          aria-label="File with conversations"
          onChange={(event) => {
            const [picked] = event.currentTarget.files ?? [];
            if (picked !== undefined) void importConversations(picked);
            event.currentTarget.value = '';
          }}
        />
      </div>
    </>
  );
}

function Entry({
  summary: { id, title },
  onPicked,
}: {
  readonly summary: Summary;
  readonly onPicked: () => void;
}) {
  const current = useStore(conversation, (shown) => shown.id) === id;
  const [mode, setMode] = useState<'shown' | 'renaming' | 'deleting'>('shown');
  if (mode === 'renaming')
    return (
      <li>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const name = new FormData(event.currentTarget).get('name');
            void renameConversation(id, typeof name === 'string' ? name : '');
            setMode('shown');
          }}
        >
          <input
            ref={(element) => element?.focus()}
            name="name"
            aria-label="Title"
            defaultValue={title}
            maxLength={200}
            onKeyDown={(event) => {
              if (event.key !== 'Escape') return;
              event.stopPropagation();
              setMode('shown');
            }}
          />
        </form>
      </li>
    );
  return (
    <li class={current ? 'current' : undefined}>
      <button
        type="button"
        class="entry"
        aria-current={current ? 'true' : undefined}
        onClick={() => {
          void openConversation(id);
          onPicked();
        }}
      >
        {title}
      </button>
      {mode === 'deleting' ? (
        <>
          <button type="button" class="button small danger" onClick={() => void removeConversation(id)}>
            Delete
          </button>
          <button type="button" class="button small" onClick={() => setMode('shown')}>
            Keep
          </button>
        </>
      ) : (
        <span class="entry-actions">
          <button
            type="button"
            class="icon-button small"
            aria-label={`Rename ${title}`}
            title="Rename"
            onClick={() => setMode('renaming')}
          >
            <Icon name="edit" />
          </button>
          <button
            type="button"
            class="icon-button small"
            aria-label={`Delete ${title}`}
            title="Delete"
            onClick={() => setMode('deleting')}
          >
            <Icon name="delete" />
          </button>
        </span>
      )}
    </li>
  );
}
