/**
 * Places for requests that no limit counts: few at the same time, and fewer of one client. Owns how many are taken. Whoever takes a place leaves it
 * once.
 */
import { ServingError } from '../core/errors.ts';

interface ClientPlacesOptions {
  readonly mostOfClient: number;
  readonly mostOfAll: number;
  /** What a client is told that has `count` already. */
  readonly clientIsFull: (count: number) => string;
  readonly allAreTaken: string;
}

export class ClientPlaces {
  readonly #options: ClientPlacesOptions;
  readonly #counts = new Map<string, number>();
  #all = 0;

  constructor(options: ClientPlacesOptions) {
    this.#options = options;
  }

  /** Throws a refusal where there is none. */
  take(client: string): void {
    const { mostOfClient, mostOfAll, clientIsFull, allAreTaken } = this.#options;
    const count = this.#counts.get(client) ?? 0;
    if (count >= mostOfClient)
      throw new ServingError('client_queue_full', { message: clientIsFull(count), retryAfterSeconds: 1 });
    if (this.#all >= mostOfAll)
      throw new ServingError('queue_full', { message: allAreTaken, retryAfterSeconds: 1 });
    this.#counts.set(client, count + 1);
    this.#all += 1;
  }

  leave(client: string): void {
    const count = this.#counts.get(client) ?? 0;
    if (count > 1) this.#counts.set(client, count - 1);
    else this.#counts.delete(client);
    this.#all -= 1;
  }
}
