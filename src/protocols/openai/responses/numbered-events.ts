/** Writes the events of one stream, each with its type, also as its `event:` line, and with its number. Owns the count. */
import { eventLines } from '../../server-sent-events.ts';

export interface NumberedEvents {
  event(type: string, fields: object): string;
  /** For what comes with every token: nothing but the text is turned into JSON each time. `more`: fields after it, as JSON. */
  deltas(type: string, fields: object): (delta: string, more?: string) => string;
}

export function numberedEvents(): NumberedEvents {
  let next = 0;
  const number = () => {
    next += 1;
    return next - 1;
  };
  return {
    event: (type, fields) => eventLines({ type, ...fields, sequence_number: number() }, type),
    deltas: (type, fields) => {
      const head = `event: ${type}\ndata: ${JSON.stringify({ type, ...fields }).slice(0, -1)},"delta":`;
      return (delta, more = '') =>
        `${head}${JSON.stringify(delta)}${more},"sequence_number":${number()}}\n\n`;
    },
  };
}
