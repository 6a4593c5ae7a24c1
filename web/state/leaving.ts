/** Whether the page is being left: then the browser breaks off requests that nobody ended. */

/** From a navigation's beginning until the page is gone, or stays after all, as with a link to a mail program. */
const LEAVING_MS = 3_000;

class Leaving {
  #beganAt = Number.NEGATIVE_INFINITY;

  /** Once, when the page begins. */
  watch(): void {
    const began = () => {
      this.#beganAt = performance.now();
    };
    window.addEventListener('beforeunload', began);
    window.addEventListener('pagehide', began);
  }

  /** Resolves when the page stays, which is at once where nobody leaves it. Of a page that is left it never resolves. */
  async pageStays(): Promise<void> {
    const rest = this.#beganAt + LEAVING_MS - performance.now();
    if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
  }
}

export const leaving = new Leaving();
