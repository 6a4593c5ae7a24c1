// A bounded queue in the order of arrival in front of the slots, as most gateways have: it predicts nothing; whoever
// gives up while waiting is dropped, all others are started in turn.
export const MAX_QUEUE = 512;

export function fifo(backend) {
  return new Fifo(backend);
}

class Fifo {
  #slots;
  #queue = new Set();
  #refused = [];
  running = 0;

  constructor({ slots }) {
    this.#slots = slots;
  }

  get waiting() {
    return this.#queue.size;
  }

  arrive(job) {
    if (this.#queue.size < MAX_QUEUE) this.#queue.add(job);
    else this.#refused.push({ job, code: 'queue_full' });
  }

  /** Its client left while it waited. */
  leave(job) {
    this.#queue.delete(job);
  }

  ended() {
    this.running -= 1;
  }

  decide() {
    const started = [];
    for (const job of this.#queue) {
      if (this.running >= this.#slots) break;
      this.#queue.delete(job);
      this.running += 1;
      started.push(job);
    }
    const rejected = this.#refused;
    this.#refused = [];
    return { started, rejected };
  }

  nextWakeAt() {
    return undefined;
  }
}
