/**
 * Reads the small values at the beginning of a large file, in order: a window of the file is kept in memory and
 * moved along. Owns its position. Never reads beyond the file: `CutOffError` says where it would have.
 */
import type { FileHandle } from 'node:fs/promises';

const WINDOW_BYTES = 1 << 20;

export class CutOffError extends Error {
  readonly atByte: number;

  constructor(atByte: number) {
    super(`it ends at byte ${atByte}, in the middle of something`);
    this.atByte = atByte;
  }
}

export class ByteCursor {
  readonly sizeBytes: number;
  readonly #file: FileHandle;
  #window: Buffer = Buffer.alloc(0);
  /** Where in the file the window begins. */
  #windowStart = 0;
  #position = 0;

  constructor(file: FileHandle, sizeBytes: number) {
    this.#file = file;
    this.sizeBytes = sizeBytes;
  }

  get position(): number {
    return this.#position;
  }

  get leftBytes(): number {
    return this.sizeBytes - this.#position;
  }

  /** Bytes that are at hand without reading the file. */
  get atHandBytes(): number {
    return Math.max(0, this.#windowStart + this.#window.length - this.#position);
  }

  /** Moves on without reading; throws CutOffError where the file is shorter. */
  skip(bytes: number): void {
    if (bytes > this.leftBytes) throw new CutOffError(this.sizeBytes);
    this.#position += bytes;
  }

  /** Brings so many bytes at hand; throws CutOffError where the file is shorter. */
  async need(bytes: number): Promise<void> {
    if (bytes <= this.atHandBytes) return;
    if (bytes > this.leftBytes) throw new CutOffError(this.sizeBytes);
    const buffer = Buffer.alloc(Math.min(Math.max(bytes, WINDOW_BYTES), this.leftBytes));
    const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#position);
    // The file shrank meanwhile.
    if (bytesRead < bytes) throw new CutOffError(this.#position + bytesRead);
    this.#window = buffer.subarray(0, bytesRead);
    this.#windowStart = this.#position;
  }

  /** The next bytes, which must be at hand; the cursor moves past them. */
  take(bytes: number): Buffer {
    const start = this.#position - this.#windowStart;
    this.#position += bytes;
    return this.#window.subarray(start, start + bytes);
  }

  async uint32(): Promise<number> {
    await this.need(4);
    return this.take(4).readUInt32LE();
  }

  async uint64(): Promise<bigint> {
    await this.need(8);
    return this.take(8).readBigUInt64LE();
  }
}
