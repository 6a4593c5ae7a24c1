/** Sees what reaches a scripted backend: pass it when making one. */
import type { ScriptedObserver } from '../../../src/backends/scripted/backend.ts';
import type { GenerationRequest } from '../../../src/core/generation.ts';

export class ScriptedRecorder implements ScriptedObserver {
  readonly requests: GenerationRequest[] = [];
  running = 0;
  maxRunning = 0;
  completed = 0;
  failed = 0;
  aborted = 0;

  started(request: GenerationRequest): void {
    this.requests.push(request);
    this.running += 1;
    this.maxRunning = Math.max(this.maxRunning, this.running);
  }

  ended(_request: GenerationRequest, outcome: 'completed' | 'failed' | 'aborted'): void {
    this.running -= 1;
    this[outcome] += 1;
  }
}
