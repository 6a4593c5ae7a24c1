/**
 * The answers of GET /metrics that are being made or have not left. No limit counts them, and each may be some hundred kilobytes that wait
 * for their reader, so there are few at the same time, and fewer of one client.
 */
import { ClientPlaces } from './client-places.ts';
import type { RequestContext } from './context.ts';

export class ScrapePlaces {
  readonly #places = new ClientPlaces({
    mostOfClient: 8,
    mostOfAll: 64,
    clientIsFull: (count) =>
      `${count} answers with metrics are on their way to this client. Ask again when it has read one of them.`,
    allAreTaken: 'Too many clients are reading metrics. Ask again soon.',
  });

  /** Until the response has closed. Throws a refusal. */
  take(context: Pick<RequestContext, 'client' | 'onClose'>): void {
    const { client } = context;
    this.#places.take(client);
    context.onClose(() => this.#places.leave(client));
  }
}
