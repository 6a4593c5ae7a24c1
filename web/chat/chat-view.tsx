/** The Chat view: conversations at the left, the transcript in the middle, settings at the right; on a phone the sides open over it. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { useStore } from '../state/store.ts';
import { Icon } from '../ui/icons.tsx';
import { loadModels, refreshList, startConversation } from './actions.ts';
import { stopAnswer } from './answering.ts';
import { announcement, answering, conversation, notice, serverGone } from './chat-state.ts';
import { Composer } from './composer.tsx';
import { titleOf } from './conversation.ts';
import { ModelPicker } from './model-picker.tsx';
import { SettingsPanel } from './settings-panel.tsx';
import { ShortcutsDialog } from './shortcuts-dialog.tsx';
import { Sidebar } from './sidebar.tsx';
import { SnippetDialog } from './snippet-dialog.tsx';
import { Transcript } from './transcript.tsx';

type Opened = 'snippets' | 'shortcuts' | undefined;

/** Once: the view may be left and shown again. */
let begun = false;

export function ChatView() {
  const [showsList, setShowsList] = useState(() => isWide(980));
  const [showsSettings, setShowsSettings] = useState(() => isWide(1250));
  const [opened, setOpened] = useState<Opened>(undefined);
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    void refreshList();
    if (!begun) void loadModels();
    begun = true;
  }, []);
  useShortcuts({
    Escape: () => answering.get() !== undefined && stopAnswer(),
    'ctrl+shift+o': () => {
      startConversation();
      box.current?.focus();
    },
    'ctrl+shift+l': () => setShowsList((shown) => !shown),
    'ctrl+shift+s': () => setShowsSettings((shown) => !shown),
    'ctrl+shift+e': () => setOpened('snippets'),
    '/': () => box.current?.focus(),
    '?': () => setOpened('shortcuts'),
  });
  return (
    <div class={`chat${showsList ? ' with-list' : ''}${showsSettings ? ' with-settings' : ''}`}>
      {showsList && <Sidebar onPicked={() => !isWide(980) && setShowsList(false)} />}
      <section class="chat-main" aria-label="Conversation">
        <div class="chat-bar">
          <button
            type="button"
            class="icon-button"
            aria-label="Conversations"
            title="Conversations"
            aria-expanded={showsList}
            onClick={() => setShowsList(!showsList)}
          >
            <Icon name="menu" />
          </button>
          <button
            type="button"
            class="icon-button"
            aria-label="New conversation"
            title="New conversation"
            onClick={() => {
              startConversation();
              box.current?.focus();
            }}
          >
            <Icon name="add" />
          </button>
          <Title />
          <ModelPicker />
          <button
            type="button"
            class="icon-button"
            aria-label="Copy as code"
            title="Copy as code"
            onClick={() => setOpened('snippets')}
          >
            <Icon name="code" />
          </button>
          <button
            type="button"
            class="icon-button hide-narrow"
            aria-label="Keyboard shortcuts"
            title="Keyboard shortcuts"
            onClick={() => setOpened('shortcuts')}
          >
            <Icon name="help" />
          </button>
          <button
            type="button"
            class="icon-button"
            aria-label="Settings"
            title="Settings"
            aria-expanded={showsSettings}
            onClick={() => setShowsSettings(!showsSettings)}
          >
            <Icon name="settings" />
          </button>
        </div>
        <ServerBanner />
        <Transcript />
        <Notice />
        <Composer box={box} />
      </section>
      {showsSettings && <SettingsPanel onClose={() => setShowsSettings(false)} />}
      <Announcer />
      {opened === 'snippets' && <SnippetDialog onClose={() => setOpened(undefined)} />}
      {opened === 'shortcuts' && <ShortcutsDialog onClose={() => setOpened(undefined)} />}
    </div>
  );
}

function Title() {
  const title = useStore(conversation, titleOf);
  return <h1 class="chat-title">{title}</h1>;
}

function ServerBanner() {
  const gone = useStore(serverGone);
  if (gone === undefined) return null;
  return (
    <p class="banner" role="alert">
      The server does not answer. The page asks again until it does; your text stays here.
    </p>
  );
}

function Notice() {
  const text = useStore(notice);
  if (text === undefined) return null;
  return (
    <p class="banner quiet-banner" role="status">
      <span>{text}</span>
      <button
        type="button"
        class="icon-button small"
        aria-label="Dismiss"
        onClick={() => notice.set(undefined)}
      >
        <Icon name="close" />
      </button>
    </p>
  );
}

/** Says that an answer begins and ends, not each word of it. */
function Announcer() {
  const text = useStore(announcement);
  return (
    <div class="visually-hidden" role="status" aria-live="polite">
      {text}
    </div>
  );
}

function isWide(pixels: number): boolean {
  return window.matchMedia(`(min-width: ${pixels}px)`).matches;
}

function useShortcuts(shortcuts: Readonly<Record<string, () => void>>): void {
  const current = useRef(shortcuts);
  current.current = shortcuts;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.isComposing || event.defaultPrevented || document.querySelector('dialog[open]') !== null)
        return;
      const control = event.ctrlKey || event.metaKey;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const name = `${control ? 'ctrl+' : ''}${control && event.shiftKey ? 'shift+' : ''}${key}`;
      const run = current.current[name];
      // A character typed into a field is text.
      if (run === undefined || (!control && key.length === 1 && isField(event.target))) return;
      if (key !== 'Escape') event.preventDefault();
      run();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select');
}
