/** Why a model could not be loaded: the library's error says only that it could not, its log says why. */
export class LoadFailure {
  #complaint: string | undefined;

  /** Takes every line of the library's log; the first complaint is the cause. */
  hear(line: string): void {
    this.#complaint ??= /error loading model: (?:error loading model \w+: )?(.+)/.exec(line)?.[1]?.trim();
  }

  /** A buffer for the weights could not be had. */
  get lacksMemory(): boolean {
    return /^unable to allocate/.test(this.#complaint ?? '');
  }

  /** In words that a user can act on. */
  explain(modelPath: string, thrown: unknown): Error {
    const reason = this.#complaint ?? (thrown instanceof Error ? thrown.message : String(thrown));
    const architecture = /^unknown model architecture: '(.*)'$/.exec(reason)?.[1];
    const message =
      architecture === undefined
        ? `The model file ${modelPath} could not be loaded (${reason}). It must be a complete GGUF file that this ` +
          'engine knows: delete it to have it fetched anew, or give another file with --model PATH.'
        : `The model file ${modelPath} is of the architecture ${JSON.stringify(architecture)}, which this engine does ` +
          'not support. Give a model of another kind with --model, or update node-llama-cpp: a later one may know it.';
    return new Error(message, { cause: thrown });
  }
}
