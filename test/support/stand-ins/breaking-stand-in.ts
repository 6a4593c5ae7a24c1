/**
 * Plays vLLM 0.32.0, in the shapes recorded from it, with answers that a test writes, and breaks them where the test says. Several of
 * them share one list of what happens to the next requests, so that it does not matter which of them is asked.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { recordedChunks, recordedJson, recording } from './recording.ts';

type Body = Readonly<Record<string, unknown>>;
type Choice = Readonly<Record<string, unknown>>;

/** `garbage`: half an event, and whole ones after it. */
export type Break = 'cut' | 'end' | 'stall' | 'garbage' | 'error' | 'refused';

/** What happens to one request. */
export interface Fate {
  readonly breaks?: Break;
  /** After so many pieces. */
  readonly after?: number;
  /** Characters in a piece; default 3. */
  readonly pieceLength?: number;
  /** After each piece comes an event that is no part of the answer. */
  readonly pings?: boolean;
  /** Another answer than that of the test. */
  readonly says?: string;
}

export interface PlayedAnswer {
  readonly text?: string;
  readonly call?: { readonly name: string; readonly arguments: string };
}

export class BreakingStandIns {
  /** Of the next requests; those after them are answered whole. */
  readonly fates: Fate[] = [];
  /** Bodies of all generation requests. */
  readonly asked: Body[] = [];
  /** The answer to every request, however it is asked. */
  answer: PlayedAnswer = {};
  readonly #chat = recordedChunks('vllm/chat-stream')[0] ?? {};
  readonly #completion = recordedChunks('vllm/completion-stream')[0] ?? {};
  readonly #closes: (() => Promise<void>)[] = [];
  #calls = 0;

  /** Its address. */
  async start(): Promise<string> {
    const server = createServer((request, response) => void this.#reply(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#closes.push(
      () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    );
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    await Promise.all(this.#closes.map((close) => close()));
  }

  async #reply(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = request.url ?? '';
    response.setHeader('server', 'uvicorn');
    if (path === '/v1/chat/completions' || path === '/v1/completions') {
      this.#generate(response, JSON.parse(Buffer.concat(chunks).toString('utf8')) as Body);
      return;
    }
    if (path === '/health') response.end();
    else if (path === '/version') response.end(recording('vllm/version').body);
    else if (path === '/v1/models') response.end(JSON.stringify(recordedJson('vllm/models')));
    else {
      response.statusCode = 404;
      response.end('{"detail":"Not Found"}');
    }
  }

  #generate(response: ServerResponse, body: Body): void {
    this.asked.push(body);
    const fate = this.fates.shift() ?? {};
    if (fate.breaks === 'refused') {
      response.socket?.resetAndDestroy();
      return;
    }
    const choices = this.#choicesOf(body, fate);
    const after = fate.breaks === undefined ? choices.length : (fate.after ?? 2);
    const isChat = body.messages !== undefined;
    const frame = (choice: Choice) => frameOf(isChat ? this.#chat : this.#completion, choice);
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    if (isChat) response.write(frame({ delta: { role: 'assistant', content: '' } }));
    for (const choice of choices.slice(0, after)) {
      response.write(frame(choice));
      if (fate.pings) response.write('data: ping\n\n');
    }
    const rest = [
      ...choices.slice(after),
      { ...(isChat ? { delta: {} } : { text: '' }), finish_reason: 'stop' },
    ];
    const end = () => {
      for (const choice of rest) response.write(frame(choice));
      const usage = { prompt_tokens: 5, completion_tokens: choices.length, total_tokens: 5 + choices.length };
      response.write(`data: ${JSON.stringify({ ...this.#chat, choices: [], usage })}\n\n`);
      response.end('data: [DONE]\n\n');
    };
    switch (fate.breaks) {
      case undefined:
        end();
        return;
      case 'cut':
        response.write('', () => response.socket?.destroy());
        return;
      case 'end':
        response.end();
        return;
      case 'stall':
        return;
      case 'garbage':
        response.write(
          frame(rest[0] ?? {})
            .slice(0, 40)
            .concat('\n\n'),
        );
        end();
        return;
      case 'error':
        response.end('data: {"error":{"message":"EngineCore encountered an issue.","code":500}}\n\n');
        return;
      default:
        fate.breaks satisfies never;
    }
  }

  #choicesOf(body: Body, { says, pieceLength = 3 }: Fate): Choice[] {
    const { text = '', call } = this.answer;
    const isChat = body.messages !== undefined;
    const pieces = piecesOf(restOf(says ?? text, body), pieceLength);
    const texts = pieces.map((piece) => (isChat ? { delta: { content: piece } } : { text: piece }));
    if (call === undefined || body.tools === undefined) return texts;
    this.#calls += 1;
    const delta = (fields: Body) => ({ delta: { tool_calls: [{ index: 0, ...fields }] } });
    const head = { id: `chatcmpl-tool-${this.#calls}`, type: 'function', function: { name: call.name } };
    const argumentPieces = piecesOf(call.arguments, pieceLength);
    return [
      ...texts,
      delta(head),
      ...argumentPieces.map((piece) => delta({ function: { arguments: piece } })),
    ];
  }
}

/** What is left to say of the answer where the request has its beginning. */
function restOf(answer: string, { messages, prompt, continue_final_message }: Body): string {
  const last = (messages as readonly { content: string }[] | undefined)?.at(-1)?.content ?? '';
  if (messages !== undefined) return continue_final_message === true ? rest(answer, last) : answer;
  // The prompt ends with as much of the answer as it has.
  for (let length = answer.length; length > 0; length -= 1)
    if (String(prompt).endsWith(answer.slice(0, length))) return answer.slice(length);
  return answer;
}

function rest(answer: string, begun: string): string {
  if (!answer.startsWith(begun)) throw new Error(`${JSON.stringify(begun)} is no beginning of the answer`);
  return answer.slice(begun.length);
}

function piecesOf(text: string, length: number): string[] {
  const characters = [...text];
  const pieces: string[] = [];
  for (let at = 0; at < characters.length; at += length)
    pieces.push(characters.slice(at, at + length).join(''));
  return pieces;
}

function frameOf({ usage: _, ...template }: Body, choice: Choice): string {
  return `data: ${JSON.stringify({ ...template, choices: [{ index: 0, finish_reason: null, ...choice }] })}\n\n`;
}
