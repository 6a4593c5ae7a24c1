/**
 * The bytes of a body as they arrive. Pieces are copied together: a body that comes byte by byte would otherwise cost its
 * server hundreds of bytes for each.
 */

const MAX_BLOCK_BYTES = 65_536;

export class ReceivedBytes {
  #blocks: Buffer[] = [];
  /** Of the last block. */
  #used = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(piece: Buffer): void {
    const last = this.#blocks.at(-1);
    const copied = last === undefined ? 0 : piece.copy(last, this.#used);
    this.#used += copied;
    const rest = piece.subarray(copied);
    if (rest.length > 0) {
      // As large as what is there already: at most half of the memory is unused.
      const block = Buffer.allocUnsafeSlow(Math.max(rest.length, Math.min(this.#length, MAX_BLOCK_BYTES)));
      this.#used = rest.copy(block);
      this.#blocks.push(block);
    }
    this.#length += piece.length;
  }

  /** All of them; the pieces are let go. */
  take(): Buffer {
    const blocks = this.#blocks;
    this.#blocks = [];
    const [only] = blocks;
    if (only !== undefined && blocks.length === 1) return only.subarray(0, this.#length);
    return Buffer.concat(blocks, this.#length);
  }
}
