/** A binary min-heap by `expiresAt` whose entries know their place, so that removing any of them is O(log n) and leaves nothing behind. */
export interface Expiring {
  readonly expiresAt: number;
  heapIndex: number;
}

export class ExpiryHeap<Entry extends Expiring> {
  readonly #entries: Entry[] = [];

  get earliest(): Entry | undefined {
    return this.#entries[0];
  }

  add(entry: Entry): void {
    entry.heapIndex = this.#entries.length;
    this.#entries.push(entry);
    this.#siftUp(entry);
  }

  remove(entry: Entry): void {
    const index = entry.heapIndex;
    if (this.#entries[index] !== entry) return;
    const last = this.#entries.pop();
    entry.heapIndex = -1;
    if (!last || last === entry) return;
    this.#place(last, index);
    this.#siftUp(last);
    this.#siftDown(last);
  }

  #place(entry: Entry, index: number): void {
    this.#entries[index] = entry;
    entry.heapIndex = index;
  }

  #siftUp(entry: Entry): void {
    for (;;) {
      const index = entry.heapIndex;
      const parent = this.#entries[(index - 1) >> 1];
      if (index === 0 || !parent || parent.expiresAt <= entry.expiresAt) return;
      this.#place(entry, parent.heapIndex);
      this.#place(parent, index);
    }
  }

  #siftDown(entry: Entry): void {
    for (;;) {
      const index = entry.heapIndex;
      const left = this.#entries[2 * index + 1];
      const right = this.#entries[2 * index + 2];
      const child = left && right && right.expiresAt < left.expiresAt ? right : left;
      if (!child || child.expiresAt >= entry.expiresAt) return;
      this.#place(entry, child.heapIndex);
      this.#place(child, index);
    }
  }
}
