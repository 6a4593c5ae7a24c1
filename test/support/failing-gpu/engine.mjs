/** The real engine's process on a machine whose GPU takes the model and ends the process at its first computation. */
import { register } from 'node:module';

register('./hooks.mjs', import.meta.url);
await import(new URL('../../../dist/backends/llama-cpp/engine/main.js', import.meta.url).href);
