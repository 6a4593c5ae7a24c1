/**
 * A server on a real socket whose generations fail as a script says, one after the other: everything else is answered as the
 * stand-ins do, in the shapes recorded from vLLM 0.32.0 and Ollama 0.17.4. It writes its bytes itself, so that they may be wrong.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { claimPort, type OwnPort } from '../own-port.ts';
import { ollamaPlay } from '../stand-ins/ollama-stand-in.ts';
import { openAiPlay } from '../stand-ins/openai-stand-in.ts';
import type { Play, SeenRequest } from '../stand-ins/stand-in-server.ts';
import type { Wire } from './fault.ts';
import { type FaultName, faultOf } from './faults.ts';
import { RequestReader } from './request-reader.ts';
import { Response } from './response.ts';

/** Which fault strikes the generation of that number, from 1. Undefined: none. */
export type FaultScript = (generation: number) => FaultName | undefined;

export const NO_FAULT: FaultScript = () => undefined;

export interface FaultServerOptions {
  readonly wire: Wire;
  /** Tokens; both wires tell it. Default 2048. */
  readonly contextSize?: number;
}

const PLAYS: Readonly<Record<Wire, (options: { model: string; contextSize: number }) => Play>> = {
  'openai-compatible': openAiPlay,
  ollama: ollamaPlay,
};

export class FaultServer {
  readonly wire: Wire;
  readonly model = 'smollm2';
  readonly #play: Play;
  readonly #server: Server;
  readonly #own: OwnPort;
  readonly #sockets = new Set<Socket>();
  /** With a request that has no complete response yet. */
  readonly #busy = new Set<Socket>();
  #script: FaultScript = NO_FAULT;
  #generations = 0;
  #struck = 0;
  /** Connections are accepted, and nothing on them is answered. */
  #isSilent = false;

  constructor({ wire, contextSize = 2048 }: FaultServerOptions, own: OwnPort) {
    this.#own = own;
    this.wire = wire;
    this.#play = PLAYS[wire]({ model: this.model, contextSize });
    this.#server = createServer((socket) => this.#accept(socket));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#own.port}`;
  }

  /** Generations that it was asked for since the script was set. */
  get generations(): number {
    return this.#generations;
  }

  /** Those of them that a fault struck. */
  get struck(): number {
    return this.#struck;
  }

  /** Connections with a request that is not answered. */
  get busy(): number {
    return this.#busy.size;
  }

  play(script: FaultScript): void {
    this.#script = script;
    this.#generations = 0;
    this.#struck = 0;
  }

  beSilent(isSilent: boolean): void {
    this.#isSilent = isSilent;
  }

  async listen(): Promise<void> {
    if (this.#server.listening) return;
    this.#server.listen(this.#own.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** Connections are refused and broken, until it listens again. */
  async goDown(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  async close(): Promise<void> {
    await this.goDown();
    this.#own.release();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#busy.delete(socket);
    });
    const reader = new RequestReader((request) => void this.#answer(socket, request));
    socket.on('data', (bytes) => reader.push(bytes));
  }

  async #answer(socket: Socket, request: SeenRequest): Promise<void> {
    if (this.#isSilent) return;
    const response = new Response(socket, () => this.#busy.delete(socket));
    if (!this.#play.isGeneration(request)) {
      response.whole(this.#play.plain(request));
      return;
    }
    this.#busy.add(socket);
    this.#generations += 1;
    const fault = this.#script(this.#generations);
    const reply = this.#play.generation(request);
    if (fault !== undefined) this.#struck += 1;
    const strike = fault === undefined ? undefined : faultOf(fault).strike;
    if (strike === undefined) await response.send(reply);
    else await strike(response, reply, { wire: this.wire, serverError: this.#play.serverError });
  }
}

export async function startFaultServer(options: FaultServerOptions): Promise<FaultServer> {
  const server = new FaultServer(options, await claimPort());
  await server.listen();
  return server;
}
