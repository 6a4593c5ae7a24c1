// What each slot of the embedded engine keeps of the prompt it served last (src/backends/llama-cpp/engine/sequences.ts):
// a request takes the idle one that shares the longest beginning with its prompt, among equals the least recently used.

export class SequenceCache {
  /** Least recently used first; each the messages it holds. */
  #idle;

  constructor(slots) {
    this.#idle = Array.from({ length: slots }, () => []);
  }

  /** Of its prompt, the tokens that need not be evaluated again; the last one always is. */
  take({ messages, promptTokens }) {
    let best = 0;
    for (let index = 1; index < this.#idle.length; index += 1)
      if (sharedTokens(this.#idle[index], messages) > sharedTokens(this.#idle[best], messages)) best = index;
    const [taken] = this.#idle.splice(best, 1);
    return Math.min(sharedTokens(taken, messages), promptTokens - 1);
  }

  /** It then holds the prompt and the answer. */
  giveBack({ messages, answer }) {
    this.#idle.push([...messages, answer]);
  }
}

function sharedTokens(held, messages) {
  let tokens = 0;
  for (const [index, { id, tokens: length }] of messages.entries()) {
    if (held[index]?.id !== id) break;
    tokens += length;
  }
  return tokens;
}
