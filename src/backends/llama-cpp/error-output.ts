/**
 * What an engine writes to its standard error: mostly native code, and mostly before it dies. Owns its last lines, so
 * that the entry on its death can say why.
 */
import type { Log } from '../../core/log.ts';

const LINES_KEPT = 20;

/** What ggml, the C++ runtime, the C library, GPU drivers and Node write when they give up. */
const GIVES_UP =
  /GGML_(ASSERT|ABORT)|ggml_abort|terminate called|what\(\):|assertion .*failed|fatal|segmentation fault|\baborted\b|stack smashing|double free|corrupt|invalid pointer|panic|out of memory|bad_alloc|(CUDA|HIP|Vulkan|vk::\w+) ?error|^\s*\w*Error\b.*:|^Failed to load/i;

/**
 * Frames and trailers of a stack trace, the marks under a line of code, and where ggml ends the process for an error
 * that it has told in a line before.
 */
const EXPLAINS_NOTHING =
  /: (CUDA|HIP|ROCm|MUSA) error\s*$|^\s*(at |\^|#?\d+:? |\[0x|[{}[\]();,]+\s*$)|^Node\.js v\d|^\S+(\.so\S*|\.node)\(/;

export class ErrorOutput {
  readonly #log: Pick<Log, 'warn' | 'error'>;
  readonly #lines: string[] = [];

  constructor(log: Pick<Log, 'warn' | 'error'>) {
    this.#log = log;
  }

  take(line: string): void {
    this.remember(line);
    this.#log[isGivingUp(line) ? 'error' : 'warn']('engine error output', { line });
  }

  /** Takes a line that is in the log already. */
  remember(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > LINES_KEPT) this.#lines.shift();
  }

  /** The line that tells most about the end: the last with which something gave up, else the last that says anything. */
  get lastWords(): string | undefined {
    const telling = this.#lines.filter((line) => !EXPLAINS_NOTHING.test(line));
    return (telling.findLast(isGivingUp) ?? this.#lines.findLast(isGivingUp) ?? telling.at(-1))?.trim();
  }
}

function isGivingUp(line: string): boolean {
  return GIVES_UP.test(line);
}
