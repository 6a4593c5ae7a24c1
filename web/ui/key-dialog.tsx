/** Asks for the tab's keys: the one for the models, and the administrator's. */
import { useState } from 'preact/hooks';
import { adminKey, apiKey, type KeyQuestion, keyQuestion } from '../state/api-key.ts';
import { useStore } from '../state/store.ts';
import { Dialog } from './dialog.tsx';

export function KeyDialog() {
  const question = useStore(keyQuestion);
  return question === undefined ? null : <KeyForm question={question} />;
}

function KeyForm({ question: { reason, kind, answer } }: { readonly question: KeyQuestion }) {
  const [api, setApi] = useState(apiKey.get() ?? '');
  const [admin, setAdmin] = useState(adminKey.get() ?? '');
  const hasKeys = apiKey.get() !== undefined || adminKey.get() !== undefined;
  return (
    <Dialog title="Keys" onClose={() => answer(undefined)}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          answer({ apiKey: api.trim() || undefined, adminKey: admin.trim() || undefined });
        }}
      >
        {reason !== undefined && <p role="alert">{reason}</p>}
        <KeyField
          label="API key"
          hint="For the models, where the server has auth.api_keys."
          value={api}
          isFirst={kind === 'api'}
          onInput={setApi}
        />
        <KeyField
          label="Admin key"
          hint="Optional: with it Admin can be used, and Live shows the requests of all clients."
          value={admin}
          isFirst={kind === 'admin'}
          onInput={setAdmin}
        />
        <p class="hint">They are kept for this tab, and sent to this server alone.</p>
        <div class="actions">
          {hasKeys && (
            <button
              type="button"
              class="button"
              onClick={() => answer({ apiKey: undefined, adminKey: undefined })}
            >
              Forget keys
            </button>
          )}
          <button type="button" class="button" onClick={() => answer(undefined)}>
            Cancel
          </button>
          <button
            type="submit"
            class="button primary"
            disabled={!hasKeys && api.trim() === '' && admin.trim() === ''}
          >
            Use keys
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface KeyFieldProps {
  readonly label: string;
  readonly hint: string;
  readonly value: string;
  /** The dialog begins here. */
  readonly isFirst: boolean;
  readonly onInput: (value: string) => void;
}

function KeyField({ label, hint, value, isFirst, onInput }: KeyFieldProps) {
  const hintId = `hint-${label.replace(' ', '-')}`;
  return (
    <div class="field">
      <label>
        <span>{label}</span>
        <input
          type="password"
          autocomplete="off"
          spellcheck={false}
          aria-describedby={hintId}
          data-begins={isFirst ? '' : undefined}
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      </label>
      <p class="hint" id={hintId}>
        {hint}
      </p>
    </div>
  );
}
