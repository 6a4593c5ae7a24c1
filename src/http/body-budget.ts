/**
 * Bounds the bytes of all bodies that are being received or parsed. Counts what has arrived, not what was announced: a length in
 * a header costs its sender nothing. When a byte is one too many, the client that holds most loses its largest body, so a
 * flood displaces itself and never a small request beside it. Invariant: what a body holds is given back exactly once.
 */
import { ServingError } from '../core/errors.ts';

/** One body. */
export interface HeldBody {
  /** So many more bytes have arrived. May refuse this body, or another. */
  add(bytes: number): void;
  /** The body is gone: parsed, refused or broken off. Further calls do nothing. */
  release(): void;
}

interface Holding {
  readonly client: string;
  bytes: number;
  readonly refuse: (error: ServingError) => void;
}

/** Bodies arrive within seconds or are ended by their time-out. */
const RETRY_AFTER_SECONDS = 1;

export class BodyBudget {
  readonly #maxBytes: number;
  #bytes = 0;
  readonly #holdings = new Map<string, Set<Holding>>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `refuse` is called at most once, when the body has lost its bytes to others. */
  open(client: string, refuse: (error: ServingError) => void): HeldBody {
    const holding: Holding = { client, bytes: 0, refuse };
    const ofClient = this.#holdings.get(client) ?? new Set();
    this.#holdings.set(client, ofClient.add(holding));
    return {
      add: (bytes) => {
        if (!ofClient.has(holding)) return;
        holding.bytes += bytes;
        this.#bytes += bytes;
        while (this.#bytes > this.#maxBytes) this.#displaceLargest();
      },
      release: () => this.#drop(holding),
    };
  }

  #displaceLargest(): void {
    const sum = (bodies: Iterable<Holding>) => [...bodies].reduce((bytes, body) => bytes + body.bytes, 0);
    const largestShare = largestOf(this.#holdings.values(), sum);
    const largest = largestShare && largestOf(largestShare, ({ bytes }) => bytes);
    if (largest === undefined) return;
    this.#drop(largest);
    largest.refuse(
      new ServingError('server_busy', {
        message:
          'The server is receiving too many large bodies at once (server.max_body_bytes_in_flight). Retry later.',
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      }),
    );
  }

  #drop(holding: Holding): void {
    const ofClient = this.#holdings.get(holding.client);
    if (ofClient === undefined || !ofClient.delete(holding)) return;
    if (ofClient.size === 0) this.#holdings.delete(holding.client);
    this.#bytes -= holding.bytes;
  }
}

function largestOf<Value>(values: Iterable<Value>, sizeOf: (value: Value) => number): Value | undefined {
  let largest: Value | undefined;
  let size = -1;
  for (const value of values) {
    const own = sizeOf(value);
    // Of equals the newest.
    if (own >= size) [largest, size] = [value, own];
  }
  return largest;
}
