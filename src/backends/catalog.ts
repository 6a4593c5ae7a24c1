/** Every backend: one line each. The only place, beside its own folder, that names one. */
import type { BackendDefinition } from './backend-definition.ts';
import { llamaCpp } from './llama-cpp/backend.ts';
import { ollama } from './ollama/backend.ts';
import { openAiCompatible } from './openai-compatible/definition.ts';
import { scripted } from './scripted/backend.ts';

export const BACKENDS: readonly BackendDefinition[] = [llamaCpp, ollama, openAiCompatible, scripted];

/** Served when nothing else is configured. */
export const DEFAULT_TARGET = { backend: 'llama-cpp', model: 'smollm2-135m-instruct' } as const;

interface FoundBackend {
  readonly definition: BackendDefinition;
  /** Keys that an alias sets. */
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
