/** Asks for the API key that the server wants. */
import { useState } from 'preact/hooks';
import { keyQuestion } from '../state/api-key.ts';
import { useStore } from '../state/store.ts';
import { Dialog } from './dialog.tsx';

export function KeyDialog() {
  const question = useStore(keyQuestion);
  const [key, setKey] = useState('');
  if (question === undefined) return null;
  const answer = (given: string | undefined) => {
    setKey('');
    question.answer(given);
  };
  return (
    <Dialog title="API key" onClose={() => answer(undefined)}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (key.trim() !== '') answer(key.trim());
        }}
      >
        <p>{question.reason}</p>
        <label class="field">
          <span>Key</span>
          <input
            type="password"
            autocomplete="off"
            spellcheck={false}
            value={key}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
        </label>
        <p class="hint">It is kept for this tab, and sent to this server alone.</p>
        <div class="actions">
          <button type="button" class="button" onClick={() => answer(undefined)}>
            Cancel
          </button>
          <button type="submit" class="button primary" disabled={key.trim() === ''}>
            Use key
          </button>
        </div>
      </form>
    </Dialog>
  );
}
