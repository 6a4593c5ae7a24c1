/**
 * Blocks of numbers out of a few large arrays, so that a hundred thousand windows are no work for the garbage collector and a block is
 * one step away. Owns the arrays; whoever takes a block gives it back. Blocks of a size are used again, but never for another size: sizes
 * are powers of two, so what lies free is at most about as much as was ever in use.
 */

/** Half a MiB. */
const SLAB_CELLS = 65_536;
const SLAB_BITS = 16;

/** The slab's number times its size, plus where the block begins in it. */
export type BlockAddress = number;

export class CellBlocks {
  readonly #slabs: Float64Array[] = [];
  readonly #freeBySize = new Map<number, BlockAddress[]>();
  /** The rest of the slab that is being given out. */
  #next: BlockAddress = 0;
  #end: BlockAddress = 0;

  /** The array that has the block; `beginOf` is where. */
  cellsOf(address: BlockAddress): Float64Array {
    // A block that was taken has a slab.
    return this.#slabs[address >>> SLAB_BITS] as Float64Array;
  }

  beginOf(address: BlockAddress): number {
    return address & (SLAB_CELLS - 1);
  }

  /** `cells`: a power of two. What is in them is not cleared. */
  take(cells: number): BlockAddress {
    const freed = this.#freeBySize.get(cells)?.pop();
    if (freed !== undefined) return freed;
    if (cells > SLAB_CELLS) return this.#addSlab(cells);
    if (this.#end - this.#next < cells) {
      this.#next = this.#addSlab(SLAB_CELLS);
      this.#end = this.#next + SLAB_CELLS;
    }
    const address = this.#next;
    this.#next += cells;
    return address;
  }

  giveBack(address: BlockAddress, cells: number): void {
    const free = this.#freeBySize.get(cells);
    if (free === undefined) this.#freeBySize.set(cells, [address]);
    else free.push(address);
  }

  /** A block larger than a slab has one to itself. */
  #addSlab(cells: number): BlockAddress {
    return (this.#slabs.push(new Float64Array(cells)) - 1) * SLAB_CELLS;
  }
}
