/**
 * The answers of GET /metrics that are being made or have not left. No limit counts them, and each may be some hundred kilobytes that wait
 * for their reader, so there are few at the same time, and fewer of one client.
 */
import { ServingError } from '../core/errors.ts';
import type { RequestContext } from './context.ts';

const MOST_OF_CLIENT = 8;
const MOST_OF_ALL = 64;

export class ScrapePlaces {
  readonly #counts = new Map<string, number>();
  #all = 0;

  /** Until the response has closed. Throws a refusal. */
  take(context: Pick<RequestContext, 'client' | 'onClose'>): void {
    const { client } = context;
    const count = this.#counts.get(client) ?? 0;
    if (count >= MOST_OF_CLIENT)
      throw new ServingError('client_queue_full', {
        message: `${count} answers with metrics are on their way to this client. Ask again when it has read one of them.`,
        retryAfterSeconds: 1,
      });
    if (this.#all >= MOST_OF_ALL)
      throw new ServingError('queue_full', {
        message: 'Too many clients are reading metrics. Ask again soon.',
        retryAfterSeconds: 1,
      });
    this.#counts.set(client, count + 1);
    this.#all += 1;
    context.onClose(() => this.#leave(client));
  }

  #leave(client: string): void {
    const count = this.#counts.get(client) ?? 0;
    if (count > 1) this.#counts.set(client, count - 1);
    else this.#counts.delete(client);
    this.#all -= 1;
  }
}
