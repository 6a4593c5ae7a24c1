/**
 * A secret that was just made, shown once. It lives in the dialog that shows it: nothing else is told it, and it is gone with that.
 * The dialog is no part of a view, and stays when the address changes. Closing asks once more where it was not copied.
 */
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { copyText } from '../../ui/copy-button.tsx';
import { Dialog } from '../../ui/dialog.tsx';

interface SecretDialogProps {
  readonly title: string;
  readonly secret: string;
  /** What else is to be known about it; empty: nothing. */
  readonly note: string;
  readonly onDone: () => void;
}

/** Also when whoever asked for it has left the section meanwhile. */
export function showSecret(shown: Omit<SecretDialogProps, 'onDone'>): void {
  const place = document.body.appendChild(document.createElement('div'));
  const done = () => {
    render(null, place);
    place.remove();
  };
  // After the dialog that made it has closed, so that the focus is given back to what opened that one.
  queueMicrotask(() => render(<SecretDialog {...shown} onDone={done} />, place));
}

type Copied = 'not yet' | 'copied' | 'failed';

function SecretDialog({ title, secret, note, onDone }: SecretDialogProps) {
  const [copied, setCopied] = useState<Copied>('not yet');
  const [isWarned, setIsWarned] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (copied === 'copied') return undefined;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [copied]);
  const copy = () =>
    copyText(secret).then(
      () => setCopied('copied'),
      () => {
        field.current?.select();
        setCopied('failed');
      },
    );
  const close = () => {
    if (copied === 'copied' || isWarned) onDone();
    else setIsWarned(true);
  };
  return (
    <Dialog title={title} onClose={close} stays>
      <p class="admin-warning">
        <b>Copy it now: it is not shown again.</b> The server keeps only a hash of it.
      </p>
      <label class="field">
        <span>Secret</span>
        <input
          ref={field}
          class="mono"
          readOnly
          autocomplete="off"
          spellcheck={false}
          value={secret}
          onFocus={(event) => event.currentTarget.select()}
        />
      </label>
      {note !== '' && <p class="hint">{note}</p>}
      <p role="status" class="admin-copied">
        {copied === 'copied' && 'Copied. Your clipboard has it now: paste it where it belongs.'}
        {copied === 'failed' && 'Copying failed: select it and copy it by hand.'}
      </p>
      {isWarned && copied !== 'copied' && (
        <p class="problem" role="alert">
          It was not copied with the button. Close again if you have it elsewhere.
        </p>
      )}
      <div class="actions">
        <button type="button" class="button" onClick={close}>
          {isWarned && copied !== 'copied' ? 'Close without copying' : 'Close'}
        </button>
        <button type="button" class="button primary" data-begins="" onClick={() => void copy()}>
          Copy
        </button>
      </div>
    </Dialog>
  );
}
