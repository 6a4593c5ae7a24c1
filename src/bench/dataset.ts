/**
 * Prompts from a file: JSON lines, or one JSON array as ShareGPT is published. An entry is `{prompt, output_tokens?}`,
 * `{messages, output_tokens?}`, or a conversation `{conversations: [{from, value}, …]}`, of which the first question is asked and the
 * length of its recorded answer is the length that is asked for.
 */
import { UsageError } from './read-option.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface DatasetEntry {
  readonly messages: readonly ChatMessage[];
  readonly outputTokens: number | undefined;
  /** The recorded answer, whose length counts where no `output_tokens` is given. */
  readonly answer: string | undefined;
}

const MAX_ENTRIES = 1_000_000;

/** `name` of the file, for messages. */
export function readDataset(text: string, name: string): readonly DatasetEntry[] {
  const entries = parseEntries(text, name).flatMap((value, index) => {
    const entry = readEntry(value);
    if (entry === 'unusable') return [];
    if (entry === undefined)
      throw new UsageError(
        `${name}: entry ${index + 1} has none of prompt (a text), messages (of role and content), conversations (of from and value).`,
      );
    return [entry];
  });
  if (entries.length === 0) throw new UsageError(`${name} has no prompt in it.`);
  return entries;
}

function parseEntries(text: string, name: string): readonly unknown[] {
  if (text.trimStart().startsWith('[')) {
    try {
      return (JSON.parse(text) as unknown[]).slice(0, MAX_ENTRIES);
    } catch (error) {
      throw new UsageError(`${name} is not a JSON array: ${(error as Error).message}`);
    }
  }
  return text
    .split('\n')
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => line.trim() !== '')
    .slice(0, MAX_ENTRIES)
    .map(({ line, number }) => {
      try {
        return JSON.parse(line) as unknown;
      } catch (error) {
        throw new UsageError(`${name}: line ${number} is not JSON: ${(error as Error).message}`);
      }
    });
}

interface RawEntry {
  readonly prompt?: unknown;
  readonly messages?: unknown;
  readonly conversations?: unknown;
  readonly output_tokens?: unknown;
}

/** `unusable`: a conversation that does not begin with a question, of which ShareGPT has many. */
function readEntry(value: unknown): DatasetEntry | 'unusable' | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { prompt, messages, conversations, output_tokens: tokens } = value as RawEntry;
  const outputTokens =
    typeof tokens === 'number' && Number.isInteger(tokens) && tokens > 0 ? tokens : undefined;
  if (typeof prompt === 'string' && prompt !== '')
    return { messages: [{ role: 'user', content: prompt }], outputTokens, answer: undefined };
  if (Array.isArray(messages)) {
    const read = messages.flatMap((message: Partial<ChatMessage> | null) =>
      typeof message?.role === 'string' && typeof message.content === 'string'
        ? [{ role: message.role, content: message.content }]
        : [],
    );
    if (read.length === 0 || read.length < messages.length) return undefined;
    return { messages: read, outputTokens, answer: undefined };
  }
  return Array.isArray(conversations) ? readConversation(conversations, outputTokens) : undefined;
}

interface Turn {
  readonly from?: unknown;
  readonly value?: unknown;
}

function readConversation(
  turns: readonly (Turn | null)[],
  outputTokens: number | undefined,
): DatasetEntry | 'unusable' {
  const [question, answer] = turns;
  const asks = question?.from === 'human' || question?.from === 'user';
  if (!asks || typeof question.value !== 'string' || question.value === '') return 'unusable';
  return {
    messages: [{ role: 'user', content: question.value }],
    outputTokens,
    answer: typeof answer?.value === 'string' && answer.value !== '' ? answer.value : undefined,
  };
}
