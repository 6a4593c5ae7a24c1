/** One message: what was said, and what can be done with it. Drawn again only when it is another one. */
import { Component } from 'preact';
import { useState } from 'preact/hooks';
import { MarkdownView } from '../markdown/markdown-view.tsx';
import { useStore } from '../state/store.ts';
import { plural } from '../ui/amounts.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { Icon } from '../ui/icons.tsx';
import { regenerate, resend, showBranch } from './actions.ts';
import { useWhyNoAnswer } from './answering.ts';
import { write, written } from './chat-state.ts';
import { type Branches, branchesOf, type Conversation, type Message, type ToolCall } from './conversation.ts';
import { problemOfAnswer } from './json-check.ts';
import { ReceiptView } from './receipt-view.tsx';
import { readSchema } from './settings.ts';

interface MessageProps {
  readonly message: Message;
  readonly conversation: Conversation;
  /** Its answer is arriving. */
  readonly growing: boolean;
  /** Some answer is. */
  readonly busy: boolean;
}

const ROLES = { user: 'You', assistant: 'Model', tool: 'Tool result' } as const;

export class MessageView extends Component<MessageProps> {
  override shouldComponentUpdate(next: MessageProps): boolean {
    const { message, growing, busy, conversation } = this.props;
    return (
      next.message !== message ||
      next.growing !== growing ||
      next.busy !== busy ||
      next.conversation.branches !== conversation.branches ||
      next.conversation.settings.schema !== conversation.settings.schema
    );
  }

  override render({ message, conversation, growing, busy }: MessageProps) {
    const branches = branchesOf(conversation, message);
    const who = message.role === 'assistant' ? (message.model ?? ROLES.assistant) : ROLES[message.role];
    return (
      <article class={`message ${message.role}`} aria-label={who} aria-busy={growing}>
        <header class="message-head">
          <span class="who">{who}</span>
          {branches.count > 1 && <BranchSwitch branches={branches} disabled={busy} />}
        </header>
        {message.role === 'assistant' ? (
          <AnswerBody message={message} growing={growing} busy={busy} schema={conversation.settings.schema} />
        ) : (
          <OwnBody message={message} busy={busy} />
        )}
      </article>
    );
  }
}

function BranchSwitch({ branches, disabled }: { readonly branches: Branches; readonly disabled: boolean }) {
  const { position, count, previous, next } = branches;
  return (
    <span class="branches">
      <button
        type="button"
        class="icon-button small"
        aria-label="Previous version"
        disabled={disabled || previous === undefined}
        onClick={() => previous !== undefined && showBranch(previous)}
      >
        <Icon name="back" />
      </button>
      <span>
        {position} / {count}
      </span>
      <button
        type="button"
        class="icon-button small"
        aria-label="Next version"
        disabled={disabled || next === undefined}
        onClick={() => next !== undefined && showBranch(next)}
      >
        <Icon name="forward" />
      </button>
    </span>
  );
}

/** When the field appears. */
function focusOnce(element: HTMLTextAreaElement | null): void {
  if (element !== null && element.dataset.focused === undefined) {
    element.dataset.focused = '';
    element.focus();
  }
}

function OwnBody({ message, busy }: { readonly message: Message; readonly busy: boolean }) {
  const draft = useStore(written, (all) => all[message.id]);
  const setDraft = (to: string | undefined) => write(message.id, to);
  const why = useWhyNoAnswer();
  const { text, images = [], role } = message;
  if (draft !== undefined)
    return (
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          // Else what was written would be lost.
          if (resend(message, draft)) setDraft(undefined);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.stopPropagation();
            // Of an input method it ends what is composed.
            if (!event.isComposing) setDraft(undefined);
          } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            event.currentTarget.requestSubmit();
          }
        }}
      >
        <textarea
          ref={focusOnce}
          aria-label="Edit message"
          rows={Math.min(12, draft.split('\n').length + 1)}
          value={draft}
          onInput={(event) => setDraft(event.currentTarget.value)}
        />
        <div class="actions">
          <button type="button" class="button" onClick={() => setDraft(undefined)}>
            Cancel
          </button>
          <button
            type="submit"
            class="button primary"
            disabled={why !== undefined || (draft.trim() === '' && images.length === 0)}
          >
            Send again
          </button>
        </div>
      </form>
    );
  return (
    <>
      {images.length > 0 && (
        <div class="thumbs">
          {images.map((url, at) => (
            <img key={at} src={url} alt={`Attached ${at + 1}`} />
          ))}
        </div>
      )}
      <div class="own-text">{text}</div>
      <footer class="message-foot">
        <CopyButton small label="Copy message" text={() => text} />
        {role === 'user' && (
          <button
            type="button"
            class="icon-button small"
            aria-label="Edit message"
            title="Edit"
            disabled={busy}
            onClick={() => setDraft(text)}
          >
            <Icon name="edit" />
          </button>
        )}
      </footer>
    </>
  );
}

