/** A request as a program that sends it: curl, Python or TypeScript, for each protocol. Each runs as it stands. Pure. */
import type { ChatBody } from '../chat-body.ts';
import { bodyFor, type ProtocolName } from './bodies.ts';

export const LANGUAGES = ['curl', 'Python', 'TypeScript'] as const;
export type Language = (typeof LANGUAGES)[number];

export interface SnippetOptions {
  readonly protocol: ProtocolName;
  readonly language: Language;
  /** Of the server, without a slash at its end. */
  readonly server: string;
  /** The server wants a key: the program reads it from the variable LLM_SERVE_KEY, and never contains it. */
  readonly withKey: boolean;
}

export interface Snippet {
  readonly text: string;
  /** What the protocol has no place for. */
  readonly omitted: readonly string[];
  /** What is installed first; empty: nothing. */
  readonly install: string;
}

interface Program extends SnippetOptions {
  readonly url: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export function snippetOf(chat: ChatBody, options: SnippetOptions): Snippet {
  const { path, body, omitted } = bodyFor(options.protocol, chat);
  const { install, write } = WRITERS[options.language][options.protocol];
  return { text: write({ ...options, url: `${options.server}/${path}`, body }), omitted, install };
}

type Writer = { readonly install: string; readonly write: (program: Program) => string };

const bare = (write: Writer['write']): Writer => ({ install: '', write });

const WRITERS: Readonly<Record<Language, Readonly<Record<ProtocolName, Writer>>>> = {
  curl: { OpenAI: bare(curl), Anthropic: bare(curl), Ollama: bare(curl), Native: bare(curl) },
  Python: {
    OpenAI: { install: 'pip install openai', write: pythonOpenAi },
    Anthropic: { install: 'pip install anthropic', write: pythonAnthropic },
    Ollama: { install: 'pip install ollama', write: pythonOllama },
    Native: bare(pythonNative),
  },
  TypeScript: {
    OpenAI: { install: 'npm install openai', write: typeScriptOpenAi },
    Anthropic: { install: 'npm install @anthropic-ai/sdk', write: typeScriptAnthropic },
    Ollama: { install: 'npm install ollama', write: typeScriptOllama },
    Native: bare(typeScriptNative),
  },
};

function curl({ url, body, withKey }: Program): string {
  const lines = [
    `curl ${shell(url)}`,
    "-H 'content-type: application/json'",
    ...(withKey ? ['-H "authorization: Bearer $LLM_SERVE_KEY"'] : []),
    `-d ${shell(JSON.stringify(body, null, 2))}`,
  ];
  return `${lines.join(' \\\n  ')}\n`;
}

function shell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Fields that Anthropic's newest clients do not name. */
const ANTHROPIC_EXTRA = ['output_config', 'temperature', 'top_p', 'top_k'];
/** Fields that the official OpenAI clients do not name. */
const EXTRA = ['top_k', 'min_p', 'repetition_penalty'];

function split(body: Program['body'], names: readonly string[]) {
  const entries = Object.entries(body);
  return {
    known: entries.filter(([name]) => !names.includes(name)),
    extra: Object.fromEntries(entries.filter(([name]) => names.includes(name))),
  };
}

const KEY_PYTHON = 'os.environ["LLM_SERVE_KEY"]';
const KEY_NODE = 'process.env.LLM_SERVE_KEY';

function pythonOpenAi({ server, body, withKey }: Program): string {
  const { known, extra } = split(body, EXTRA);
  const hasExtra = Object.keys(extra).length > 0;
  return `${withKey ? 'import os\n' : ''}from openai import OpenAI

client = OpenAI(base_url=${python(`${server}/v1`)}, api_key=${withKey ? KEY_PYTHON : '"none"'})
answer = client.chat.completions.create(
${pythonArguments([...known, ...(hasExtra ? [['extra_body', extra] as const] : [])])}
)
message = answer.choices[0].message
print(${'tools' in body ? 'message.tool_calls or ' : ''}message.content)
`;
}

function pythonAnthropic({ server, body, withKey }: Program): string {
  const { known, extra } = split(body, ANTHROPIC_EXTRA);
  const hasExtra = Object.keys(extra).length > 0;
  return `${withKey ? 'import os\n' : ''}from anthropic import Anthropic

client = Anthropic(base_url=${python(server)}, api_key=${withKey ? KEY_PYTHON : '"none"'})
answer = client.messages.create(
${pythonArguments([...known, ...(hasExtra ? [['extra_body', extra] as const] : [])])}
)
for block in answer.content:
    print(block.text if block.type == "text" else block)
`;
}

function pythonOllama({ server, body, withKey }: Program): string {
  const headers = withKey ? `, headers={"authorization": "Bearer " + ${KEY_PYTHON}}` : '';
  return `${withKey ? 'import os\n' : ''}from ollama import Client

client = Client(host=${python(server)}${headers})
answer = client.chat(
${pythonArguments(Object.entries(body))}
)
print(${'tools' in body ? 'answer.message.tool_calls or ' : ''}answer.message.content)
`;
}

function pythonNative({ url, body, withKey }: Program): string {
  const key = withKey ? `, "authorization": "Bearer " + ${KEY_PYTHON}` : '';
  return `import json
${withKey ? 'import os\n' : ''}from urllib.request import Request, urlopen

body = ${python(body)}
request = Request(
    ${python(url)},
    data=json.dumps(body).encode(),
    headers={"content-type": "application/json"${key}},
)
with urlopen(request) as response:
    answer = json.load(response)
print(${'tools' in body ? 'answer.get("tool_calls") or ' : ''}answer["text"])
`;
}

function pythonArguments(entries: readonly (readonly [string, unknown])[]): string {
  return entries.map(([name, value]) => `    ${name}=${python(value, '    ')},`).join('\n');
}

/** A value as a Python literal. */
function python(value: unknown, indent = ''): string {
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (value === null || value === undefined) return 'None';
  if (typeof value !== 'object') return JSON.stringify(value);
  const inner = `${indent}    `;
  const lines = Array.isArray(value)
    ? value.map((each) => `${inner}${python(each, inner)},`)
    : Object.entries(value).map(([name, each]) => `${inner}${JSON.stringify(name)}: ${python(each, inner)},`);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  return lines.length === 0 ? `${open}${close}` : `${open}\n${lines.join('\n')}\n${indent}${close}`;
}

function typeScriptOpenAi({ server, body, withKey }: Program): string {
  const { known, extra } = split(body, EXTRA);
  return `import OpenAI from 'openai';

const client = new OpenAI({ baseURL: ${literal(`${server}/v1`)}, apiKey: ${withKey ? KEY_NODE : "'none'"} });
const answer = await client.chat.completions.create(${literalWith(known, extra)});
const message = answer.choices[0]?.message;
console.log(${'tools' in body ? 'message?.tool_calls ?? ' : ''}message?.content);
`;
}

function typeScriptAnthropic({ server, body, withKey }: Program): string {
  const { known, extra } = split(body, ANTHROPIC_EXTRA);
  return `import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({ baseURL: ${literal(server)}, apiKey: ${withKey ? KEY_NODE : "'none'"} });
const answer = await client.messages.create(${literalWith(known, extra)});
for (const block of answer.content) console.log(block.type === 'text' ? block.text : block);
`;
}

function typeScriptOllama({ server, body, withKey }: Program): string {
  // Its type of a schema is narrower than JSON Schema.
  const { known, extra } = split(body, ['tools']);
  const headers = withKey ? `, headers: { authorization: \`Bearer \${${KEY_NODE}}\` }` : '';
  return `import { Ollama } from 'ollama';

const client = new Ollama({ host: ${literal(server)}${headers} });
const answer = await client.chat(${literalWith(known, extra)});
console.log(${'tools' in body ? 'answer.message.tool_calls ?? ' : ''}answer.message.content);
`;
}

function typeScriptNative({ url, body, withKey }: Program): string {
  const key = withKey ? `, authorization: \`Bearer \${${KEY_NODE}}\`` : '';
  return `const response = await fetch(${literal(url)}, {
  method: 'POST',
  headers: { 'content-type': 'application/json'${key} },
  body: JSON.stringify(${literal(body).replaceAll('\n', '\n  ')}),
});
if (!response.ok) throw new Error(await response.text());
const answer = (await response.json()) as { text: string; tool_calls?: unknown };
console.log(${'tools' in body ? 'answer.tool_calls ?? ' : ''}answer.text);
`;
}

function literal(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

/** Fields that the client's types do not know are spread, which those allow. */
function literalWith(known: readonly (readonly [string, unknown])[], extra: object): string {
  const text = literal(Object.fromEntries(known));
  if (Object.keys(extra).length === 0) return text;
  const rest = JSON.stringify(extra, null, 2).replaceAll('\n', '\n  ');
  return `${text.slice(0, -2)},\n  ...(${rest} as object)\n}`;
}
