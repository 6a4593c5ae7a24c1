/** What kind of server answers at an address, which models it has, and in which protocol it is best asked. Everything is found out by asking. */
import { askText, type HttpClient, type HttpRequest } from './http.ts';
import type { ProtocolName, ServerKind } from './protocols.ts';

export interface ServerFacts {
  /** `llm-serve`, `vLLM 0.33.0`, `llama-server`, `Ollama 0.32.15`, or what can be said. */
  readonly name: string;
  readonly kind: ServerKind;
  readonly protocol: ProtocolName;
  /** Empty where the server lists none. */
  readonly models: readonly string[];
}

/** How a server is asked, whatever it is asked. */
export interface ServerAccess {
  readonly http: HttpClient;
  readonly key: string | undefined;
  /** Of every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** The user ends the run. */
  readonly signal: AbortSignal;
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
export async function inspectServer(access: ServerAccess): Promise<ServerFacts> {
  const models = await probe(access, '/v1/models');
  const entries = listOf(models.body?.data);
  if (models.headers[OWN_MARK] !== undefined) {
    requireKey(models);
    return {
      ...{ name: 'llm-serve', kind: 'llm-serve', protocol: 'openai-chat' },
      models: namesOf(entries, 'id'),
    };
  }
  requireNoRedirect(models);
  const ollama = await probe(access, '/api/version');
  if (ollama.status === 200 && typeof ollama.body?.version === 'string') {
    const tags = await probe(access, '/api/tags');
    const name = `Ollama ${ollama.body.version}`;
    return { name, kind: 'ollama', protocol: 'ollama', models: namesOf(listOf(tags.body?.models), 'name') };
  }
  if (models.status === 200 && entries.length > 0) {
    const names = namesOf(entries, 'id');
    const [first] = entries;
    if (first?.type === 'model' && first.object === undefined) return { ...ANTHROPIC, models: names };
    return { ...(await openAiServer(access, models)), protocol: 'openai-chat', models: names };
  }
  requireKey(models);
  const messages = await probe(access, '/v1/messages', '{}');
  if (messages.body?.type === 'error') return { ...ANTHROPIC, models: [] };
  const chat = await probe(access, '/v1/chat/completions', '{}');
  const isChat = chat.status === 200 || chat.status === 400 || chat.status === 422;
  if (isChat && chat.body !== undefined) return { ...OTHER, protocol: 'openai-chat', models: [] };
  throw new InspectionError(
    `it speaks no protocol that is known here: /v1/models answers ${models.status}, /v1/messages ${messages.status}, /v1/chat/completions ${chat.status}. Name one with --protocol and --model.`,
  );
}

const OTHER = { name: 'a server of the OpenAI protocol', kind: 'other' } as const;
const ANTHROPIC = { name: 'an Anthropic server', kind: 'other', protocol: 'anthropic' } as const;

function requireKey({ status }: Probe): void {
  if (status === 401 || status === 403)
    throw new InspectionError(
      `it wants an API key (${status}). Give one with --key or LLM_SERVE_KEY, or what else it wants with --header.`,
    );
}

function requireNoRedirect({ status, headers: { location } }: Probe): void {
  if (status >= 300 && status < 400 && typeof location === 'string')
    throw new InspectionError(`it redirects to ${location}. Give that address.`);
}

async function openAiServer(
  access: ServerAccess,
  models: Probe,
): Promise<Pick<ServerFacts, 'name' | 'kind'>> {
  const owners = new Set(listOf(models.body?.data).map(({ owned_by: owner }) => owner));
  if (models.headers.server === 'llama.cpp' || owners.has('llamacpp'))
    return { name: 'llama-server', kind: 'llama-server' };
  if (!owners.has('vllm')) return OTHER;
  const { body } = await probe(access, '/version');
  return { name: typeof body?.version === 'string' ? `vLLM ${body.version}` : 'vLLM', kind: 'vllm' };
}

/** With a body: a POST. */
async function probe(
  { http, key, headers: given, signal }: ServerAccess,
  path: string,
  body?: string,
): Promise<Probe> {
  const request: HttpRequest = {
    method: body === undefined ? 'GET' : 'POST',
    path,
    headers: {
      accept: 'application/json',
      'user-agent': 'llm-serve-bench',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(key !== undefined && { authorization: `Bearer ${key}`, 'x-api-key': key }),
      ...(path.startsWith('/v1/me') && { 'anthropic-version': '2023-06-01' }),
      ...given,
    },
    ...(body !== undefined && { body }),
  };
  const within = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
  const { status, headers, text } = await askText(http, request, within);
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
  access: ServerAccess,
  text: string,
  model: string,
): Promise<number | undefined> {
  const body = JSON.stringify({ model, prompt: text, content: text });
  try {
    const { status, body: answer } = await probe(access, '/tokenize', body);
    if (status !== 200 || answer === undefined) return undefined;
    if (typeof answer.count === 'number') return answer.count;
    return Array.isArray(answer.tokens) ? answer.tokens.length : undefined;
  } catch {
    return undefined;
  }
}
