/**
 * Protobuf's wire format, written into one growing buffer with no objects in between. It owns the buffer. Invariant: room for what is
 * written has been made with `reserve`; only `end` makes its own.
 */
import type { Milliseconds } from '../core/clock.ts';

/** Wire types: what follows a field's number. */
export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
export const FIXED32 = 5;

/** What a field begins with: one byte up to field 15, a varint beyond. */
export const tag = (field: number, wireType: number): number => (field << 3) | wireType;

/** The most bytes that a length or a `varint` takes. */
export const MAX_VARINT_BYTES = 5;
const MAX_UTF8_BYTES = 3;

/** Room for what `text` writes. */
export const roomForText = (text: string): number => MAX_VARINT_BYTES + MAX_UTF8_BYTES * text.length;

const FIRST_CAPACITY = 4096;
/** Beyond it, a buffer that has grown for once is not kept. */
const MAX_KEPT_CAPACITY = 1024 * 1024;
/** What is longer is left to Node: one call of it takes as long as so many bytes in a loop here. */
const SHORT = 64;
const TWO_TO_32 = 0x1_0000_0000;
const NANOSECONDS_PER_MILLISECOND = 1e6;

export class ProtobufWriter {
  #bytes: Buffer;
  #at: number;

  constructor(capacity = FIRST_CAPACITY) {
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
    this.#at = 0;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#at;
  }

  /** Not a copy: valid until more is written. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  clear(): void {
    this.#at = 0;
    if (this.#bytes.length > MAX_KEPT_CAPACITY) this.#bytes = Buffer.allocUnsafeSlow(FIRST_CAPACITY);
  }

  reserve(size: number): void {
    const needed = this.#at + size;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, needed));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  bytes(value: Uint8Array): void {
    if (value.length > SHORT) this.#bytes.set(value, this.#at);
    else
      for (let index = 0; index < value.length; index += 1) this.#bytes[this.#at + index] = value[index] ?? 0;
    this.#at += value.length;
  }

  /** `value`: at least 0 and below 2^32. */
  varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  /** An int64. `value`: a safe integer. */
  integer(value: number): void {
    // Its two's complement of 64 bits, in halves.
    let low = (value % TWO_TO_32) >>> 0;
    let high = Math.floor(value / TWO_TO_32) >>> 0;
    while (high > 0) {
      this.byte((low & 0x7f) | 0x80);
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.varint(low);
  }

  fixed32(value: number): void {
    this.#at = this.#bytes.writeUInt32LE(value, this.#at);
  }

  double(value: number): void {
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  /** A fixed64 of nanoseconds: more than a number holds exactly, so in halves. */
  nanoseconds(time: Milliseconds): void {
    const whole = Math.floor(time);
    const fraction = Math.round((time - whole) * NANOSECONDS_PER_MILLISECOND);
    const high = Math.floor(whole / TWO_TO_32);
    const low = (whole - high * TWO_TO_32) * NANOSECONDS_PER_MILLISECOND + fraction;
    this.fixed32(low % TWO_TO_32);
    this.fixed32(high * NANOSECONDS_PER_MILLISECOND + Math.floor(low / TWO_TO_32));
  }

  /** Its length and its digits' bytes. `digits`: an even number of them. */
  hexadecimal(digits: string): void {
    this.byte(digits.length / 2);
    for (let at = 0; at < digits.length; at += 2)
      this.byte((digitOf(digits.charCodeAt(at)) << 4) | digitOf(digits.charCodeAt(at + 1)));
  }

  /** Its length and its UTF-8, with U+FFFD for half a surrogate pair. */
  text(value: string): void {
    if (value.length <= SHORT && this.#ascii(value)) return;
    const start = this.begin();
    this.#at += this.#bytes.write(value, this.#at);
    this.end(start);
  }

  /** False, and nothing is written, where a character is not of ASCII. */
  #ascii(value: string): boolean {
    const bytes = this.#bytes;
    const start = this.#at + 1;
    for (let index = 0; index < value.length; index += 1) {
      const code = value.charCodeAt(index);
      if (code > 0x7f) return false;
      bytes[start + index] = code;
    }
    bytes[start - 1] = value.length;
    this.#at = start + value.length;
    return true;
  }

  /**
   * Begins a message or text, whose length comes first and is known last: so many bytes are left for it. Returns what `end` takes.
   */
  begin(lengthBytes = 1): number {
    this.#at += lengthBytes;
    return this.#at;
  }

  /** Moves what was written since `begin`, if its length takes more or fewer bytes than were left. */
  end(start: number, lengthBytes = 1): void {
    const length = this.#at - start;
    const moved = varintBytes(length) - lengthBytes;
    if (moved !== 0) {
      this.reserve(moved);
      this.#bytes.copyWithin(start + moved, start, this.#at);
    }
    this.#at = start - lengthBytes;
    this.varint(length);
    this.#at += length;
  }
}

/** That a length takes. */
export function varintBytes(length: number): number {
  let bytes = 1;
  for (let rest = length >>> 7; rest > 0; rest >>>= 7) bytes += 1;
  return bytes;
}

/** The letters' codes end in 1 to 6, the digits' in 0 to 9. */
function digitOf(code: number): number {
  return (code & 0x0f) + (code > 0x39 ? 9 : 0);
}
