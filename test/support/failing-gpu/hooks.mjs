/** Gives the engine a library of ours in the place of node-llama-cpp. */
export function resolve(specifier, context, next) {
  const isEngine = context.parentURL?.includes('/dist/backends/llama-cpp/');
  if (specifier !== 'node-llama-cpp' || !isEngine) return next(specifier, context);
  return { url: new URL('./library.mjs', import.meta.url).href, shortCircuit: true };
}
