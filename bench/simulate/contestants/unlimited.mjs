// No limit at all: whatever arrives is started at once, and all that run share what the backend can do.
export function unlimited() {
  return new Unlimited();
}

class Unlimited {
  #arrived = [];
  running = 0;
  waiting = 0;

  arrive(job) {
    this.#arrived.push(job);
  }

  /** Nobody waits here. */
  leave() {}

  ended() {
    this.running -= 1;
  }

  decide() {
    const started = this.#arrived;
    this.#arrived = [];
    this.running += started.length;
    return { started, rejected: [] };
  }

  nextWakeAt() {
    return undefined;
  }
}
