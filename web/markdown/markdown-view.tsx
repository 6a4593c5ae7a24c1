/** Markdown that may still grow. Long text is taken in parts, a part a frame, so that no frame takes long. */
import { Component } from 'preact';
import { useEffect, useReducer, useRef } from 'preact/hooks';
import { type Block, IncrementalMarkdown, textOf } from './incremental.ts';
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

interface SectionProps {
  readonly blocks: readonly Block[];
}

/** Drawn again only for another array. What cannot be drawn as Markdown is shown as it is written, and takes nothing else along. */
class Section extends Component<SectionProps, { readonly failed: boolean }> {
  override state = { failed: false };

  static override getDerivedStateFromError() {
    return { failed: true };
  }

  override shouldComponentUpdate(
    { blocks }: SectionProps,
    { failed }: { readonly failed: boolean },
  ): boolean {
    return blocks !== this.props.blocks || failed !== this.state.failed;
  }

  override render() {
    if (this.state.failed)
      return (
        <div class="md-section">
          <pre class="md-plain">{this.props.blocks.map(textOf).join('')}</pre>
        </div>
      );
    return <div class="md-section">{this.props.blocks.map(renderBlock)}</div>;
  }
}
