/**
 * GGUF files of tiny embedding models, with seeded random embeddings. Their attention and feed-forward outputs are zero,
 * so what a text's vector must be is easily computed beside the engine: `vectorOf` does that, by the same pooling.
 */
import { type GgufTensor, type GgufValue, ggufFile } from './gguf-file.ts';

export interface TinyModelOptions {
  /** `bert` reads all tokens at once, with positions; `llama` reads from left to right, without. */
  readonly architecture?: 'bert' | 'llama';
  readonly pooling?: keyof typeof POOLING_TYPES;
  /** Tokens that it was trained for; `bert` knows no more positions. */
  readonly trainedContext?: number;
}

export interface TinyModel {
  readonly file: Buffer;
  /** Token ids of the words, those before and after included. */
  tokensOf(text: string): number[];
  /** Of length 1. */
  vectorOf(text: string): number[];
}

const POOLING_TYPES = { none: 0, mean: 1, cls: 2, last: 3, rank: 4 } as const;
const WIDTH = 32;
const HEADS = 2;
const HIDDEN = 48;
const EPSILON = 1e-6;
const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] as const;
const WORDS = [
  'the',
  'cat',
  'dog',
  'sits',
  'runs',
  'on',
  'a',
  'mat',
  'and',
  'revenue',
  'grew',
  'word',
] as const;
/** In a BERT vocabulary of GGUF, a token that begins a word carries this mark. */
const WORD_BEGINS = '\u2581';

export function tinyEmbeddingModel(options: TinyModelOptions = {}): TinyModel {
  const { architecture = 'bert', pooling = 'mean', trainedContext = 64 } = options;
  const random = seededRandom(7);
  const rows = (count: number) => Array.from({ length: count }, () => Array.from({ length: WIDTH }, random));
  const tokens = rows(SPECIAL.length + WORDS.length);
  const positions = rows(trainedContext);
  const [type = []] = rows(1);
  const isBert = architecture === 'bert';

  const tokensOf = (text: string) => [
    SPECIAL.indexOf('[CLS]'),
    ...(text.match(/\S+/g) ?? []).map((word) => idOf(word)),
    SPECIAL.indexOf('[SEP]'),
  ];
  const outputOf = (token: number, position: number): number[] => {
    const embedding = tokens[token] ?? [];
    if (!isBert) return rootMeanSquareNormalized(embedding);
    // Normalized once for the input and twice in its one layer.
    const sum = add(add(embedding, positions[position] ?? []), type);
    return layerNormalized(layerNormalized(layerNormalized(sum)));
  };
  return {
    tokensOf,
    vectorOf: (text) => {
      const outputs = tokensOf(text).map(outputOf);
      return unit(POOL[pooling](outputs));
    },
    file: ggufFile({
      metadata: metadataOf({ architecture, pooling, trainedContext }),
      tensors: (isBert ? bertTensors({ tokens, positions, type }) : llamaTensors(tokens)).map(toGguf),
    }),
  };
}

const POOL: Readonly<Record<keyof typeof POOLING_TYPES, (outputs: readonly number[][]) => number[]>> = {
  none: () => [],
  rank: () => [],
  mean: (outputs) => outputs.reduce(add).map((sum) => sum / outputs.length),
  cls: ([first = []]) => first,
  last: (outputs) => outputs.at(-1) ?? [],
};

function idOf(word: string): number {
  const index = (WORDS as readonly string[]).indexOf(word);
  return index === -1 ? SPECIAL.indexOf('[UNK]') : SPECIAL.length + index;
}

