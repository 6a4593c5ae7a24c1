/** What a person does to the server: under way, failed with words beside it, or done and said. */
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { type ApiFailure, asFailure } from '../api/failure.ts';
import { announcement } from './sections.ts';
import { outcomeOf } from './trouble.ts';

export interface Action {
  readonly isBusy: boolean;
  readonly failure: ApiFailure | undefined;
  /** `work` resolves with what is said when it is done. One at a time. */
  readonly run: (work: () => Promise<string>) => Promise<void>;
  readonly forget: () => void;
}

export function useAction(): Action {
  const [isBusy, setIsBusy] = useState(false);
  const [failure, setFailure] = useState<ApiFailure | undefined>(undefined);
  return {
    isBusy,
    failure,
    run: async (work) => {
      if (isBusy) return;
      setIsBusy(true);
      setFailure(undefined);
      try {
        announcement.set(await work());
      } catch (thrown) {
        setFailure(asFailure(thrown));
      } finally {
        setIsBusy(false);
      }
    },
    forget: () => setFailure(undefined),
  };
}

export function ActionFailure({ action: { failure } }: { readonly action: Action }) {
  if (failure === undefined) return null;
  return (
    <p class="problem" role="alert">
      {outcomeOf(failure)}
    </p>
  );
}

interface ConfirmedButtonProps {
  readonly label: string;
  /** With what it is about, for who hears the button alone. */
  readonly describedAs: string;
  readonly confirm: string;
  /** Whether it asks is known to who shows it, so that it goes on asking where its row is another one. */
  readonly asks: boolean;
  readonly onAsk: (asks: boolean) => void;
  readonly onConfirm: () => void;
}

/** Two presses: the first one asks. Escape, or leaving the two buttons, keeps everything as it is. */
export function ConfirmedButton({
  label,
  describedAs,
  confirm,
  asks,
  onAsk,
  onConfirm,
}: ConfirmedButtonProps) {
  const first = useRef<HTMLButtonElement>(null);
  const asked = useRef(false);
  useLayoutEffect(() => {
    // Back to the button that asked, not at the first rendering.
    if (asks || asked.current) first.current?.focus();
    asked.current = asks;
  }, [asks]);
  if (!asks)
    return (
      <button
        ref={first}
        type="button"
        class="button small"
        aria-label={describedAs}
        onClick={() => onAsk(true)}
      >
        {label}
      </button>
    );
  return (
    <Pair onLeave={() => onAsk(false)}>
      <button
        ref={first}
        type="button"
        class="button small danger"
        onClick={() => {
          onAsk(false);
          onConfirm();
        }}
      >
        {confirm}
      </button>
      <button type="button" class="button small" onClick={() => onAsk(false)}>
        Keep
      </button>
    </Pair>
  );
}

function Pair({ onLeave, children }: { readonly onLeave: () => void; readonly children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the buttons in it are what is pressed
    <span
      class="admin-pair"
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return;
        event.stopPropagation();
        onLeave();
      }}
    >
      {children}
    </span>
  );
}
