/** A modal dialog: the browser's own, which keeps the focus inside and gives it back. It begins at the element with `data-begins`. */
import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import { Icon } from './icons.tsx';

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  readonly wide?: boolean;
  /** A press beside it does not close it. */
  readonly stays?: boolean;
}

export function Dialog({ title, onClose, children, wide = false, stays = false }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  // Text that is selected with the mouse may end outside: only a press that began there closes.
  const pressed = useRef<EventTarget | null>(null);
  const isOver = useRef(false);
  // With the rendering itself: a key that is pressed at once is the dialog's.
  useLayoutEffect(() => {
    const dialog = element.current;
    if (dialog !== null && !dialog.open) {
      dialog.showModal();
      dialog.querySelector<HTMLElement>('[data-begins]')?.focus();
    }
    return () => {
      isOver.current = true;
      dialog?.close();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={wide ? 'dialog wide' : 'dialog'}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      // A browser may close it without asking, with a second Escape. Where the view keeps it, it is shown again.
      onClose={(event) => {
        const dialog = event.currentTarget;
        if (isOver.current) return;
        onClose();
        setTimeout(() => {
          if (!isOver.current && !dialog.open) dialog.showModal();
        });
      }}
      onPointerDown={(event) => {
        pressed.current = event.target;
      }}
      onClick={(event) => {
        const isBeside = event.target === element.current && pressed.current === element.current;
        if (isBeside && !stays) onClose();
      }}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={heading}>{title}</h2>
          <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
