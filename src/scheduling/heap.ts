/**
 * A binary min-heap whose nodes know their index: adding, moving and removing any of them is O(log n), the first is O(1). Nodes are
 * ordered by `key`, equal ones by `order`.
 */
export interface HeapNode<Value> {
  key: number;
  order: number;
  /** -1 while it is in no heap. */
  index: number;
  readonly value: Value;
}

export function heapNode<Value>(value: Value): HeapNode<Value> {
  return { key: 0, order: 0, index: -1, value };
}

export class Heap<Value> {
  readonly #nodes: HeapNode<Value>[] = [];

  get size(): number {
    return this.#nodes.length;
  }

  get first(): Value | undefined {
    return this.#nodes[0]?.value;
  }

  /** Unordered, except that the first comes first. */
  get nodes(): readonly HeapNode<Value>[] {
    return this.#nodes;
  }

  /** The first few in order; costs at most the square of `count`, whatever the size of the heap. */
  firstFew(count: number): Value[] {
    const few: Value[] = [];
    const cursor = this.cursor();
    while (few.length < count) {
      const next = cursor.next();
      if (next === undefined) break;
      few.push(next);
    }
    return few;
  }

  /** Goes through the values in order. Valid until the heap changes. */
  cursor(): HeapCursor<Value> {
    return new HeapCursor(this.#nodes);
  }

  /** Adds a node, or moves it to where its new key belongs. */
  put(node: HeapNode<Value>, key: number, order: number): void {
    node.key = key;
    node.order = order;
    if (node.index === -1) {
      node.index = this.#nodes.length;
      this.#nodes.push(node);
      this.#siftUp(node);
      return;
    }
    this.#siftUp(node);
    this.#siftDown(node);
  }

  remove(node: HeapNode<Value>): void {
    const { index } = node;
    if (this.#nodes[index] !== node) return;
    node.index = -1;
    const last = this.#nodes.pop();
    if (!last || last === node) return;
    this.#place(last, index);
    this.#siftUp(last);
    this.#siftDown(last);
  }

  /** Visits the values before `limit`, unordered; costs as much as there are of them. */
  forEachBefore(limit: HeapNode<Value>, visit: (value: Value) => void): void {
    this.#visitBefore(0, limit, visit);
  }

  /** The share of all values that come before `limit`, by an even sample of `sampleSize`. */
  shareBefore(limit: HeapNode<Value>, sampleSize: number): number {
    const stride = Math.max(1, Math.floor(this.#nodes.length / sampleSize));
    let seen = 0;
    let before = 0;
    for (let index = 0; index < this.#nodes.length; index += stride) {
      const node = this.#nodes[index];
      if (!node) break;
      seen += 1;
      if (isBefore(node, limit)) before += 1;
    }
    return seen === 0 ? 0 : before / seen;
  }

  #visitBefore(index: number, limit: HeapNode<Value>, visit: (value: Value) => void): void {
    const node = this.#nodes[index];
    if (!node || !isBefore(node, limit)) return;
    visit(node.value);
    this.#visitBefore(2 * index + 1, limit, visit);
    this.#visitBefore(2 * index + 2, limit, visit);
  }

  #place(node: HeapNode<Value>, index: number): void {
    this.#nodes[index] = node;
    node.index = index;
  }

  #siftUp(node: HeapNode<Value>): void {
    let { index } = node;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#nodes[parentIndex];
      if (!parent || !isBefore(node, parent)) break;
      this.#place(parent, index);
      index = parentIndex;
    }
    this.#place(node, index);
  }

  #siftDown(node: HeapNode<Value>): void {
    let { index } = node;
    for (;;) {
      const left = this.#nodes[2 * index + 1];
      const right = this.#nodes[2 * index + 2];
      const child = left && right && isBefore(right, left) ? right : left;
      if (!child || !isBefore(child, node)) break;
      const childIndex = child.index;
      this.#place(child, index);
      index = childIndex;
    }
    this.#place(node, index);
  }
}

export class HeapCursor<Value> {
  readonly #nodes: readonly HeapNode<Value>[];
  /** The next is always one of them: the children of those that were taken. */
  readonly #reached: HeapNode<Value>[];

  constructor(nodes: readonly HeapNode<Value>[]) {
    this.#nodes = nodes;
    this.#reached = nodes.slice(0, 1);
  }

  next(): Value | undefined {
    const reached = this.#reached;
    let index = 0;
    let next = reached[0];
    if (!next) return undefined;
    for (let other = 1; other < reached.length; other += 1) {
      const node = reached[other];
      if (!node || !isBefore(node, next)) continue;
      next = node;
      index = other;
    }
    const left = this.#nodes[2 * next.index + 1];
    const right = this.#nodes[2 * next.index + 2];
    const last = reached.pop();
    if (last && last !== next) reached[index] = last;
    if (left) reached.push(left);
    if (right) reached.push(right);
    return next.value;
  }
}

function isBefore(one: HeapNode<unknown>, other: HeapNode<unknown>): boolean {
  return one.key < other.key || (one.key === other.key && one.order < other.order);
}
