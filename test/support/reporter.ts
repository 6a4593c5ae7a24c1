/**
 * What failed, how many passed, what passed only when it was tried again, and which program was missing for what was skipped. A long run,
 * of more than an hour, also prints each file when it ends, with its duration.
 */
import type { TestError } from 'vitest';
import { DefaultReporter, type TestCase, type TestModule } from 'vitest/node';

const isLong = process.env.LLM_TEST_LONG === '1';

export class QuietReporter extends DefaultReporter {
  protected override printTestModule(module: TestModule): void {
    if (isLong || module.state() === 'failed') super.printTestModule(module);
  }

  override onTestRunEnd(...run: Parameters<DefaultReporter['onTestRunEnd']>): void {
    super.onTestRunEnd(...run);
    for (const [reason, tests] of skipReasons(run[0])) this.log(` Skipped ${tests}: ${reason}`);
    this.#printFlaky(flakyTests(run[0]));
  }

  #printFlaky(tests: readonly TestCase[]): void {
    if (tests.length === 0) return;
    const line = '!'.repeat(100);
    this.log(
      `\n${line}\n FLAKY: ${tests.length} passed only when tried again. Each is a defect to be mended.\n`,
    );
    for (const test of tests) {
      this.log(` FLAKY ${test.module.relativeModuleId} > ${test.fullName}`);
      for (const error of test.result().errors ?? []) this.log(placeOf(error));
    }
    this.log(line);
  }
}

/** They keep the errors of the tries that failed. */
function flakyTests(modules: readonly TestModule[]): readonly TestCase[] {
  return modules.flatMap((module) =>
    [...module.children.allTests('passed')].filter((test) => test.diagnostic()?.flaky),
  );
}

/** Its message, the lines of its stack that are the project's own, and what was different from what was expected. */
function placeOf({ message, stack = message, diff }: TestError): string {
  const lines = stack.split('\n').filter((line) => !/^ +at .*(node:|node_modules)/.test(line));
  if (diff !== undefined) lines.push(...diff.split('\n'));
  return lines.map((line) => `   ${line}`).join('\n');
}

/** Reason → how many tests. Those that a matrix or a contract rules out have none. */
function skipReasons(modules: readonly TestModule[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const module of modules) {
    for (const test of module.children.allTests('skipped')) {
      const result = test.result();
      if (result.state !== 'skipped' || result.note === undefined) continue;
      counts.set(result.note, (counts.get(result.note) ?? 0) + 1);
    }
  }
  return counts;
}
