/** Makes small GGUF files with any metadata and tensors, whole or damaged on purpose. */
export type GgufValue =
  | string
  | number
  | boolean
  | bigint
  | readonly string[]
  | readonly number[]
  | { readonly float: number };

export interface GgufTensor {
  readonly name: string;
  readonly dimensions: readonly number[];
  /** 0 is F32, 1 is F16, 24 is I8. */
  readonly type?: 0 | 1 | 24;
  /** Of F32; absent: zeros. */
  readonly values?: readonly number[];
}

export interface GgufContent {
  readonly version?: number;
  readonly metadata?: Readonly<Record<string, GgufValue>>;
  readonly tensors?: readonly GgufTensor[];
  /** What the header claims, where that is to be wrong. */
  readonly claims?: { readonly entries?: bigint; readonly tensors?: bigint };
}

const ALIGNMENT = 32;
const ELEMENT_BYTES = { 0: 4, 1: 2, 24: 1 } as const;

/** The bytes of a file with this content; by default a whole one of architecture `llama` with a tensor. */
export function ggufFile(content: GgufContent = {}): Buffer {
  const { version = 3, claims = {} } = content;
  const metadata = content.metadata ?? { 'general.architecture': 'llama' };
  const tensors = content.tensors ?? [{ name: 'token_embd.weight', dimensions: [8, 4] }];
  const entries = Object.entries(metadata);
  const infos: Buffer[] = [];
  const data: Buffer[] = [];
  let offset = 0;
  for (const { name, dimensions, type = 0, values = [] } of tensors) {
    infos.push(
      text(name),
      uint32(dimensions.length),
      ...dimensions.map(uint64),
      uint32(type),
      uint64(offset),
    );
    const bytes = dimensions.reduce((product, size) => product * size, ELEMENT_BYTES[type]);
    const tensor = Buffer.alloc(aligned(bytes));
    values.forEach((value, index) => void tensor.writeFloatLE(value, 4 * index));
    data.push(tensor);
    offset += aligned(bytes);
  }
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    uint32(version),
    uint64(claims.tensors ?? tensors.length),
    uint64(claims.entries ?? entries.length),
    ...entries.flatMap(([key, value]) => [text(key), valueBytes(value)]),
    ...infos,
  ]);
  const padding = tensors.length === 0 ? 0 : aligned(header.length) - header.length;
  return Buffer.concat([header, Buffer.alloc(padding), ...data]);
}

function valueBytes(value: GgufValue): Buffer {
  if (typeof value === 'string') return Buffer.concat([uint32(8), text(value)]);
  if (typeof value === 'boolean') return Buffer.concat([uint32(7), Buffer.from([value ? 1 : 0])]);
  if (typeof value === 'bigint') return Buffer.concat([uint32(10), uint64(value)]);
  if (typeof value === 'number') return Buffer.concat([uint32(4), uint32(value)]);
  if ('float' in value) {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value.float);
    return Buffer.concat([uint32(6), bytes]);
  }
  const strings = typeof value[0] === 'string';
  const elements = value.map((element) => (typeof element === 'string' ? text(element) : uint32(element)));
  return Buffer.concat([uint32(9), uint32(strings ? 8 : 5), uint64(value.length), ...elements]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
