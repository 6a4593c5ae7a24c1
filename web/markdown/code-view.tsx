/** A block of code: its language, a button that copies it, and, once it is complete and not too long, its syntax in colours. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { CopyButton } from '../ui/copy-button.tsx';
import type { CodeBlock } from './incremental.ts';

/** Longer code stays plain: colouring it would stop the page. */
const COLOURED_AT_MOST = 30_000;

export function CodeView({ block }: { readonly block: CodeBlock }) {
  const { language, pieces, complete } = block;
  return (
    <figure class="code">
      <figcaption>
        <span>{language === '' ? 'text' : language}</span>
        <CopyButton text={() => pieces.join('')} label="Copy code" small />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <pre tabIndex={0}>
        <code>
          {complete ? (
            <ColouredCode language={language} text={pieces.join('')} />
          ) : (
            pieces.map((piece, at) => <span key={at}>{piece}</span>)
          )}
        </code>
      </pre>
    </figure>
  );
}

function ColouredCode({ language, text }: { readonly language: string; readonly text: string }) {
  const [coloured, setColoured] = useState<ComponentChildren>(undefined);
  useEffect(() => {
    let current = true;
    if (language !== '' && text.length <= COLOURED_AT_MOST)
      import('./highlight.tsx').then(
        ({ highlight }) => current && setColoured(highlight(language, text)),
        // Without colours it reads as well.
        () => {},
      );
    return () => {
      current = false;
    };
  }, [language, text]);
  return <>{coloured ?? text}</>;
}
