/** Reads recorded exchanges from test/fixtures: request, a line `### response`, then the bytes that came back. */
import { readFileSync } from 'node:fs';

export interface Recording {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export function recording(name: string): Recording {
  const text = readFileSync(new URL(`../../fixtures/${name}.http`, import.meta.url), 'utf8');
  const response = text
    .slice(text.indexOf('### response\n') + '### response\n'.length)
    .replaceAll('\r\n', '\n');
  const headEnd = response.indexOf('\n\n');
  const [statusLine = '', ...headerLines] = response.slice(0, headEnd).split('\n');
  const headers: Record<string, string> = {};
  for (const line of headerLines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(statusLine.split(' ')[1]), headers, body: response.slice(headEnd + 2) };
}

export function recordedJson(name: string): Record<string, unknown> {
  return JSON.parse(recording(name).body) as Record<string, unknown>;
}

/** The JSON objects of a recorded stream, whichever way it frames them. */
export function recordedChunks(name: string): Record<string, unknown>[] {
  return recording(name)
    .body.split('\n')
    .map((line) => line.replace(/^data: /, ''))
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
