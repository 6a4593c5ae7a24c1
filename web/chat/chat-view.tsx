/** The Chat view: conversations at the left, the transcript in the middle, settings at the right; where there is no room the sides open over it. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { openKeys } from '../state/api-key.ts';
import { createStore, useStore } from '../state/store.ts';
import { Icon, type IconName } from '../ui/icons.tsx';
import { Side, useIsWide } from '../ui/side.tsx';
import { beginChat, startConversation } from './actions.ts';
import { stopAnswer } from './answering.ts';
import { announcement, conversation, modelsFailure, notice, serverGone } from './chat-state.ts';
import { Composer } from './composer.tsx';
import { titleOf } from './conversation.ts';
import { loadModels } from './model-list.ts';
import { ModelPicker } from './model-picker.tsx';
import { SettingsPanel } from './settings-panel.tsx';
import { useShortcuts } from './shortcuts.ts';
import { ShortcutsDialog } from './shortcuts-dialog.tsx';
import { Sidebar } from './sidebar.tsx';
import { SnippetDialog } from './snippet-dialog.tsx';
import { Transcript } from './transcript.tsx';

type Opened = 'snippets' | 'shortcuts' | undefined;

/** Windows of at least these widths have room for a side beside the transcript. */
const ROOM = { list: 980, settings: 1250 } as const;

/** The view may be left and shown again. */
const begun = createStore(false);

export function ChatView() {
  const list = useSide(ROOM.list);
  const settings = useSide(ROOM.settings);
  const [opened, setOpened] = useState<Opened>(undefined);
  const box = useRef<HTMLTextAreaElement>(null);
  // On a phone the focus would open the keyboard over half of the page.
  const toMessage = () => !list.isDrawer && box.current?.focus();
  useEffect(() => {
    if (!begun.get()) void beginChat();
    begun.set(true);
    toMessage();
  }, []);
  const toggleList = () => {
    list.toggle();
    if (settings.isDrawer) settings.close();
  };
  const toggleSettings = () => {
    settings.toggle();
    if (list.isDrawer) list.close();
  };
  const begin = () => {
    startConversation();
    toMessage();
  };
  const listCovers = list.isShown && list.isDrawer;
  const settingsCover = settings.isShown && settings.isDrawer;
  useShortcuts({
    escape: () => {
      if (listCovers) list.close();
      else if (settingsCover) settings.close();
      else stopAnswer();
    },
    message: () => box.current?.focus(),
    new: begin,
    list: toggleList,
    keys: () => setOpened('shortcuts'),
  });
  return (
    <div class={`chat${list.isShown ? ' with-list' : ''}${settings.isShown ? ' with-settings' : ''}`}>
      {list.isShown && (
        <Side
          name="list"
          label="Conversations"
          isDrawer={list.isDrawer}
          inert={settingsCover}
          onClose={list.close}
        >
          <Sidebar
            onClose={list.isDrawer ? list.close : undefined}
            onPicked={() => (list.isDrawer ? list.close() : toMessage())}
          />
        </Side>
      )}
      <section class="chat-main" aria-label="Conversation" inert={listCovers || settingsCover}>
        <div class="chat-bar">
          <BarButton icon="menu" label="Conversations" expanded={list.isShown} onClick={toggleList} />
          <BarButton icon="add" label="New conversation" onClick={begin} />
          <Title />
          <ModelPicker />
          <BarButton icon="code" label="Copy as code" onClick={() => setOpened('snippets')} />
          <BarButton
            icon="help"
            label="Keyboard shortcuts"
            hideNarrow
            onClick={() => setOpened('shortcuts')}
          />
          <BarButton icon="settings" label="Settings" expanded={settings.isShown} onClick={toggleSettings} />
        </div>
        <ServerBanner />
        <Transcript />
        <Notice />
        <Composer box={box} />
      </section>
      {settings.isShown && (
        <Side
          name="settings"
          label="Settings"
          isDrawer={settings.isDrawer}
          inert={listCovers}
          onClose={settings.close}
        >
          <SettingsPanel onClose={settings.close} />
        </Side>
      )}
      <Announcer />
      {opened === 'snippets' && <SnippetDialog onClose={() => setOpened(undefined)} />}
      {opened === 'shortcuts' && <ShortcutsDialog onClose={() => setOpened(undefined)} />}
    </div>
  );
}

/** Shown where there is room, until the person says otherwise; a drawer is opened by the person alone. */
function useSide(room: number) {
  const isDrawer = !useIsWide(room);
  const [isShown, setIsShown] = useState(!isDrawer);
  const wasDrawer = useRef(isDrawer);
  useEffect(() => {
    if (wasDrawer.current !== isDrawer) setIsShown(!isDrawer);
    wasDrawer.current = isDrawer;
  }, [isDrawer]);
  return {
    isDrawer,
    isShown,
    toggle: () => setIsShown((shown) => !shown),
    close: () => setIsShown(false),
  };
}

interface BarButtonProps {
  readonly icon: IconName;
  readonly label: string;
  /** Of what it opens; undefined: it opens nothing that stays. */
  readonly expanded?: boolean;
  readonly hideNarrow?: boolean;
  readonly onClick: () => void;
}

function BarButton({ icon, label, expanded, hideNarrow = false, onClick }: BarButtonProps) {
  return (
    <button
      type="button"
      class={hideNarrow ? 'icon-button hide-narrow' : 'icon-button'}
      aria-label={label}
      title={label}
      aria-expanded={expanded}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

function Title() {
  const title = useStore(conversation, titleOf);
  return <h1 class="chat-title">{title}</h1>;
}

/** What is wrong with the server itself, where something is. */
function ServerBanner() {
  const gone = useStore(serverGone);
  const failure = useStore(modelsFailure);
  if (gone)
    return (
      <p class="banner" role="alert">
        The server does not answer. The page asks again until it does; your text stays here.
      </p>
    );
  if (failure === undefined) return null;
  return (
    <p class="banner" role="alert">
      <span>The models could not be read. {failure.message}</span>
      {failure.status === 401 ? (
        <button type="button" class="button small" onClick={() => openKeys()}>
          Enter a key
        </button>
      ) : (
        <button type="button" class="button small" onClick={() => void loadModels()}>
          Try again
        </button>
      )}
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
