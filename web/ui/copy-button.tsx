/** Copies a text, and says whether that worked. */
import { useEffect, useState } from 'preact/hooks';
import { Icon } from './icons.tsx';

interface CopyButtonProps {
  /** Asked when it is pressed. */
  readonly text: () => string;
  readonly label: string;
  readonly small?: boolean;
}

const SHOWN_MS = 1_600;

export function CopyButton({ text, label, small = false }: CopyButtonProps) {
  const [outcome, setOutcome] = useState<'copied' | 'failed' | undefined>(undefined);
  useEffect(() => {
    if (outcome === undefined) return;
    const timer = setTimeout(() => setOutcome(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const words = outcome === undefined ? label : outcome === 'copied' ? 'Copied' : 'Copying failed';
  return (
    <button
      type="button"
      class={small ? 'icon-button small' : 'icon-button'}
      title={words}
      aria-label={words}
      onClick={() =>
        void copyText(text()).then(
          () => setOutcome('copied'),
          () => setOutcome('failed'),
        )
      }
    >
      <Icon name={outcome === 'copied' ? 'check' : outcome === 'failed' ? 'close' : 'copy'} />
    </button>
  );
}

/** Pages that came over plain HTTP from another machine have no clipboard: there a selection is copied. */
export async function copyText(text: string): Promise<void> {
  if (window.isSecureContext && navigator.clipboard !== undefined) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'visually-hidden';
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  if (!copied) throw new Error('copying failed');
}
