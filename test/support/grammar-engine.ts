/** The engine's own reader of grammars, without a model: whether it takes a grammar, and whether a text is one of it. */
import type { TestContext } from 'vitest';

export interface GrammarEngine {
  /** Throws where the engine refuses the grammar. */
  accepts(gbnf: string, text: string): Promise<boolean>;
}

interface Library {
  getLlama(options: object): Promise<{
    createGrammar(options: { grammar: string }): Promise<{ _testText(text: string): boolean }>;
  }>;
}

let shared: Promise<GrammarEngine | undefined> | undefined;

/** One for all files of a process: each engine listens to the end of the process. Undefined where the optional package is not installed. */
export function grammarEngine(): Promise<GrammarEngine | undefined> {
  shared ??= startEngine();
  return shared;
}

async function startEngine(): Promise<GrammarEngine | undefined> {
  const name: string = 'node-llama-cpp';
  const library = await import(name).then(
    (module) => module as Library,
    () => undefined,
  );
  if (library === undefined) return undefined;
  const llama = await library.getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    logger: () => {},
  });
  return {
    accepts: async (grammar, text) => (await llama.createGrammar({ grammar }))._testText(text),
  };
}

/** The engine, or the test is skipped and says why. */
export function engineOrSkip(engine: GrammarEngine | undefined, context: TestContext): GrammarEngine {
  if (engine === undefined) context.skip('node-llama-cpp is not installed');
  return engine as GrammarEngine;
}
