/** A server on a port of its own that answers as one test says, and ends with it. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';
import { ownPort } from '../own-port.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => unknown;

export interface AnsweringServer {
  readonly address: string;
  /** At once: connections are cut, and nothing listens any more. */
  stop(): void;
}

export async function startAnswering(handler: Handler): Promise<AnsweringServer> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => void handler(request, response, Buffer.concat(chunks).toString()));
  });
  const port = await ownPort(onTestFinished);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  onTestFinished(stop);
  return { address: `http://127.0.0.1:${port}`, stop };
}

/** Its address. */
export async function serve(handler: Handler): Promise<string> {
  return (await startAnswering(handler)).address;
}
