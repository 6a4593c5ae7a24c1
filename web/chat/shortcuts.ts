/** The keys of the Chat view: those that people know from other chats, and none that is a character alone. */
import { useEffect, useRef } from 'preact/hooks';

export type ShortcutName = 'escape' | 'message' | 'new' | 'list' | 'keys';

interface Shortcut {
  readonly keys: readonly string[];
  readonly does: string;
  /** As `nameOf` writes them. */
  readonly pressed: readonly string[];
}

const MODIFIER = /mac|iphone|ipad/i.test(navigator.platform) ? '⌘' : 'Ctrl';

/** In the order in which they are listed. */
export const SHORTCUTS: Readonly<Record<ShortcutName, Shortcut>> = {
  escape: { keys: ['Esc'], does: 'Close what is open, else stop the answer', pressed: ['Escape'] },
  message: { keys: ['Shift', 'Esc'], does: 'To the message', pressed: ['shift+Escape'] },
  new: { keys: [MODIFIER, 'Shift', 'O'], does: 'New conversation', pressed: ['ctrl+shift+o'] },
  list: { keys: [MODIFIER, 'Shift', 'S'], does: 'Conversations', pressed: ['ctrl+shift+s'] },
  // On some keyboards the slash needs Shift.
  keys: { keys: [MODIFIER, '/'], does: 'This list', pressed: ['ctrl+/', 'ctrl+shift+/', 'ctrl+shift+?'] },
};

/** Runs what is pressed anywhere in the page but in a dialog, which has its own keys. */
export function useShortcuts(actions: Readonly<Record<ShortcutName, () => void>>): void {
  const current = useRef(actions);
  current.current = actions;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.isComposing || event.defaultPrevented || document.querySelector('dialog[open]') !== null)
        return;
      const pressed = nameOf(event);
      const name = (Object.keys(SHORTCUTS) as ShortcutName[]).find((each) =>
        SHORTCUTS[each].pressed.includes(pressed),
      );
      // There Escape is the field's own: it closes its list, or empties it.
      if (name === undefined || (name === 'escape' && hasOwnEscape(event.target))) return;
      event.preventDefault();
      current.current[name]();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}

function nameOf({ ctrlKey, metaKey, shiftKey, key }: KeyboardEvent): string {
  const name = key.length === 1 ? key.toLowerCase() : key;
  return `${ctrlKey || metaKey ? 'ctrl+' : ''}${shiftKey ? 'shift+' : ''}${name}`;
}

function hasOwnEscape(target: EventTarget | null): boolean {
  if (target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && target.type === 'search' && target.value !== '';
}
