/** The form of server-sent events that is ours in every protocol: one event in one write, never an empty `data:`. */

export const SSE = 'text/event-stream; charset=utf-8';

/** One line, no blank one after it: clients that take a lone comment for an event would stumble. */
export const SSE_HEARTBEAT = ':\n';

/** `name`: its `event:` line, where the protocol has one. */
export function eventLines(data: unknown, name?: string): string {
  const line = `data: ${JSON.stringify(data)}\n\n`;
  return name === undefined ? line : `event: ${name}\n${line}`;
}
