/**
 * Which tools come and go in the course of a conversation: a tool_reference in the result of a search makes a deferred tool
 * available, blocks of a system message add tools and take them away. Pure.
 */
export interface ToolChanges {
  /** Defined in the conversation, each with where; the last definition of a name counts. */
  readonly added: ReadonlyMap<string, { readonly raw: unknown; readonly path: string }>;
  /** Named by a reference, and not taken away since. */
  readonly available: ReadonlySet<string>;
  readonly removed: ReadonlySet<string>;
}

export function toolChangesOf(messages: readonly unknown[]): ToolChanges {
  const added = new Map<string, { readonly raw: unknown; readonly path: string }>();
  const available = new Set<string>();
  const removed = new Set<string>();
  const offer = (name: unknown) => {
    if (typeof name !== 'string') return;
    available.add(name);
    removed.delete(name);
  };
  for (const { block, path } of blocksIn(messages)) {
    const { type, tool } = block;
    if (type === 'tool_reference') offer(block.tool_name);
    const { type: kind, name } = fieldsOf(tool);
    if (type === 'tool_addition') {
      offer(name);
      if (kind !== 'tool_reference' && typeof name === 'string')
        added.set(name, { raw: tool, path: `${path}.tool` });
    }
    if (type === 'tool_removal' && typeof name === 'string') {
      available.delete(name);
      removed.add(name);
    }
  }
  return { added, available, removed };
}

type Fields = Readonly<Record<string, unknown>>;

/** The blocks of all messages, those inside results too. */
function* blocksIn(
  messages: readonly unknown[],
): Generator<{ readonly block: Fields; readonly path: string }> {
  for (const [index, message] of messages.entries()) {
    for (const outer of entriesOf(fieldsOf(message).content, `messages[${index}].content`)) {
      yield outer;
      if (outer.block.type === 'tool_result') yield* entriesOf(outer.block.content, `${outer.path}.content`);
    }
  }
}

function entriesOf(content: unknown, path: string) {
  if (!Array.isArray(content)) return [];
  return content.map((block: unknown, index) => ({ block: fieldsOf(block), path: `${path}[${index}]` }));
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
