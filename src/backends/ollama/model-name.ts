/** Names of models as Ollama compares them: case, the default registry and the default tag make no difference. */
export function sameModel(one: string, other: string): boolean {
  return normalize(one) === normalize(other);
}

function normalize(name: string): string {
  const lower = name
    .toLowerCase()
    .replace(/^registry\.ollama\.ai\//, '')
    .replace(/^library\//, '');
  const last = lower.slice(lower.lastIndexOf('/') + 1);
  return last.includes(':') ? lower : `${lower}:latest`;
}
