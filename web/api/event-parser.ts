/** Server-sent events from pieces of text, however they are cut. Pure. */

export interface ServerEvent {
  /** `message` where the stream names none. */
  readonly name: string;
  readonly data: string;
}

export class EventParser {
  #rest = '';
  #name = '';
  #data: string[] = [];
  #afterReturn = false;
  #begun = false;

  /** The events that are complete with this piece. */
  push(piece: string): readonly ServerEvent[] {
    let text = this.#rest + piece;
    if (!this.#begun && text !== '') {
      this.#begun = true;
      if (text.startsWith('\ufeff')) text = text.slice(1);
    }
    const events: ServerEvent[] = [];
    let start = 0;
    for (let at = this.#rest.length; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code !== LINE_FEED && code !== RETURN) {
        this.#afterReturn = false;
        continue;
      }
      // The second half of a CR LF.
      if (code === LINE_FEED && this.#afterReturn) {
        this.#afterReturn = false;
        start = at + 1;
        continue;
      }
      this.#afterReturn = code === RETURN;
      const event = this.#line(text.slice(start, at));
      if (event !== undefined) events.push(event);
      start = at + 1;
    }
    this.#rest = text.slice(start);
    return events;
  }

  #line(line: string): ServerEvent | undefined {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#name = value;
    return undefined;
  }

  #dispatch(): ServerEvent | undefined {
    const name = this.#name || 'message';
    const data = this.#data;
    this.#name = '';
    this.#data = [];
    return data.length === 0 ? undefined : { name, data: data.join('\n') };
  }
}

const LINE_FEED = 10;
const RETURN = 13;
