/** Spans as a person reads them: a tree with times since the first one's start, kinds, errors and attributes. */

export interface ShownSpan {
  readonly name: string;
  readonly kind: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** Milliseconds. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly isError: boolean;
}

/** `hides`: names of attributes that differ from run to run. */
export function spanTree(spans: readonly ShownSpan[], hides: readonly string[] = []): string {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const start = Math.min(...spans.map(({ startedAt }) => startedAt));
  const round = (milliseconds: number) => Math.round(milliseconds * 10) / 10;
  const lines: string[] = [];
  const show = (span: ShownSpan, depth: number) => {
    const indent = '  '.repeat(depth);
    const times = `${round(span.startedAt - start)}–${round(span.endedAt - start)} ms`;
    lines.push(`${indent}${span.name} [${span.kind}] ${times}${span.isError ? ' ERROR' : ''}`);
    for (const [name, value] of Object.entries(span.attributes))
      if (!hides.includes(name)) lines.push(`${indent}  · ${name}: ${JSON.stringify(value)}`);
    for (const child of spans) if (child.parentSpanId === span.spanId) show(child, depth + 1);
  };
  for (const span of spans) if (span.parentSpanId === undefined || !ids.has(span.parentSpanId)) show(span, 0);
  return lines.join('\n');
}
