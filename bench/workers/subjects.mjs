// What both processes of the benchmark must have the same of: a target, queue entries, charges.
export const MODEL = 'bench';
export const SETTLED = {
  outcome: 'completed',
  promptTokens: 12,
  answerTokens: 8,
  cachedTokens: 0,
  firstTokenMs: 1.5,
};
const SPANS = [60_000, 3_600_000, 86_400_000, 60_000];
const KEYS = 100;

/** Nothing is sent there. */
export const targetOf = () => ({
  id: 'bench/openai/0',
  model: MODEL,
  backendName: 'openai-compatible',
  upstreamModel: MODEL,
  backend: { close: async () => {} },
  embedded: false,
  cacheIsolation: undefined,
  weight: 1,
  role: 'primary',
  slots: 1024,
  firstTokenTimeoutMs: 60_000,
  idleTimeoutMs: 60_000,
  status: { state: 'ready', loaded: true, contextSize: 32_768 },
  health: 'ready',
});

export const entryOf = (id, index, now) => ({
  id,
  model: MODEL,
  client: `key_${index % KEYS}`,
  priority: 'normal',
  promptTokens: 12,
  maxTokens: 8,
  maxTokensIsDefault: false,
  prefix: undefined,
  sizeBytes: 400,
  expiresAt: now + 60_000,
  deadlineAt: now + 600_000,
  retry: undefined,
});

const rules = new Map();

/** The rules of a key, as a server makes them once. */
export function chargesOf(index, count) {
  const key = `${index % KEYS}:${count}`;
  if (!rules.has(key))
    rules.set(
      key,
      SPANS.slice(0, count).map((windowMs, number) => ({
        counter: `key:key_${index % KEYS}_0123456789:limit_${number}`,
        bound: { kind: 'window', limit: 1_000_000_000, windowMs },
        place: { found: undefined },
      })),
    );
  return rules.get(key).map((rule) => ({ ...rule, amount: 1 }));
}
