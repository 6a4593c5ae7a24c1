/** Markdown that may still grow. Long text is taken in parts, a part a frame, so that no frame takes long. */
import { Component } from 'preact';
import { useEffect, useReducer, useRef } from 'preact/hooks';
import { type Block, IncrementalMarkdown } from './incremental.ts';
import { renderBlock } from './render.tsx';

const PART = 3_000;

/** `text` only ever grows: another text needs another key. */
export function MarkdownView({ text, complete }: { readonly text: string; readonly complete: boolean }) {
  const markdown = useRef(new IncrementalMarkdown()).current;
  const ended = useRef(false);
  const [, again] = useReducer((count: number) => count + 1, 0);
  if (markdown.length < text.length) markdown.push(text.slice(markdown.length, markdown.length + PART));
  if (complete && !ended.current && markdown.length >= text.length) {
    ended.current = true;
    markdown.end();
  }
  const isBehind = markdown.length < text.length;
  useEffect(() => {
    if (!isBehind) return;
    const frame = requestAnimationFrame(() => again(undefined));
    return () => cancelAnimationFrame(frame);
  });
  return (
    <div class="md">
      {markdown.sections.map((blocks, at) => (
        <Section key={at} blocks={blocks} />
      ))}
      {markdown.open.length > 0 && <Section key="open" blocks={markdown.open} />}
    </div>
  );
}

/** Drawn again only for another array. */
class Section extends Component<{ readonly blocks: readonly Block[] }> {
  override shouldComponentUpdate({ blocks }: { readonly blocks: readonly Block[] }): boolean {
    return blocks !== this.props.blocks;
  }

  override render() {
    return <div class="md-section">{this.props.blocks.map(renderBlock)}</div>;
  }
}
