/** Where the person writes: text, images by paste, drop or pick; Enter sends. The text survives whatever happens to the answer. */
import type { RefObject } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useStore } from '../state/store.ts';
import { Icon } from '../ui/icons.tsx';
import { send } from './actions.ts';
import { stopAnswer, useWhyNoAnswer } from './answering.ts';
import { abilities, answering, conversation, draftImages, draftText, notice } from './chat-state.ts';
import { MAX_IMAGES, readImage } from './images.ts';

const HIGHEST_PIXELS = 260;

export function Composer({ box }: { readonly box: RefObject<HTMLTextAreaElement> }) {
  const text = useStore(draftText);
  const images = useStore(draftImages);
  const [isDropTarget, setIsDropTarget] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const running = useStore(answering);
  const model = useStore(conversation, (shown) => shown.model);
  const why = useWhyNoAnswer();
  // Of the others the button, the model and the banner tell.
  const problem = running === undefined && model !== '' ? why : undefined;
  const takesImages = useStore(abilities, (can) => can?.images ?? true);
  const maySend = why === undefined && (text.trim() !== '' || images.length > 0);

  // As high as its text.
  useLayoutEffect(() => {
    const area = box.current;
    if (area === null) return;
    area.style.height = 'auto';
    area.style.height = `${Math.min(area.scrollHeight + 2, HIGHEST_PIXELS)}px`;
  }, [text]);

  const attach = async (files: Iterable<Blob>) => {
    const all = [...files];
    const pictures = all.filter(({ type }) => type.startsWith('image/'));
    if (pictures.length < all.length) notice.set('Only images can be attached.');
    if (pictures.length === 0) return;
    if (!takesImages) {
      notice.set(`${model} takes no images.`);
      return;
    }
    try {
      const read = await Promise.all(pictures.slice(0, MAX_IMAGES).map(readImage));
      draftImages.update((before) => [...before, ...read].slice(0, MAX_IMAGES));
    } catch (thrown) {
      notice.set(thrown instanceof Error ? thrown.message : String(thrown));
    }
  };
  const submit = () => {
    if (!maySend) return;
    if (!send(text, images)) return;
    draftText.set('');
    draftImages.set([]);
  };

  return (
    <form
      class={isDropTarget ? 'composer drop' : 'composer'}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      onDragOver={(event) => {
        if (!event.dataTransfer?.types.includes('Files')) return;
        event.preventDefault();
        setIsDropTarget(true);
      }}
      onDragLeave={() => setIsDropTarget(false)}
      onDrop={(event) => {
        setIsDropTarget(false);
        const files = event.dataTransfer?.files ?? [];
        // Text goes where the browser puts it.
        if (files.length === 0) return;
        event.preventDefault();
        void attach(files);
      }}
    >
      {images.length > 0 && (
        <div class="thumbs">
          {images.map((url, at) => (
            <span class="thumb" key={url.slice(-60) + at}>
              <img src={url} alt={`To be sent ${at + 1}`} />
              <button
                type="button"
                class="icon-button small"
                aria-label={`Remove image ${at + 1}`}
                onClick={() => draftImages.set(images.filter((_, other) => other !== at))}
              >
                <Icon name="close" />
              </button>
            </span>
          ))}
        </div>
      )}
      <div class="composer-row">
        {takesImages && (
          <button
            type="button"
            class="icon-button"
            aria-label="Attach images"
            title="Attach images"
            onClick={() => file.current?.click()}
          >
            <Icon name="attach" />
          </button>
        )}
        <input
          ref={file}
          type="file"
          accept="image/*"
          multiple
          hidden
          aria-label="Images"
          onChange={(event) => {
            void attach(event.currentTarget.files ?? []);
            event.currentTarget.value = '';
          }}
        />
        <textarea
          ref={box}
          rows={1}
          aria-label="Message"
          placeholder={model === '' ? 'Message' : `Message ${model}`}
          value={text}
          onInput={(event) => draftText.set(event.currentTarget.value)}
          onPaste={(event) => void attach(event.clipboardData?.files ?? [])}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            submit();
          }}
        />
        {running === undefined ? (
          <button
            type="submit"
            class="icon-button send"
            aria-label="Send"
            title="Send (Enter)"
            disabled={!maySend}
          >
            <Icon name="send" />
          </button>
        ) : (
          <button
            type="button"
            class="icon-button send"
            aria-label="Stop"
            title="Stop (Esc)"
            onClick={stopAnswer}
          >
            <Icon name="stop" />
          </button>
        )}
      </div>
      {problem !== undefined && <p class="problem">{problem}</p>}
    </form>
  );
}
