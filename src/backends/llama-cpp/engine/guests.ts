/**
 * The processes that use the engine beside its parent, each with requests under its own numbers. Owns which request of the engine is
 * whose. Invariant: a guest gets the events of its own requests alone; those of one that has left are aborted, and nothing of them is
 * kept once they have ended.
 */
import { type EngineEvent, type EngineEvents, FINAL_EVENTS, type WorkForEngine } from '../messages.ts';

export class Guest {
  readonly send: (message: EngineEvents) => void;
  /** The engine's ids of its requests, by its own. */
  readonly ids = new Map<number, number>();
  /** It does not read its events: nothing is computed for it. */
  isSlow = false;
  hasLeft = false;

  constructor(send: Guest['send']) {
    this.send = send;
  }
}

interface GuestRequest {
  readonly guest: Guest;
  /** The guest's number of it. */
  readonly id: number;
  /** The guest wants no step for it. */
  paused: boolean;
  aborted: boolean;
}

export class Guests {
  readonly #give: (message: WorkForEngine) => void;
  /** By the engine's ids, which are negative: those of its parent's own requests are positive. */
  readonly #requests = new Map<number, GuestRequest>();
  #lastId = 0;

  /** `give`: to the engine. What it answers at once may come before that returns. */
  constructor(give: (message: WorkForEngine) => void) {
    this.#give = give;
  }

  /** Whether a step is due for any of them. */
  get haveWork(): boolean {
    for (const { guest, paused, aborted } of this.#requests.values()) {
      if (aborted || !(paused || guest.isSlow)) return true;
    }
    return false;
  }

  /** What a guest has sent. Returns why it is refused; then nothing was done. */
  take(guest: Guest, message: WorkForEngine): string | undefined {
    switch (message.type) {
      case 'generate': {
        const { generation } = message;
        return this.#begin(guest, generation.id, (id) => ({ ...message, generation: { ...generation, id } }));
      }
      case 'embed': {
        const { embedding } = message;
        return this.#begin(guest, embedding.id, (id) => ({ ...message, embedding: { ...embedding, id } }));
      }
      case 'tokenize':
      case 'detokenize':
        return this.#begin(guest, message.id, (id) => ({ ...message, id }));
      case 'abort':
      case 'pause':
      case 'resume':
        return this.#change(guest, message);
      default:
        // Neither a file to load nor the end of the process is for a guest to order.
        return `messages of the type ${JSON.stringify((message as { readonly type?: unknown }).type)}`;
    }
  }

  /** Sends each guest its events, one message each; returns those of the parent. */
  deliver(events: readonly EngineEvent[]): readonly EngineEvent[] {
    if (this.#requests.size === 0) return events;
    const ofParent: EngineEvent[] = [];
    const ofGuests = new Map<Guest, EngineEvent[]>();
    for (const event of events) {
      const request = this.#requests.get(event.id);
      if (request === undefined) {
        ofParent.push(event);
        continue;
      }
      const { guest, id } = request;
      if (FINAL_EVENTS.has(event.event.type)) this.#forget(event.id, request);
      const own = ofGuests.get(guest);
      if (own === undefined) ofGuests.set(guest, [{ ...event, id }]);
      else own.push({ ...event, id });
    }
    for (const [guest, own] of ofGuests) {
      if (!guest.hasLeft) guest.send({ type: 'events', events: own });
    }
    return ofParent;
  }

  /** It does not read its events, or reads them again. */
  setSlow(guest: Guest, isSlow: boolean): void {
    if (guest.isSlow === isSlow) return;
    guest.isSlow = isSlow;
    const type = isSlow ? 'pause' : 'resume';
    for (const engineId of [...guest.ids.values()]) {
      if (this.#requests.get(engineId)?.paused === false) this.#give({ type, id: engineId });
    }
  }

  /** Its connection has ended. */
  leave(guest: Guest): void {
    guest.hasLeft = true;
    for (const engineId of [...guest.ids.values()]) this.#abort(engineId);
  }

  #begin(guest: Guest, id: number, messageOf: (engineId: number) => WorkForEngine): string | undefined {
    if (guest.ids.has(id)) return 'two requests under one number';
    this.#lastId -= 1;
    const engineId = this.#lastId;
    guest.ids.set(id, engineId);
    this.#requests.set(engineId, { guest, id, paused: false, aborted: false });
    this.#give(messageOf(engineId));
    if (guest.isSlow) this.#give({ type: 'pause', id: engineId });
    return undefined;
  }

  /** A request that has ended meanwhile is none of its any more. */
  #change(
    guest: Guest,
    { type, id }: { readonly type: 'abort' | 'pause' | 'resume'; readonly id: number },
  ): undefined {
    const engineId = guest.ids.get(id);
    const request = engineId === undefined ? undefined : this.#requests.get(engineId);
    if (engineId === undefined || request === undefined) return;
    if (type === 'abort') {
      this.#abort(engineId);
      return;
    }
    request.paused = type === 'pause';
    if (!guest.isSlow) this.#give({ type, id: engineId });
  }

  #abort(engineId: number): void {
    const request = this.#requests.get(engineId);
    if (request === undefined) return;
    request.aborted = true;
    this.#give({ type: 'abort', id: engineId });
  }

  #forget(engineId: number, { guest, id }: GuestRequest): void {
    this.#requests.delete(engineId);
    guest.ids.delete(id);
  }
}
