/**
 * Many streams that are open while the configuration changes again and again: targets are added, removed, replaced and drained, limits
 * and keys change. Each stream knows the words that it must get.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { ask, tokensOf } from './http-client.ts';
import { scripted } from './scripted-server.ts';
import type { ComposedServer } from './server.ts';

const target = (name: string, keys = '') =>
  `{ backend: scripted, name: ${name}, model: m, slots: 200${keys} }`;

/** One after the other, over and over; each has a target that can serve. */
const MODELS = [
  [target('a'), target('b'), target('c')],
  [target('b'), target('c'), target('d')],
  [target('b', ', context_size: 3000'), target('d', ', weight: 3')],
  [target('a'), target('d', ', weight: 3'), target('e', ', role: fallback')],
  [target('a', ', context_size: 3001'), target('c')],
];

export function stormConfig(step: number): string {
  const targets = MODELS[step % MODELS.length] ?? [];
  return [
    `models: [{ id: m, targets: [${targets.join(', ')}] }]`,
    `generation: { max_tokens: ${1000 + step} }`,
    `scheduler: { max_queue: ${10_000 + step} }`,
    'rate_limit: { enabled: false }',
  ].join('\n');
}

export async function reload(server: ComposedServer, step: number): Promise<void> {
  server.reconfigure({ configFile: stormConfig(step) });
  const answer = await ask(`${server.url}/admin/reload`, { method: 'POST' });
  if (answer.status !== 200) throw new Error(`reload ${step}: ${answer.status} ${answer.text}`);
}

interface OpenStream {
  /** Its first token has come. */
  readonly began: Promise<void>;
  /** What went wrong, if anything did. */
  readonly outcome: Promise<string | undefined>;
}

export function openStream(server: ComposedServer, agent: Agent, tokens: number, paceMs: number): OpenStream {
  const words = Array.from({ length: tokens }, (_, index) => `w${index}`).join(' ');
  const body = JSON.stringify({ prompt: scripted({ text: words, token_delay_ms: paceMs }) });
  const asking = request(`${server.url}/stream`, {
    agent,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  });
  asking.end(body);
  let begin = () => {};
  const began = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const outcome = (async () => {
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    let text = '';
    for await (const piece of response.setEncoding('utf8')) {
      text += piece;
      if (text.includes('"token"')) begin();
    }
    const isWhole = response.statusCode === 200 && text.includes('data: [DONE]') && tokensOf(text) === words;
    return isWhole ? undefined : `${response.statusCode} ${text.slice(-300)}`;
  })().catch(String);
  void outcome.then(begin);
  return { began, outcome };
}

export async function storm(
  server: ComposedServer,
  { streams, reloads, tokens, paceMs }: Readonly<Record<'streams' | 'reloads' | 'tokens' | 'paceMs', number>>,
): Promise<{ readonly broken: readonly string[]; readonly stillOpen: number }> {
  const agent = new Agent({ keepAlive: true });
  try {
    const open = Array.from({ length: streams }, () => openStream(server, agent, tokens, paceMs));
    await Promise.all(open.map(({ began }) => began));
    let ended = 0;
    for (const { outcome } of open)
      void outcome.then(() => {
        ended += 1;
      });
    for (let step = 1; step <= reloads; step += 1) await reload(server, step);
    const stillOpen = streams - ended;
    const outcomes = await Promise.all(open.map(({ outcome }) => outcome));
    return { broken: outcomes.filter((outcome) => outcome !== undefined), stillOpen };
  } finally {
    agent.destroy();
  }
}
