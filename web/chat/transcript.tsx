/** The messages that are shown. While an answer grows and the person has not scrolled away, its end stays in view. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useStore } from '../state/store.ts';
import { answerLast } from './actions.ts';
import { answering, conversation, models, modelsFailure } from './chat-state.ts';
import { openCalls, pathOf } from './conversation.ts';
import { MessageView } from './message-view.tsx';
import { ToolResults } from './tool-results.tsx';
import { WhereKept } from './where-kept.tsx';

/** Of long conversations only the newest are drawn at first. */
const DRAWN = 60;
const NEAR_END_PIXELS = 48;

export function Transcript() {
  const shown = useStore(conversation);
  const running = useStore(answering);
  const [more, setMore] = useState(0);
  const place = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const lastTop = useRef(0);
  const path = pathOf(shown);
  const last = path.at(-1);
  const hidden = Math.max(0, path.length - DRAWN - more);
  const calls = running === undefined ? openCalls(path) : [];
  // Another conversation begins at its end.
  useEffect(() => {
    follows.current = true;
    setMore(0);
  }, [shown.id]);
  const { length } = path;
  // A message that was just sent is to be seen.
  useLayoutEffect(() => {
    follows.current = true;
  }, [length]);
  useFollow(place, follows);
  if (path.length === 0) return <Empty />;
  return (
    <section
      class="transcript"
      ref={place}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      aria-label="Messages"
      onScroll={(event) => {
        const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
        // The height changes by itself too: only a person scrolls back.
        if (scrollHeight - scrollTop - clientHeight < NEAR_END_PIXELS) follows.current = true;
        else if (scrollTop < lastTop.current) follows.current = false;
        lastTop.current = scrollTop;
      }}
    >
      <div class="messages">
        {hidden > 0 && (
          <button type="button" class="button" onClick={() => setMore(more + DRAWN)}>
            Show {Math.min(DRAWN, hidden)} earlier messages of {hidden}
          </button>
        )}
        {path.slice(hidden).map((message) => (
          <MessageView
            key={message.id}
            message={message}
            conversation={shown}
            growing={running?.messageId === message.id}
            busy={running !== undefined}
          />
        ))}
        {running === undefined && path.at(-1)?.role !== 'assistant' && (
          <p class="unanswered hint">
            This has no answer yet.
            <button type="button" class="button small" onClick={() => answerLast()}>
              Get one
            </button>
          </p>
        )}
        {last !== undefined && calls.length > 0 && (
          <ToolResults key={last.id} answerId={last.id} calls={calls} />
        )}
      </div>
    </section>
  );
}

/** Scrolls once for each change of the height, with the frame that draws it. */
function useFollow(
  place: { readonly current: HTMLDivElement | null },
  follows: { readonly current: boolean },
): void {
  useEffect(() => {
    const element = place.current;
    const content = element?.firstElementChild;
    if (!element || !content) return;
    const observer = new ResizeObserver(() => {
      if (follows.current) element.scrollTop = element.scrollHeight;
    });
    observer.observe(content);
    // A banner above or a longer draft below leaves it less room.
    observer.observe(element);
    return () => observer.disconnect();
  });
}

function Empty() {
  const list = useStore(models);
  const failure = useStore(modelsFailure);
  const model = useStore(conversation, (shown) => shown.model);
  const title =
    list?.length === 0 ? 'The server has no models.' : failure ? 'No model yet' : 'Waiting for the server …';
  return (
    <div class="empty">
      <div>
        <p class="empty-title">{model !== '' ? model : title}</p>
        <p class="quiet">
          {list?.length === 0 ? (
            'Start it with one: llm-serve --model NAME.'
          ) : (
            <>
              <WhereKept /> What you write goes to this server, which passes it to the backend of the model.
            </>
          )}
        </p>
      </div>
    </div>
  );
}
