/**
 * W3C Trace Context: the headers of a caller, read by its rules, and the part of a trace that is this server's. Pure: ids come in as
 * arguments. Invariant: all span ids of one request differ, and come from its server span's, so that no attempt needs randomness.
 */

export const TRACEPARENT_HEADER = 'traceparent';
export const TRACESTATE_HEADER = 'tracestate';

/** The trace that a caller is in, as it reports it. */
export interface CallerContext {
  /** As received. */
  readonly traceparent: string;
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** 16 of them. */
  readonly spanId: string;
  /** Those that are known: sampled, and that the trace's id is random. */
  readonly flags: number;
  /** Undefined where there is none, or a wrong one. */
  readonly tracestate: string | undefined;
}

const SAMPLED = 1;
const RANDOM_ID = 2;

/** Versions to come may append fields. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ALL_ZERO = /^0+$/;
/** Characters, with such fields. It goes along to every upstream. */
const MAX_TRACEPARENT = 256;

/** Undefined where the caller is in no trace, or its header is wrong: then it does not count. */
export function readCallerContext(
  traceparent: string | readonly string[] | undefined,
  tracestate: string | readonly string[] | undefined,
): CallerContext | undefined {
  if (typeof traceparent !== 'string' || traceparent.length > MAX_TRACEPARENT) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', rest] = TRACEPARENT.exec(traceparent) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (ALL_ZERO.test(traceId) || ALL_ZERO.test(spanId)) return undefined;
  return {
    traceparent,
    traceId,
    spanId,
    flags: Number.parseInt(flags, 16) & (SAMPLED | RANDOM_ID),
    tracestate: tracestate === undefined ? undefined : readTracestate(String(tracestate)),
  };
}

const MAX_MEMBERS = 32;
const MAX_CHARACTERS = 512;
const LONG_MEMBER = 128;
const SIMPLE_KEY = '[a-z0-9][a-z0-9_*/-]{0,255}';
const TENANT_KEY = '[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}';
const MEMBER = new RegExp(
  `^(?:${SIMPLE_KEY}|${TENANT_KEY})=[\\x20-\\x2b\\x2d-\\x3c\\x3e-\\x7e]{0,255}[\\x21-\\x2b\\x2d-\\x3c\\x3e-\\x7e]$`,
);

/** Unchanged where it is well formed and not too long; shortened as the specification says; undefined where it is wrong or empty. */
function readTracestate(text: string): string | undefined {
  const members = text
    .split(',')
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((member) => member !== '');
  if (members.length === 0 || members.length > MAX_MEMBERS) return undefined;
  if (!members.every((member) => MEMBER.test(member))) return undefined;
  if (text.length <= MAX_CHARACTERS) return text;
  return shortened(members).join(',') || undefined;
}

/** Long members go first, then those at the end: the oldest. */
function shortened(members: readonly string[]): string[] {
  const kept = [...members];
  const isTooLong = () => kept.join(',').length > MAX_CHARACTERS;
  for (let at = kept.length - 1; at >= 0 && isTooLong(); at -= 1)
    if ((kept[at]?.length ?? 0) > LONG_MEMBER) kept.splice(at, 1);
  while (isTooLong()) kept.pop();
  return kept;
}

const ID_DIGITS = 8;
const ID_VALUES = 0x1_0000_0000;
const NO_ID = '0'.repeat(2 * ID_DIGITS);

/** The part that this server has in a trace: its span, and the ids of those below it. */
export class TraceContext {
  readonly traceId: string;
  /** The caller's; undefined: the trace begins here. */
  readonly parentSpanId: string | undefined;
  /** Of the span of the whole request. */
  readonly spanId: string;
  readonly tracestate: string | undefined;
  readonly #flags: number;
  /** The halves of the last id that was drawn. */
  readonly #high: string;
  #low: number;

  constructor(of: {
    readonly traceId: string;
    readonly spanId: string;
    readonly flags: number;
    readonly parentSpanId: string | undefined;
    readonly tracestate: string | undefined;
  }) {
    this.traceId = of.traceId;
    this.parentSpanId = of.parentSpanId;
    this.spanId = of.spanId;
    this.tracestate = of.tracestate;
    this.#flags = of.flags;
    this.#high = of.spanId.slice(0, ID_DIGITS);
    this.#low = Number.parseInt(of.spanId.slice(ID_DIGITS), 16);
  }

  /** Its spans are made. */
  get isSampled(): boolean {
    return (this.#flags & SAMPLED) !== 0;
  }

  /** The next id after the server span's. It only has to differ within the trace. */
  newSpanId(): string {
    this.#low = (this.#low + 1) % ID_VALUES;
    // With one digit more, so that zeros in front stay.
    const id = this.#high + (ID_VALUES + this.#low).toString(16).slice(1);
    return id === NO_ID ? this.newSpanId() : id;
  }

  /** The header for a server that is called within this span. */
  traceparent(spanId: string): string {
    return `00-${this.traceId}-${spanId}-0${this.#flags}`;
  }
}

/** The 52 bits of a trace's id that decide: the last 56, which are random, but for their last digit. */
const SAMPLED_DIGITS = { from: -14, to: -1 } as const;
const SAMPLED_VALUES = 2 ** 52;

/** Joins the caller's trace, or begins one. `ratio`: part of those that begin here that are sampled, by id: other instances agree. */
export function joinTrace(
  caller: CallerContext | undefined,
  { ratio, randomDigits }: TraceOptions,
): TraceContext {
  const spanId = randomDigits(16);
  if (caller !== undefined) {
    const { traceId, spanId: parentSpanId, flags, tracestate } = caller;
    return new TraceContext({ traceId, parentSpanId, flags, tracestate, spanId });
  }
  const traceId = randomDigits(32);
  const drawn = Number.parseInt(traceId.slice(SAMPLED_DIGITS.from, SAMPLED_DIGITS.to), 16);
  const isSampled = drawn >= (1 - ratio) * SAMPLED_VALUES;
  return new TraceContext({
    traceId,
    spanId,
    flags: isSampled ? SAMPLED : 0,
    parentSpanId: undefined,
    tracestate: undefined,
  });
}

export interface TraceOptions {
  readonly ratio: number;
  /** So many random hexadecimal digits: that all of 16 are zero is not to be expected. */
  readonly randomDigits: (digits: number) => string;
}
