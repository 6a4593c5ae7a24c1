/** The person plays the tools: a result for each call of the last answer, then the model goes on. */
import { useState } from 'preact/hooks';
import { sendToolResults } from './actions.ts';
import type { ToolCall } from './conversation.ts';

export function ToolResults({ calls }: { readonly calls: readonly ToolCall[] }) {
  const [results, setResults] = useState<Readonly<Record<string, string>>>({});
  return (
    <form
      class="message tool stack"
      onSubmit={(event) => {
        event.preventDefault();
        sendToolResults(calls.map(({ id }) => ({ id, text: results[id] ?? '' })));
      }}
    >
      {calls.map(({ id, name }) => (
        <label class="field" key={id}>
          <span>Result of {name}</span>
          <textarea
            rows={2}
            class="mono"
            value={results[id] ?? ''}
            onInput={(event) => setResults({ ...results, [id]: event.currentTarget.value })}
          />
        </label>
      ))}
      <div class="actions">
        <button type="submit" class="button primary">
          Send {calls.length === 1 ? 'result' : 'results'}
        </button>
      </div>
    </form>
  );
}