interface AnswerBodyProps {
  readonly message: Message;
  readonly growing: boolean;
  readonly busy: boolean;
  readonly schema: string;
}

function AnswerBody({ message, growing, busy, schema }: AnswerBodyProps) {
  const { text, reasoning = '', toolCalls = [], failure, stopped, finishReason, receipt } = message;
  const wasLeft = message.unfinished === true && !growing;
  const isEmpty = text === '' && reasoning === '' && toolCalls.length === 0;
  return (
    <>
      {reasoning !== '' && <Reasoning text={reasoning} growing={growing && text === ''} />}
      {text !== '' && <MarkdownView key={message.id} text={text} complete={!growing} />}
      {growing && isEmpty && failure === undefined && (
        <p class="waiting" aria-hidden="true">
          <span />
          <span />
          <span />
        </p>
      )}
      {toolCalls.map((call) => (
        <CallView key={call.id} call={call} />
      ))}
      {failure !== undefined && (
        <p class="failure">
          <strong>{failure.message}</strong> {failure.advice} <code>{failure.code}</code>
        </p>
      )}
      {stopped && <p class="hint">Stopped.</p>}
      {wasLeft && (
        <p class="hint">
          Interrupted: the page was left before the answer was complete. Regenerate to ask again.
        </p>
      )}
      {isEmpty && !growing && !stopped && !wasLeft && failure === undefined && (
        <p class="hint">The model ended its answer without a word.</p>
      )}
      {finishReason === 'length' && <p class="hint">The answer ends here: its length limit is reached.</p>}
      {!growing && !stopped && !wasLeft && failure === undefined && toolCalls.length === 0 && text !== '' && (
        <SchemaCheck text={text} schema={schema} />
      )}
      {!growing && (
        <footer class="message-foot">
          <CopyButton small label="Copy answer" text={() => text} />
          <button
            type="button"
            class="icon-button small"
            aria-label="Regenerate answer"
            title="Regenerate"
            disabled={busy}
            onClick={() => regenerate(message)}
          >
            <Icon name="regenerate" />
          </button>
          {receipt !== undefined && <ReceiptView receipt={receipt} />}
        </footer>
      )}
    </>
  );
}

function Reasoning({ text, growing }: { readonly text: string; readonly growing: boolean }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="reasoning" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {growing ? 'Thinking …' : 'Thinking'} <span class="quiet">· {plural(text.length, 'character')}</span>
      </summary>
      {open && <MarkdownView text={text} complete={!growing} />}
    </details>
  );
}

function CallView({ call: { name, arguments: given } }: { readonly call: ToolCall }) {
  return (
    <figure class="code call">
      <figcaption>
        <span>
          Calls <strong>{name}</strong>
        </span>
        <CopyButton small label="Copy arguments" text={() => given} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <pre tabIndex={0}>
        <code>{indented(given)}</code>
      </pre>
    </figure>
  );
}

function indented(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

function SchemaCheck({ text, schema }: { readonly text: string; readonly schema: string }) {
  const { value } = readSchema(schema);
  if (value === undefined) return null;
  const problem = problemOfAnswer(text, value);
  return problem === undefined ? (
    <p class="check good">Follows the schema.</p>
  ) : (
    <p class="check bad">Does not follow the schema: {problem}</p>
  );
}
