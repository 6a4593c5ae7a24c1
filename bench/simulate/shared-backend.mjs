// The backend: up to `slots` requests run at full speed, more of them share what those slots can do (processor
// sharing). All that run progress alike, so one clock of progress serves for all of them. With `cachesPrefixes` each slot
// keeps what it evaluated last, and what of a prompt it holds already takes no time.
import { SequenceCache } from './sequence-cache.mjs';
import { answeredTokens, firstTokenMs, serviceMs } from './service.mjs';

const { Heap, heapNode } = await import('../../dist/scheduling/heap.js');

/** Progress is a sum of many small steps; below this a rest of work is an error of rounding. */
const ROUNDING_MS = 1e-6;

export class SharedBackend {
  #parameters;
  #running = new Map();
  #ends = new Heap();
  #progressMs = 0;
  #now = 0;
  #started = 0;
  #sequences;
  /** Slot time spent until now. */
  workedMs = 0;

  constructor(parameters) {
    this.#parameters = parameters;
    this.#sequences = parameters.cachesPrefixes ? new SequenceCache(parameters.slots) : undefined;
  }

  get running() {
    return this.#running.size;
  }

  start(job, now) {
    this.#advance(now);
    const node = heapNode(job);
    const cachedTokens = this.#sequences?.take(job) ?? 0;
    const work = { promptTokens: job.promptTokens - cachedTokens, answerTokens: job.answerTokens };
    this.#ends.put(node, this.#progressMs + serviceMs(this.#parameters, work), ++this.#started);
    this.#running.set(job.id, { node, work, cachedTokens, startedAtProgressMs: this.#progressMs });
  }

  /** Stops one before its end; tells how far it was. */
  stop(job, now) {
    this.#advance(now);
    const { node } = this.#running.get(job.id);
    this.#ends.remove(node);
    return this.#settle(job, 'cancelled');
  }

  /** Takes out those that are finished, each with how it used the backend. */
  takeEnded(now) {
    this.#advance(now);
    const ended = [];
    for (let node = this.#ends.nodes[0]; node && node.key <= this.#progressMs + ROUNDING_MS; ) {
      this.#ends.remove(node);
      ended.push({ job: node.value, ...this.#settle(node.value, 'completed') });
      node = this.#ends.nodes[0];
    }
    return ended;
  }

  nextEndAt() {
    const node = this.#ends.nodes[0];
    if (!node) return Number.POSITIVE_INFINITY;
    return this.#now + Math.max(0, node.key - this.#progressMs) / this.#speed;
  }

  get #speed() {
    return Math.min(1, this.#parameters.slots / Math.max(1, this.#running.size));
  }

  #advance(now) {
    const stepMs = (now - this.#now) * this.#speed;
    this.#progressMs += stepMs;
    this.workedMs += stepMs * this.#running.size;
    this.#now = now;
  }

  #settle(job, outcome) {
    const { work, cachedTokens, startedAtProgressMs } = this.#running.get(job.id);
    this.#running.delete(job.id);
    this.#sequences?.giveBack(job);
    const isComplete = outcome === 'completed';
    const servedMs = isComplete ? serviceMs(this.#parameters, work) : this.#progressMs - startedAtProgressMs;
    const toFirstMs = firstTokenMs(this.#parameters, work);
    return {
      servedMs,
      settlement: {
        outcome,
        promptTokens: job.promptTokens,
        cachedTokens,
        answerTokens: isComplete ? job.answerTokens : answeredTokens(this.#parameters, work, servedMs),
        firstTokenMs: servedMs >= toFirstMs ? toFirstMs : undefined,
      },
    };
  }
}
