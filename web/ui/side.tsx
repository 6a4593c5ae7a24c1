/**
 * A side of a view: a column where there is room for it, else a drawer over the view. A drawer has the focus while it is open, gives it
 * back, and closes with a press beside it; what it covers is `inert`, and Escape is the view's.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

interface SideProps {
  readonly name: string;
  readonly label: string;
  readonly isDrawer: boolean;
  /** It is covered by another drawer. */
  readonly inert?: boolean;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

export function Side({ name, label, isDrawer, inert = false, onClose, children }: SideProps) {
  const element = useRef<HTMLElement>(null);
  // When it is first drawn: what it covers loses the focus as it becomes inert.
  const before = useRef(document.activeElement).current;
  useEffect(() => {
    if (!isDrawer) return;
    // Not a field of it: on a phone that would open the keyboard.
    element.current?.focus();
    return () => {
      // With the whole change drawn: what the drawer covered is inert until then.
      if (before instanceof HTMLElement) queueMicrotask(() => before.focus());
    };
  }, [isDrawer]);
  return (
    <>
      {isDrawer && (
        <button type="button" class="side-backdrop" tabIndex={-1} aria-label="Back" onClick={onClose} />
      )}
      <aside
        ref={element}
        class={`side ${name}${isDrawer ? ' drawer' : ''}`}
        aria-label={label}
        tabIndex={isDrawer ? -1 : undefined}
        inert={inert}
      >
        {children}
      </aside>
    </>
  );
}

/** Whether the window has at least this width, now and as it changes. */
export function useIsWide(pixels: number): boolean {
  const query = `(min-width: ${pixels}px)`;
  const [isWide, setIsWide] = useState(() => window.matchMedia(query).matches);
  useEffect(() => {
    const media = window.matchMedia(query);
    const check = () => setIsWide(media.matches);
    check();
    media.addEventListener('change', check);
    return () => media.removeEventListener('change', check);
  }, [query]);
  return isWide;
}