function metadataOf(model: Required<TinyModelOptions>): Readonly<Record<string, GgufValue>> {
  const { architecture, pooling, trainedContext } = model;
  const ofArchitecture = {
    context_length: trainedContext,
    embedding_length: WIDTH,
    block_count: 1,
    feed_forward_length: HIDDEN,
    'attention.head_count': HEADS,
    ...(pooling === 'none' ? {} : { pooling_type: POOLING_TYPES[pooling] }),
    ...(architecture === 'bert'
      ? { 'attention.layer_norm_epsilon': { float: EPSILON }, 'attention.causal': false }
      : { 'attention.layer_norm_rms_epsilon': { float: EPSILON }, 'rope.dimension_count': WIDTH / HEADS }),
  };
  const keys = Object.entries(ofArchitecture).map(([key, value]) => [`${architecture}.${key}`, value]);
  return {
    'general.architecture': architecture,
    ...Object.fromEntries(keys),
    'tokenizer.ggml.model': 'bert',
    'tokenizer.ggml.tokens': [...SPECIAL, ...WORDS.map((word) => `${WORD_BEGINS}${word}`)],
    // 1 is a normal token, 3 a control token.
    'tokenizer.ggml.token_type': [...SPECIAL.map(() => 3), ...WORDS.map(() => 1)],
    'tokenizer.ggml.token_type_count': 1,
    'tokenizer.ggml.padding_token_id': SPECIAL.indexOf('[PAD]'),
    'tokenizer.ggml.unknown_token_id': SPECIAL.indexOf('[UNK]'),
    'tokenizer.ggml.bos_token_id': SPECIAL.indexOf('[CLS]'),
    'tokenizer.ggml.seperator_token_id': SPECIAL.indexOf('[SEP]'),
    'tokenizer.ggml.mask_token_id': SPECIAL.indexOf('[MASK]'),
  };
}

interface Tensor {
  readonly name: string;
  /** Rows of one length; a vector is one row. */
  readonly rows: readonly (readonly number[])[];
  readonly isVector?: boolean;
}

function bertTensors(model: { tokens: number[][]; positions: number[][]; type: number[] }): Tensor[] {
  return [
    { name: 'token_embd.weight', rows: model.tokens },
    { name: 'position_embd.weight', rows: model.positions },
    { name: 'token_types.weight', rows: [model.type] },
    ...norm('token_embd_norm', { bias: true }),
    ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].flatMap((name) => linear(`blk.0.${name}`, WIDTH, WIDTH)),
    ...norm('blk.0.attn_output_norm', { bias: true }),
    ...linear('blk.0.ffn_up', WIDTH, HIDDEN),
    ...linear('blk.0.ffn_down', HIDDEN, WIDTH),
    ...norm('blk.0.layer_output_norm', { bias: true }),
  ];
}

function llamaTensors(tokens: number[][]): Tensor[] {
  const weights = ['attn_q', 'attn_k', 'attn_v', 'attn_output'].map((name) => `blk.0.${name}.weight`);
  return [
    { name: 'token_embd.weight', rows: tokens },
    ...norm('output_norm'),
    ...norm('blk.0.attn_norm'),
    ...weights.map((name) => ({ name, rows: zeros(WIDTH, WIDTH) })),
    ...norm('blk.0.ffn_norm'),
    { name: 'blk.0.ffn_gate.weight', rows: zeros(WIDTH, HIDDEN) },
    { name: 'blk.0.ffn_up.weight', rows: zeros(WIDTH, HIDDEN) },
    { name: 'blk.0.ffn_down.weight', rows: zeros(HIDDEN, WIDTH) },
  ];
}

function linear(name: string, inputs: number, outputs: number): Tensor[] {
  return [
    { name: `${name}.weight`, rows: zeros(inputs, outputs) },
    { name: `${name}.bias`, rows: zeros(outputs, 1), isVector: true },
  ];
}

function norm(name: string, { bias = false } = {}): Tensor[] {
  const weight = { name: `${name}.weight`, rows: [Array<number>(WIDTH).fill(1)], isVector: true };
  return bias ? [weight, { name: `${name}.bias`, rows: zeros(WIDTH, 1), isVector: true }] : [weight];
}

function zeros(length: number, count: number): number[][] {
  return Array.from({ length: count }, () => Array<number>(length).fill(0));
}

function add(one: readonly number[], other: readonly number[]): number[] {
  return one.map((value, index) => value + (other[index] ?? 0));
}

function layerNormalized(values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return rootMeanSquareNormalized(values.map((value) => value - mean));
}

function rootMeanSquareNormalized(values: readonly number[]): number[] {
  const meanSquare = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  return values.map((value) => value / Math.sqrt(meanSquare + EPSILON));
}

function unit(values: readonly number[]): number[] {
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

/** From -1 to 1, exact in 32 bits. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.fround((state / 0x4000_0000 - 1) as number);
  };
}

function toGguf({ name, rows, isVector = false }: Tensor): GgufTensor {
  const length = rows[0]?.length ?? 0;
  return { name, dimensions: isVector ? [length] : [length, rows.length], values: rows.flat() };
}
