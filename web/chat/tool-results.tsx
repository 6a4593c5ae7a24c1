/** The person plays the tools: a result for each call of the last answer, then the model goes on. */
import { useStore } from '../state/store.ts';
import { sendToolResults } from './actions.ts';
import { useWhyNoAnswer } from './answering.ts';
import { write, written } from './chat-state.ts';
import type { ToolCall } from './conversation.ts';

interface ToolResultsProps {
  readonly answerId: string;
  readonly calls: readonly ToolCall[];
}

export function ToolResults({ answerId, calls }: ToolResultsProps) {
  const all = useStore(written);
  const why = useWhyNoAnswer();
  const keyOf = (callId: string) => `${answerId}/${callId}`;
  const textFor = (callId: string) => all[keyOf(callId)] ?? '';
  return (
    <form
      class="message tool stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (!sendToolResults(calls.map(({ id }) => ({ id, text: textFor(id) })))) return;
        for (const { id } of calls) write(keyOf(id), undefined);
      }}
    >
      {calls.map(({ id, name }) => (
        <label class="field" key={id}>
          <span>Result of {name}</span>
          <textarea
            rows={2}
            class="mono"
            value={textFor(id)}
            onInput={(event) => write(keyOf(id), event.currentTarget.value)}
          />
        </label>
      ))}
      <div class="actions">
        <button type="submit" class="button primary" disabled={why !== undefined}>
          Send {calls.length === 1 ? 'result' : 'results'}
        </button>
      </div>
    </form>
  );
}
