/** The keys of the Chat view. */
import { Dialog } from '../ui/dialog.tsx';

const SHORTCUTS: readonly (readonly [string, string])[] = [
  ['Enter', 'Send'],
  ['Shift Enter', 'New line'],
  ['Esc', 'Stop the answer, or close what is open'],
  ['/', 'To the message'],
  ['Ctrl Shift O', 'New conversation'],
  ['Ctrl Shift L', 'Conversations'],
  ['Ctrl Shift S', 'Settings'],
  ['Ctrl Shift E', 'Copy as code'],
  ['?', 'This list'],
];

export function ShortcutsDialog({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl class="shortcuts">
        {SHORTCUTS.map(([keys, does]) => (
          <div key={keys}>
            <dt>
              {keys.split(' ').map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
