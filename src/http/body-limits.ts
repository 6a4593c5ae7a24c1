/**
 * What bodies may cost: the shape of each, measured as its bytes arrive (`JsonScan`), and the bytes of all that are being received
 * or parsed (`BodyBudget`).
 */
import { ServingError } from '../core/errors.ts';
import type { EdgeSettings } from './settings.ts';

/** The cost of parsing and checking each of these differs widely, so each has its own bound. */
export const BODY_BOUNDS = {
  depth: 256,
  /** Mostly numbers: lists of token ids. */
  values: 1_000_000,
  containers: 50_000,
  /** Keys included. */
  strings: 100_000,
  /** A new key costs many times what a repeated one does. */
  differentKeys: 10_000,
} as const;

export type BodyBound = keyof typeof BODY_BOUNDS;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Of a longer key only so much is compared; it counts as different from every other. */
const COMPARED_KEY_BYTES = 256;
/** FNV-1a. Its start is random, so that nobody can choose keys that look the same here. */
const HASH_PRIME = 0x0100_0193;

/**
 * Measures a JSON text before it is parsed: the cost of parsing depends on its nesting, keys and values far more than on its length.
 * One pass, constant work for each byte. Pure; does not check the syntax.
 */
export class JsonScan {
  #depth = 0;
  #commas = 0;
  #containers = 0;
  #strings = 0;
  #longKeys = 0;
  readonly #keys = new Set<number>();
  readonly #hashStart = (Math.random() * 2 ** 32) | 0;
  #inString = false;
  #escaped = false;
  /** Of the string that is being read, or was read last. */
  #hash = 0;
  #length = 0;

  /** Reads on with the next bytes. Answers with the first bound that is exceeded. */
  push(bytes: Uint8Array): BodyBound | undefined {
    for (let at = 0; at < bytes.length; ) {
      at = this.#inString ? this.#readString(bytes, at) : this.#readStructure(bytes, at);
      const exceeded = this.#exceeded();
      if (exceeded !== undefined) return exceeded;
    }
    return undefined;
  }

  /** To the end of the string, or of the bytes. Answers with the place after it. */
  #readString(bytes: Uint8Array, from: number): number {
    let hash = this.#hash;
    let length = this.#length;
    let escaped = this.#escaped;
    let at = from;
    for (; at < bytes.length; at += 1) {
      const byte = bytes[at] as number;
      if (escaped) escaped = false;
      else if (byte === BACKSLASH) escaped = true;
      else if (byte === QUOTE) break;
      if (length < COMPARED_KEY_BYTES) hash = Math.imul(hash ^ byte, HASH_PRIME);
      length += 1;
    }
    this.#inString = at === bytes.length;
    this.#hash = hash;
    this.#length = length;
    this.#escaped = escaped;
    return at + 1;
  }

  /** To the beginning of the next string, to a bound, or to the end of the bytes. Answers with the place after it. */
  #readStructure(bytes: Uint8Array, from: number): number {
    for (let at = from; at < bytes.length; at += 1) {
      switch (bytes[at]) {
        case QUOTE:
          this.#inString = true;
          this.#strings += 1;
          this.#hash = this.#hashStart;
          this.#length = 0;
          return at + 1;
        case COLON:
          this.#noteKey();
          break;
        case COMMA:
          this.#commas += 1;
          if (this.#commas >= BODY_BOUNDS.values) return at + 1;
          break;
        case OPEN_LIST:
        case OPEN_OBJECT:
          this.#containers += 1;
          this.#depth += 1;
          if (this.#depth > BODY_BOUNDS.depth) return at + 1;
          break;
        case CLOSE_LIST:
        case CLOSE_OBJECT:
          this.#depth -= 1;
          break;
        default:
      }
    }
    return bytes.length;
  }

  #noteKey(): void {
    if (this.#length > COMPARED_KEY_BYTES) this.#longKeys += 1;
    else this.#keys.add(this.#hash);
  }

  #exceeded(): BodyBound | undefined {
    if (this.#depth > BODY_BOUNDS.depth) return 'depth';
    // Values are divided by commas, but for the first of each list and object.
    if (this.#commas >= BODY_BOUNDS.values) return 'values';
    if (this.#containers > BODY_BOUNDS.containers) return 'containers';
    if (this.#strings > BODY_BOUNDS.strings) return 'strings';
    if (this.#keys.size + this.#longKeys > BODY_BOUNDS.differentKeys) return 'differentKeys';
    return undefined;
  }
}

/** One body. */
export interface HeldBody {
  /** That many more bytes have arrived. May refuse this body, or another. */
  add(bytes: number): void;
  /** The body has been parsed, refused or cut off. Further calls do nothing. */
  release(): void;
}

interface Holding {
  readonly client: string;
  bytes: number;
  readonly refuse: (error: ServingError) => void;
}

/** Bodies arrive within seconds, or time out. */
const RETRY_AFTER_SECONDS = 1;

/**
 * Limits the bytes of all bodies that are being received or parsed. Counts received bytes, not announced ones: a length in a header
 * costs its sender nothing. When the limit is exceeded, the client that holds most loses its largest body, so a flood displaces
 * itself and not a small request beside it. Invariant: the bytes of a body are released exactly once.
 */
export class BodyBudget {
  readonly #settings: Pick<EdgeSettings, 'maxBodyBytesInFlight'>;
  #bytes = 0;
  readonly #holdings = new Map<string, Set<Holding>>();

  constructor(settings: Pick<EdgeSettings, 'maxBodyBytesInFlight'>) {
    this.#settings = settings;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `refuse` is called at most once, when the body is displaced. */
  open(client: string, refuse: (error: ServingError) => void): HeldBody {
    const holding: Holding = { client, bytes: 0, refuse };
    const ofClient = this.#holdings.get(client) ?? new Set();
    this.#holdings.set(client, ofClient.add(holding));
    return {
      add: (bytes) => {
        if (!ofClient.has(holding)) return;
        holding.bytes += bytes;
        this.#bytes += bytes;
        while (this.#bytes > this.#settings.maxBodyBytesInFlight) this.#displaceLargest();
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
