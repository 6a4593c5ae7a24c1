/** All clients, one line each. */
import { aiSdk } from './ai-sdk.ts';
import { anthropic } from './anthropic.ts';
import type { Client } from './client-suite.ts';
import { codingAgents } from './coding-agents.ts';
import { langchain } from './langchain.ts';
import { ollama } from './ollama.ts';
import { openai } from './openai.ts';
import { openAiPython } from './openai-python.ts';

/** `endsWith` takes what ends those that are processes. */
export function clients(endsWith: (end: () => Promise<void>) => void): readonly Client[] {
  return [openai, openAiPython(endsWith), langchain, aiSdk, anthropic, ollama, ...codingAgents()];
}
