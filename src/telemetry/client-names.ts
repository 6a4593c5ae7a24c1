/** Opaque names for clients: the same for one client as long as the process runs, and another one in the next process. */
import { createHash, randomBytes } from 'node:crypto';

/** Names that are remembered; beyond it all are made again when they are needed. */
const MAX_NAMES = 10_000;
const NAME_DIGITS = 8;

export class ClientNames {
  readonly #salt: Buffer | string;
  readonly #names = new Map<string, string>();

  /** `salt`: of another process, which is to have the same names. */
  constructor(salt: Buffer | string = randomBytes(16)) {
    this.#salt = salt;
  }

  readonly nameOf = (client: string): string => {
    const known = this.#names.get(client);
    if (known !== undefined) return known;
    if (this.#names.size >= MAX_NAMES) this.#names.clear();
    const name = createHash('sha256').update(this.#salt).update(client).digest('hex').slice(0, NAME_DIGITS);
    this.#names.set(client, name);
    return name;
  };
}
