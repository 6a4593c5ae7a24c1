/** What failed, how many passed, and which program was missing for what was skipped. */
import { DefaultReporter, type TestModule } from 'vitest/node';

export class QuietReporter extends DefaultReporter {
  protected override printTestModule(module: TestModule): void {
    if (module.state() === 'failed') super.printTestModule(module);
  }

  override onTestRunEnd(...run: Parameters<DefaultReporter['onTestRunEnd']>): void {
    super.onTestRunEnd(...run);
    for (const [reason, tests] of skipReasons(run[0])) this.log(` Skipped ${tests}: ${reason}`);
  }
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
