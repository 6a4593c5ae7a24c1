/**
 * Markdown blocks as Preact nodes. Nothing is ever parsed as HTML: tags in the text are shown as text, links and images are
 * checked against a list of schemes.
 */
import type { Token, Tokens } from 'marked';
import type { ComponentChildren, VNode } from 'preact';
import { CodeView } from './code-view.tsx';
import { decodeEntities } from './entities.ts';
import type { Block } from './incremental.ts';
import { isSafeImage, safeLink } from './safe-urls.ts';

export function renderBlock(block: Block, key: number): VNode {
  if (block.kind === 'code') return <CodeView key={key} block={block} />;
  if (block.kind === 'plain')
    return (
      <p key={key} class="md-plain">
        {block.text}
      </p>
    );
  const node = blockNode(block.token);
  return (
    <div key={key} class={block.continues ? 'md-block continues' : 'md-block'}>
      {node}
    </div>
  );
}

function blockNode(token: Token): ComponentChildren {
  switch (token.type) {
    case 'heading': {
      // The page has its own h1 and h2.
      const Tag = `h${Math.min(6, (token as Tokens.Heading).depth + 2)}` as 'h3';
      return <Tag class={`md-h${(token as Tokens.Heading).depth}`}>{inline(token.tokens)}</Tag>;
    }
    case 'paragraph':
      return <p>{inline(token.tokens)}</p>;
    case 'text':
      return token.tokens === undefined ? decodeEntities(token.raw) : inline(token.tokens);
    case 'blockquote':
      return <blockquote>{blockNodes(token.tokens)}</blockquote>;
    case 'list':
      return list(token as Tokens.List);
    case 'table':
      return table(token as Tokens.Table);
    case 'hr':
      return <hr />;
    case 'code':
      return (
        <CodeView
          block={{
            kind: 'code',
            language: ((token as Tokens.Code).lang ?? '').split(/\s/, 1)[0]?.toLowerCase() ?? '',
            pieces: [(token as Tokens.Code).text],
            complete: true,
          }}
        />
      );
    case 'def':
      return definition(token as Tokens.Def);
    case 'space':
    case 'checkbox':
      return null;
    default:
      // HTML, as it is written.
      return <p class="md-plain">{token.raw.trimEnd()}</p>;
  }
}

function blockNodes(tokens: readonly Token[] | undefined): ComponentChildren {
  return (tokens ?? []).map(blockNode);
}

function list({ ordered, start, items }: Tokens.List): VNode {
  const children = items.map((item, at) => (
    <li key={at} class={item.task ? 'md-task' : undefined}>
      {item.task && <input type="checkbox" checked={item.checked === true} disabled aria-label="Task" />}
      {blockNodes(item.tokens)}
    </li>
  ));
  return ordered ? <ol start={Number(start) || 1}>{children}</ol> : <ul>{children}</ul>;
}

function table({ header, rows }: Tokens.Table): VNode {
  return (
    <div class="md-table">
      <table>
        <thead>
          <tr>
            {header.map((cell, at) => (
              <th key={at} scope="col" class={alignClass(cell)}>
                {inline(cell.tokens)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at}>
              {row.map((cell, column) => (
                <td key={column} class={alignClass(cell)}>
                  {inline(cell.tokens)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function alignClass({ align }: Tokens.TableCell): string | undefined {
  return align === null ? undefined : `md-${align}`;
}

export function inline(tokens: readonly Token[] | undefined): ComponentChildren {
  return (tokens ?? []).map(inlineNode);
}

function inlineNode(token: Token): ComponentChildren {
  switch (token.type) {
    case 'text':
      return token.tokens === undefined ? decodeEntities(token.text) : inline(token.tokens);
    case 'escape':
      return token.text;
    case 'strong':
      return <strong>{inline(token.tokens)}</strong>;
    case 'em':
      return <em>{inline(token.tokens)}</em>;
    case 'del':
      return <del>{inline(token.tokens)}</del>;
    case 'codespan':
      return <code>{token.text}</code>;
    case 'br':
      return <br />;
    case 'link':
      return link(token as Tokens.Link);
    case 'image':
      return image(token as Tokens.Image);
    case 'checkbox':
      return null;
    default:
      // HTML, as it is written.
      return token.raw;
  }
}

/** `[1]: https://… "Title"`, as it is written, with its address as a link. */
function definition({ href, raw }: Tokens.Def): VNode {
  const written = raw.trim();
  const address = safeLink(decodeEntities(href));
  const at = written.indexOf(href);
  if (address === undefined || at === -1) return <p class="md-definition">{written}</p>;
  return (
    <p class="md-definition">
      {written.slice(0, at)}
      {anchor(address, address, href)}
      {written.slice(at + href.length)}
    </p>
  );
}

function link({ href, title, raw, tokens }: Tokens.Link): ComponentChildren {
  const address = safeLink(decodeEntities(href));
  // Refused: the text alone would hide where the link was to go.
  return address === undefined ? raw : anchor(address, title ?? address, inline(tokens));
}

/** Images of other servers would tell those that the text is read: they are links. */
function image({ href, text, raw }: Tokens.Image): ComponentChildren {
  if (isSafeImage(href)) return <img src={href} alt={text} class="md-image" />;
  const address = safeLink(decodeEntities(href));
  return address === undefined ? raw : anchor(address, address, text === '' ? address : `Image: ${text}`);
}

function anchor(address: string, title: string, children: ComponentChildren): VNode {
  return (
    <a href={address} title={title} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}
