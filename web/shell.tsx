/** What all views have around them: navigation, theme, keys. */
import { useEffect } from 'preact/hooks';
import { type ComponentType, lazyView, loadStyles } from './lazy-view.tsx';
import { adminKey, apiKey, openKeys } from './state/api-key.ts';
import { useStore } from './state/store.ts';
import { THEMES, theme } from './state/theme.ts';
import { type View, view } from './state/view.ts';
import { Icon } from './ui/icons.tsx';
import { KeyDialog } from './ui/key-dialog.tsx';

const LABELS: Readonly<Record<View, string>> = { chat: 'Chat', live: 'Live', admin: 'Admin' };
const THEME_LABELS = { system: 'Theme: as the system', light: 'Theme: light', dark: 'Theme: dark' } as const;

/** Each is loaded when it is first shown. */
const SHOWN: Readonly<Record<View, ComponentType>> = {
  chat: lazyView(async () => (await import('./chat/chat-view.tsx')).ChatView),
  live: lazyView(async () => (await import('./live/live-view.tsx')).LiveView),
  admin: lazyView(async () => {
    const [{ AdminView }] = await Promise.all([import('./admin/admin-view.tsx'), loadStyles('admin')]);
    return AdminView;
  }),
};

export function Shell() {
  const current = useStore(view);
  const Shown = SHOWN[current];
  useEffect(() => {
    document.title = `${LABELS[current]} – LLM Serving API`;
  }, [current]);
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to content
      </button>
      <header class="bar">
        <span class="brand">
          <BrandMark />
          <span class="brand-name">LLM Serving API</span>
        </span>
        <nav aria-label="Views">
          {(Object.keys(LABELS) as View[]).map((name) => (
            <a
              key={name}
              href={`#/${name}`}
              class="nav-link"
              aria-current={name === current ? 'page' : undefined}
            >
              {LABELS[name]}
            </a>
          ))}
          <a class="nav-link" href="docs">
            API
          </a>
        </nav>
        <span class="spacer" />
        <KeyButton />
        <ThemeButton />
      </header>
      <main id="main" tabIndex={-1}>
        <Shown />
      </main>
      <KeyDialog />
    </div>
  );
}

function BrandMark() {
  return (
    <svg class="brand-mark" viewBox="0 0 32 32" width="20" height="20" aria-hidden="true" focusable="false">
      <path class="lane-1" d="M5 9h14" />
      <path class="lane-2" d="M11 16h16" />
      <path class="lane-3" d="M5 23h9" />
      <path class="lane-1" d="M20 23h7" />
    </svg>
  );
}

function ThemeButton() {
  const chosen = useStore(theme);
  const next = THEMES[(THEMES.indexOf(chosen) + 1) % THEMES.length] ?? 'system';
  return (
    <button
      type="button"
      class="icon-button"
      title={THEME_LABELS[chosen]}
      aria-label={`${THEME_LABELS[chosen]}. Change to ${next}`}
      onClick={() => theme.set(next)}
    >
      <Icon name={chosen} />
    </button>
  );
}

/** Always there: where a server has admin keys alone, nothing asks for one. */
function KeyButton() {
  const hasKey = [useStore(apiKey), useStore(adminKey)].some((key) => key !== undefined);
  const label = hasKey ? 'Keys: set' : 'Keys';
  return (
    <button
      type="button"
      class={hasKey ? 'icon-button is-set' : 'icon-button'}
      title={label}
      aria-label={label}
      onClick={() => openKeys()}
    >
      <Icon name="key" />
    </button>
  );
}
