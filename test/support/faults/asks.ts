/** What clients of each protocol ask, and how they read what comes: one complete answer, one error, or neither. */
import { type Answer, ask } from '../http-client.ts';
import { streamEnd } from '../stream-ends.ts';

export type Form = 'whole' | 'stream';

interface Asked {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly stream: boolean;
}

interface ProtocolClient {
  path(stream: boolean): string;
  body(asked: Asked): Record<string, unknown>;
  /** The text in a whole answer. */
  text(answer: Json): unknown;
  /** The text in one event of a stream. */
  piece(event: Json): unknown;
}

// biome-ignore lint/suspicious/noExplicitAny: answers of six protocols, read by a path each.
type Json = any;

const MODEL = 'm';
const messages = (prompt: string) => [{ role: 'user', content: prompt }];

const CLIENTS = {
  native: {
    path: (stream) => (stream ? '/stream' : '/generate'),
    body: ({ prompt, maxTokens, temperature }) => ({ prompt, max_tokens: maxTokens, temperature }),
    text: (answer) => answer.text,
    piece: (event) => event.token,
  },
  'openai-chat': {
    path: () => '/v1/chat/completions',
    body: ({ prompt, maxTokens, temperature, stream }) => ({
      model: MODEL,
      messages: messages(prompt),
      max_tokens: maxTokens,
      temperature,
      stream,
    }),
    text: (answer) => answer.choices[0].message.content,
    piece: (event) => event.choices?.[0]?.delta?.content,
  },
  'openai-completions': {
    path: () => '/v1/completions',
    body: ({ prompt, maxTokens, temperature, stream }) => ({
      model: MODEL,
      prompt,
      max_tokens: maxTokens,
      temperature,
      stream,
    }),
    text: (answer) => answer.choices[0].text,
    piece: (event) => event.choices?.[0]?.text,
  },
  'openai-responses': {
    path: () => '/v1/responses',
    body: ({ prompt, maxTokens, temperature, stream }) => ({
      model: MODEL,
      input: prompt,
      max_output_tokens: maxTokens,
      temperature,
      stream,
    }),
    text: (answer) => answer.output.at(-1).content[0].text,
    piece: (event) => (event.type === 'response.output_text.delta' ? event.delta : undefined),
  },
  anthropic: {
    path: () => '/v1/messages',
    body: ({ prompt, maxTokens, temperature, stream }) => ({
      model: MODEL,
      messages: messages(prompt),
      max_tokens: maxTokens,
      temperature,
      stream,
    }),
    text: (answer) => answer.content[0].text,
    piece: (event) => event.delta?.text,
  },
  ollama: {
    path: () => '/api/chat',
    body: ({ prompt, maxTokens, temperature, stream }) => ({
      model: MODEL,
      messages: messages(prompt),
      options: { num_predict: maxTokens, temperature },
      stream,
    }),
    text: (answer) => answer.message.content,
    piece: (event) => event.message?.content,
  },
} as const satisfies Record<string, ProtocolClient>;

export type ProtocolName = keyof typeof CLIENTS;

export const PROTOCOLS = Object.keys(CLIENTS) as readonly ProtocolName[];
export const FORMS: readonly Form[] = ['whole', 'stream'];

export interface Ask {
  readonly protocol: ProtocolName;
  readonly form: Form;
}

/** Each protocol in both forms; of two targets that take turns, each gets both forms. */
export function allAsks({ from = 0 }: { readonly from?: number } = {}): readonly Ask[] {
  const rotated = PROTOCOLS.map((_, at) => PROTOCOLS[(at + from) % PROTOCOLS.length] ?? 'native');
  return FORMS.flatMap((form) => rotated.map((protocol) => ({ protocol, form })));
}

export interface Outcome {
  /** `broken`: neither a complete answer nor one clear error. */
  readonly kind: 'answer' | 'error' | 'broken';
  readonly text: string;
  readonly status: number;
  readonly requestId: string;
  readonly attempts: string | undefined;
  /** Of the response, for the message of a failed test. */
  readonly body: string;
}

export async function askFor(
  server: { readonly url: string },
  { protocol, form }: Ask,
  prompt: string,
  { maxTokens = 16, temperature = 0 }: { readonly maxTokens?: number; readonly temperature?: number } = {},
): Promise<Outcome> {
  const client: ProtocolClient = CLIENTS[protocol];
  const stream = form === 'stream';
  const body = client.body({ prompt, maxTokens, temperature, stream });
  let answer: Answer;
  try {
    answer = await ask(`${server.url}${client.path(stream)}`, { body });
  } catch (error) {
    return { kind: 'broken', text: '', status: 0, requestId: '', attempts: undefined, body: String(error) };
  }
  const { status, headers, text: received } = answer;
  const about = {
    status,
    requestId: String(headers['x-request-id'] ?? headers['request-id'] ?? ''),
    attempts: headers['x-attempts']?.toString(),
    body: received,
  };
  if (status >= 400) return { kind: isError(received) ? 'error' : 'broken', text: '', ...about };
  if (!stream) return { ...wholeOutcome(client, received), ...about };
  const contentType = String(headers['content-type']).split(';')[0] ?? '';
  const end = endOf(contentType, received);
  if (end === undefined) return { kind: 'broken', text: '', ...about };
  const text = jsonEvents(received)
    .map((event) => client.piece(event) ?? '')
    .join('');
  return { kind: end === 'success' ? 'answer' : 'error', text, ...about };
}

function wholeOutcome(client: ProtocolClient, body: string): Pick<Outcome, 'kind' | 'text'> {
  try {
    const text = client.text(JSON.parse(body));
    return typeof text === 'string' ? { kind: 'answer', text } : { kind: 'broken', text: '' };
  } catch {
    return { kind: 'broken', text: '' };
  }
}

function isError(body: string): boolean {
  try {
    return JSON.parse(body).error !== undefined;
  } catch {
    return false;
  }
}

function endOf(contentType: string, body: string): 'success' | 'failure' | undefined {
  try {
    return streamEnd(contentType, body);
  } catch {
    return undefined;
  }
}

/** Server-sent events and lines alike. */
function jsonEvents(body: string): Json[] {
  return body
    .split('\n')
    .map((line) => line.replace(/^data: /, ''))
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
}
