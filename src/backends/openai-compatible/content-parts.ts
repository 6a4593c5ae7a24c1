/** A message's or a delta's `content`, which some servers give as a list: text, and thoughts as a part of their own (Mistral). Pure. */
import { asArray, asObject, asText } from '../../upstream/untyped.ts';

interface Content {
  readonly text: string | undefined;
  readonly reasoning: string | undefined;
}

/** Parts of other kinds, such as references, tell nothing that an answer has a place for. */
export function readContent(content: unknown): Content {
  if (!Array.isArray(content)) return { text: asText(content), reasoning: undefined };
  let text = '';
  let reasoning = '';
  for (const part of content.map(asObject)) {
    if (part.type === 'text') text += asText(part.text) ?? '';
    if (part.type === 'thinking') reasoning += thoughtsOf(part.thinking);
  }
  return { text: asText(text), reasoning: asText(reasoning) };
}

function thoughtsOf(thinking: unknown): string {
  if (typeof thinking === 'string') return thinking;
  return asArray(thinking)
    .map((part) => asText(asObject(part).text) ?? '')
    .join('');
}
