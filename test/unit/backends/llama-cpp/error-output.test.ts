/** What an engine writes before it dies: its level in our log, and the line that is put into the entry on its death. */
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ErrorOutput } from '../../../../src/backends/llama-cpp/error-output.ts';
import { forEachLine, LONGEST_LINE_CHARACTERS } from '../../../../src/backends/llama-cpp/output-lines.ts';
import type { LogFields } from '../../../../src/core/log.ts';

function output(...lines: readonly string[]) {
  const logged: [level: 'warn' | 'error', line: unknown][] = [];
  const errors = new ErrorOutput({
    warn: (_: string, fields?: LogFields) => logged.push(['warn', fields?.line]),
    error: (_: string, fields?: LogFields) => logged.push(['error', fields?.line]),
  });
  for (const line of lines) errors.take(line);
  return { logged, lastWords: errors.lastWords };
}

describe('levels', () => {
  it.each([
    '/llama.cpp/ggml/src/ggml.c:3142: GGML_ASSERT(ggml_can_repeat(b, a)) failed',
    '/llama.cpp/src/llama-graph.cpp:77: fatal error',
    "terminate called after throwing an instance of 'std::runtime_error'",
    '  what():  vk::Device::allocateMemory: ErrorOutOfDeviceMemory',
    'node: ../src/llama.cpp:123: void f(): Assertion `n > 0 failed.',
    'free(): invalid pointer',
    'double free or corruption (!prev)',
    '*** stack smashing detected ***: terminated',
    'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
    'CUDA error: an illegal memory access was encountered',
    'TypeError: Cannot read properties of undefined',
    'Segmentation fault (core dumped)',
  ])('error: %s', (line) => {
    expect(output(line).logged).toEqual([['error', line]]);
  });

  it.each([
    'ggml_vulkan: 0 = llvmpipe (LLVM 15.0.6)',
    'load_backend: loaded CPU backend',
    'warning: asserts enabled',
    '(node:12) ExperimentalWarning: this may change',
    'hello',
  ])('warn: %s', (line) => {
    expect(output(line).logged).toEqual([['warn', line]]);
  });
});

describe('last words', () => {
  it('are none where nothing was written', () => {
    expect(output().lastWords).toBeUndefined();
  });

  it('are the assertion, not the stack below it', () => {
    const { lastWords } = output(
      'load_backend: loaded CPU backend',
      'ggml.c:3142: GGML_ASSERT(ggml_can_repeat(b, a)) failed',
      '/bins/libggml-base.so(+0x1a0db)[0x7f0dab41a0db]',
      '#1  0x00007f in ggml_abort ()',
      '[0x7f0dab41a0db]',
    );
    expect(lastWords).toBe('ggml.c:3142: GGML_ASSERT(ggml_can_repeat(b, a)) failed');
  });

  it('are the last with which something gave up', () => {
    const { lastWords } = output(
      "terminate called after throwing an instance of 'std::runtime_error'",
      '  what():  no such tensor',
      'bye',
    );
    expect(lastWords).toBe('what():  no such tensor');
  });

  it('are the error of an uncaught exception of JavaScript', () => {
    const { lastWords } = output(
      'file:///app/dist/main.js:10',
      '  throw new RangeError(message);',
      '        ^',
      'RangeError: too much',
      '    at load (file:///app/dist/main.js:10:9)',
      'Node.js v20.19.0',
    );
    expect(lastWords).toBe('RangeError: too much');
  });

  it('are the error of the GPU, not the place in the source where ggml ends the process for it', () => {
    const reason = 'CUDA error: the provided PTX was compiled with an unsupported toolchain.';
    const trailer = '/llama.cpp/ggml/src/ggml-cuda/ggml-cuda.cu:88: CUDA error';
    expect(output(reason, '  current device: 0, in function f at x.cu:3', trailer).lastWords).toBe(reason);
    expect(output('ggml_cuda_init: found 1 device', trailer).lastWords).toBe(trailer);
  });

  it('are the last line that says anything where nothing gave up', () => {
    expect(output('one', 'two', '    at somewhere (file:1:1)', 'Node.js v20.19.0').lastWords).toBe('two');
  });

  it('are of the last twenty lines only', () => {
    const lines = Array.from({ length: 20 }, (_, index) => `line ${index}`);
    expect(output('GGML_ASSERT(x) failed', ...lines).lastWords).toBe('line 19');
  });
});

describe('lines', () => {
  async function linesOf(...chunks: readonly (string | Buffer)[]): Promise<string[]> {
    const lines: string[] = [];
    const stream = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
    forEachLine(stream, (line) => lines.push(line));
    await new Promise((resolve) => stream.on('end', resolve));
    return lines;
  }

  it('are found wherever the chunks break, the last without its end, empty ones left out', async () => {
    expect(await linesOf('a', 'b\r\nc\n', '\n \nd')).toEqual(['ab', 'c', 'd']);
  });

  it('keep characters that are split between chunks', async () => {
    const bytes = Buffer.from('größe\n');
    expect(await linesOf(bytes.subarray(0, 3), bytes.subarray(3))).toEqual(['größe']);
  });

  it('are cut where they are too long, and the next one is whole', async () => {
    const long = 'x'.repeat(LONGEST_LINE_CHARACTERS);
    expect(await linesOf(long.repeat(50), long, '\nnext\n', long, '\n')).toEqual([`${long}…`, 'next', long]);
  });
});
