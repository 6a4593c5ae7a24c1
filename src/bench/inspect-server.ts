/** What kind of server answers at an address, which models it has, and in which protocol it is best asked. Everything is found out by asking. */
import { askText, type HttpClient, type HttpRequest } from './http.ts';
import type { ProtocolName } from './protocols.ts';

export interface ServerFacts {
  /** `llm-serve`, `vLLM 0.33.0`, `llama-server`, `Ollama 0.32.15`, or what can be said. */
  readonly name: string;
  readonly protocol: ProtocolName;
  /** Empty where the server lists none. */
  readonly models: readonly string[];
}

export class InspectionError extends Error {}

interface Probe {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readonly<Record<string, unknown>> | undefined;
}

/** Every answer of llm-serve has this header; no other server's has. */
const OWN_MARK = 'x-response-time-ms';
const ANSWER_WITHIN_MS = 10_000;

/** Throws what the connection does where nothing answers, and an InspectionError where no known protocol is spoken. */
export async function inspectServer(http: HttpClient, key: string | undefined): Promise<ServerFacts> {
  const models = await probe(http, '/v1/models', key);
  const entries = listOf(models.body?.data);
  if (models.headers[OWN_MARK] !== undefined) {
    requireKey(models);
    return { name: 'llm-serve', protocol: 'openai-chat', models: namesOf(entries, 'id') };
  }
  const ollama = await probe(http, '/api/version', key);
  if (ollama.status === 200 && typeof ollama.body?.version === 'string') {
    const tags = await probe(http, '/api/tags', key);
    const name = `Ollama ${ollama.body.version}`;
    return { name, protocol: 'ollama', models: namesOf(listOf(tags.body?.models), 'name') };
  }
  if (models.status === 200 && entries.length > 0) {
    const [first] = entries;
    const isAnthropic = first?.type === 'model' && first.object === undefined;
    return {
      name: isAnthropic ? 'an Anthropic server' : await nameOf(http, key, models),
      protocol: isAnthropic ? 'anthropic' : 'openai-chat',
      models: namesOf(entries, 'id'),
    };
  }
  requireKey(models);
  const messages = await probe(http, '/v1/messages', key, '{}');
  if (messages.body?.type === 'error')
    return { name: 'an Anthropic server', protocol: 'anthropic', models: [] };
  const chat = await probe(http, '/v1/chat/completions', key, '{}');
  if (chat.status === 200 || chat.status === 400 || chat.status === 422)
    return { name: 'a server of the OpenAI protocol', protocol: 'openai-chat', models: [] };
  throw new InspectionError(
    `it speaks no protocol that is known here: /v1/models answers ${models.status}, /v1/messages ${messages.status}, /v1/chat/completions ${chat.status}. Name one with --protocol.`,
  );
}

function requireKey({ status }: Probe): void {
  if (status === 401 || status === 403)
    throw new InspectionError(`it wants an API key (${status}). Give one with --key or LLM_SERVE_KEY.`);
}

async function nameOf(http: HttpClient, key: string | undefined, models: Probe): Promise<string> {
  const owners = new Set(listOf(models.body?.data).map(({ owned_by: owner }) => owner));
  if (models.headers.server === 'llama.cpp' || owners.has('llamacpp')) return 'llama-server';
  if (!owners.has('vllm')) return 'a server of the OpenAI protocol';
  const { body } = await probe(http, '/version', key);
  return typeof body?.version === 'string' ? `vLLM ${body.version}` : 'vLLM';
}

async function probe(http: HttpClient, path: string, key: string | undefined, body?: string): Promise<Probe> {
  const request: HttpRequest = {
    method: body === undefined ? 'GET' : 'POST',
    path,
    headers: {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(key !== undefined && { authorization: `Bearer ${key}`, 'x-api-key': key }),
      ...(path.startsWith('/v1/me') && { 'anthropic-version': '2023-06-01' }),
    },
    ...(body !== undefined && { body }),
  };
  const { status, headers, text } = await askText(http, request, AbortSignal.timeout(ANSWER_WITHIN_MS));
  return { status, headers, body: parsed(text) };
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function listOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  if (!Array.isArray(value)) return [];
  return value.filter((each): each is Record<string, unknown> => typeof each === 'object' && each !== null);
}

function namesOf(entries: readonly Readonly<Record<string, unknown>>[], field: string): readonly string[] {
  return entries.map((entry) => entry[field]).filter((name): name is string => typeof name === 'string');
}

/**
 * Tokens of a text, as the server's tokenizer counts; undefined where it has none. vLLM and llm-serve take `prompt`, llama-server
 * `content`.
 */
export async function countTokens(
  http: HttpClient,
  text: string,
  { model, key }: { readonly model: string; readonly key: string | undefined },
): Promise<number | undefined> {
  const body = JSON.stringify({ model, prompt: text, content: text });
  try {
    const { status, body: answer } = await probe(http, '/tokenize', key, body);
    if (status !== 200 || answer === undefined) return undefined;
    if (typeof answer.count === 'number') return answer.count;
    return Array.isArray(answer.tokens) ? answer.tokens.length : undefined;
  } catch {
    return undefined;
  }
}
