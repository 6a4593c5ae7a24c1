/** The model that the stand-ins play: deterministic, one word is one token; it repeats what it was told. */
export interface ModelRequest {
  readonly prompt: string;
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  readonly contextSize: number;
  readonly seed?: number | undefined;
  /** What it says instead of its own words. */
  readonly says?: readonly string[] | undefined;
  /** Words that it does not say. */
  readonly avoids?: (word: string) => boolean;
}

export interface ModelAnswer {
  readonly promptTokens: number;
  readonly tokens: readonly string[];
  /** Tokens that were generated, those that became no text included. */
  readonly generated: number;
  readonly reason: 'stop' | 'length';
  readonly matchedStop?: string;
}

const ANSWER_TOKENS = 48;
const RECORDED_QUESTION = 'What is the capital of France?';
const RECORDED_ANSWER = ['The', ' capital', ' of', ' France', ' is', ' Paris', '.'];

export function countTokens(text: string): number {
  return Math.max(1, text.split(/\s+/u).filter((word) => word !== '').length);
}

/** Of length 1, and the same for the same text. */
export function vectorOf(text: string, numbers = 4): number[] {
  const values = Array.from({ length: numbers }, (_, place) => {
    let sum = place + 1;
    for (const character of text) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 1009;
    return sum / 1009 - 0.5;
  });
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

/** The caller has checked that the prompt fits. */
export function answer(request: ModelRequest): ModelAnswer {
  const promptTokens = countTokens(request.prompt);
  const own = request.says ?? allTokens(request.prompt, request.seed ?? 0);
  const all = request.avoids === undefined ? own : own.filter((word) => request.avoids?.(word) === false);
  const limit = Math.min(request.maxTokens ?? all.length, request.contextSize - promptTokens, all.length);
  const tokens: string[] = [];
  let text = '';
  for (const token of all.slice(0, limit)) {
    text += token;
    const match = firstStop(text, request.stop);
    if (match !== undefined) {
      const kept = cutTo(tokens.concat(token), match.index);
      return {
        promptTokens,
        tokens: kept,
        generated: tokens.length + 1,
        reason: 'stop',
        matchedStop: match.stop,
      };
    }
    tokens.push(token);
  }
  return { promptTokens, tokens, generated: limit, reason: limit < all.length ? 'length' : 'stop' };
}

function allTokens(prompt: string, seed: number): string[] {
  if (prompt.includes(RECORDED_QUESTION)) return RECORDED_ANSWER;
  const words = prompt.split(/\s+/u).filter((word) => word !== '');
  return Array.from({ length: ANSWER_TOKENS }, (_, index) => {
    const word = words[(index + seed) % words.length] ?? 'nothing';
    return index === 0 ? word : ` ${word}`;
  });
}

function firstStop(text: string, stops: readonly string[]): { index: number; stop: string } | undefined {
  return stops
    .map((stop) => ({ index: text.indexOf(stop), stop }))
    .filter(({ index }) => index !== -1)
    .sort((one, other) => one.index - other.index)[0];
}

function cutTo(tokens: readonly string[], length: number): string[] {
  const kept: string[] = [];
  let left = length;
  for (const token of tokens) {
    if (left <= 0) break;
    kept.push(token.slice(0, left));
    left -= token.length;
  }
  return kept;
}
