/** Every backend there is: one line each. The only place, beside its own folder, that names one. */
import type { BackendDefinition } from './backend-definition.ts';
import { llamaCpp } from './llama-cpp/definition.ts';
import { ollama } from './ollama/definition.ts';
import { openAiCompatible } from './openai-compatible/definition.ts';
import { scripted } from './scripted/definition.ts';

export const BACKENDS: readonly BackendDefinition[] = [llamaCpp, ollama, openAiCompatible, scripted];

/** What is served when nothing else is configured. */
export const DEFAULT_TARGET = { backend: 'llama-cpp', model: 'smollm2-135m-instruct' } as const;

export interface FoundBackend {
  readonly definition: BackendDefinition;
  /** Keys that the name, when it is an alias, sets. */
  readonly preset: Readonly<Record<string, unknown>>;
}

export function findBackend(nameOrAlias: string): FoundBackend | undefined {
  for (const definition of BACKENDS) {
    if (definition.name === nameOrAlias) return { definition, preset: {} };
    const preset = definition.aliases?.[nameOrAlias];
    if (preset !== undefined) return { definition, preset };
  }
  return undefined;
}
