/**
 * Targets that take as long as a service model says. All answers of a target progress alike, so one count of tokens serves for all of
 * them: it grows as fast as the number that runs there allows.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { Settlement } from '../scheduling/decision.ts';
import { Heap, type HeapNode, heapNode } from '../scheduling/heap.ts';
import { firstTokenMs, type ServiceModel, tokenMs } from './service-model.ts';
import type { Job, SimulatedBackend } from './simulate.ts';

export interface SimulatedJob extends Job {
  readonly service: JobService;
}

/** `streamed`: by the model, with the job's own factors. `held`: for so long, whatever else runs. */
export type JobService =
  | {
      readonly kind: 'streamed';
      readonly uncachedTokens: number;
      readonly firstFactor: number;
      readonly tokenFactor: number;
    }
  | { readonly kind: 'held'; readonly ms: Milliseconds; readonly fails: boolean };

interface RunningJob<Kind> {
  readonly job: Kind;
  readonly startedAt: Milliseconds;
  firstAt: Milliseconds | undefined;
  /** Of the target’s count, at its first token. */
  tokensAtFirst: number;
  readonly node: HeapNode<RunningJob<Kind>>;
}

interface EndedJob<Kind> {
  readonly job: Kind;
  readonly servedMs: Milliseconds;
  readonly settlement: Settlement;
}

/** Progress is a sum of many small steps; below this a rest of it is an error of rounding. */
const ROUNDING = 1e-6;

export class SimulatedTargets<Kind extends SimulatedJob> implements SimulatedBackend<Kind> {
  readonly #targets: ReadonlyMap<string, SimulatedTarget<Kind>>;
  readonly #targetOf: (job: Kind) => string;
  readonly #jobs = new Map<string, SimulatedTarget<Kind>>();

  constructor(models: ReadonlyMap<string, ServiceModel>, targetOf: (job: Kind) => string) {
    this.#targets = new Map([...models].map(([name, model]) => [name, new SimulatedTarget<Kind>(model)]));
    this.#targetOf = targetOf;
  }

  get running(): number {
    return this.#jobs.size;
  }

  /** The most that ran at one target at once. */
  get most(): number {
    return Math.max(0, ...[...this.#targets.values()].map(({ most }) => most));
  }

  start(job: Kind, now: Milliseconds): void {
    const name = this.#targetOf(job);
    const target = this.#targets.get(name);
    if (target === undefined) throw new Error(`there is no target ${name}`);
    this.#jobs.set(job.id, target);
    target.start(job, now);
  }

  stop(job: Kind, now: Milliseconds): EndedJob<Kind> {
    const target = this.#jobs.get(job.id);
    if (target === undefined) throw new Error(`the job ${job.id} does not run`);
    this.#jobs.delete(job.id);
    return target.stop(job, now);
  }

  takeEnded(now: Milliseconds): readonly EndedJob<Kind>[] {
    const ended = [...this.#targets.values()].flatMap((target) => target.takeEnded(now));
    for (const { job } of ended) this.#jobs.delete(job.id);
    return ended;
  }

  nextEndAt(): Milliseconds {
    let earliest = Number.POSITIVE_INFINITY;
    for (const target of this.#targets.values()) earliest = Math.min(earliest, target.nextAt());
    return earliest;
  }
}

class SimulatedTarget<Kind extends SimulatedJob> {
  most = 0;
  readonly #model: ServiceModel;
  readonly #running = new Map<string, RunningJob<Kind>>();
  readonly #begun: { readonly node: HeapNode<RunningJob<Kind>>; readonly order: number }[] = [];
  /** By the time of their first token, or of their end where they are held. */
  readonly #beforeFirst = new Heap<RunningJob<Kind>>();
  /** By the count of tokens at which they end. */
  readonly #answering = new Heap<RunningJob<Kind>>();
  #tokens = 0;
  #now: Milliseconds = 0;
  #started = 0;

  constructor(model: ServiceModel) {
    this.#model = model;
  }

  start(job: Kind, now: Milliseconds): void {
    this.#advance(now);
    const running: RunningJob<Kind> = {
      job,
      startedAt: now,
      firstAt: undefined,
      tokensAtFirst: 0,
      get node() {
        return node;
      },
    };
    const node = heapNode(running);
    this.#running.set(job.id, running);
    this.#started += 1;
    this.most = Math.max(this.most, this.#running.size);
    this.#begun.push({ node, order: this.#started });
  }

  /** Those that started together run beside each other from the first moment. */
  #place(): void {
    for (const { node, order } of this.#begun.splice(0)) {
      const { service } = node.value.job;
      const waitMs =
        service.kind === 'held'
          ? service.ms
          : service.firstFactor * firstTokenMs(this.#model, service.uncachedTokens, this.#running.size);
      this.#beforeFirst.put(node, node.value.startedAt + waitMs, order);
    }
  }

  stop(job: Kind, now: Milliseconds): EndedJob<Kind> {
    this.#place();
    this.#advance(now);
    const running = this.#running.get(job.id);
    if (running === undefined) throw new Error(`the job ${job.id} does not run`);
    (running.firstAt === undefined ? this.#beforeFirst : this.#answering).remove(running.node);
    return this.#settled(running, 'cancelled', now);
  }

  takeEnded(now: Milliseconds): readonly EndedJob<Kind>[] {
    this.#place();
    this.#advance(now);
    const ended: EndedJob<Kind>[] = [];
    for (let node = this.#beforeFirst.nodes[0]; node && node.key <= now; node = this.#beforeFirst.nodes[0]) {
      this.#beforeFirst.remove(node);
      const { job } = node.value;
      const { service } = job;
      if (service.kind === 'held') {
        ended.push(this.#settled(node.value, service.fails ? 'failed' : 'completed', now));
        continue;
      }
      node.value.firstAt = now;
      node.value.tokensAtFirst = this.#tokens;
      const work = service.tokenFactor * Math.max(0, job.answerTokens - 1);
      this.#answering.put(node, this.#tokens + work, node.order);
    }
    for (
      let node = this.#answering.nodes[0];
      node && node.key <= this.#tokens + ROUNDING;
      node = this.#answering.nodes[0]
    ) {
      this.#answering.remove(node);
      ended.push(this.#settled(node.value, 'completed', now));
    }
    return ended;
  }

  nextAt(): Milliseconds {
    this.#place();
    const first = this.#beforeFirst.nodes[0]?.key ?? Number.POSITIVE_INFINITY;
    const node = this.#answering.nodes[0];
    if (node === undefined) return first;
    const leftMs = Math.max(0, node.key - this.#tokens) * this.#tokenMs;
    return Math.min(first, this.#now + leftMs);
  }

  get #tokenMs(): Milliseconds {
    return tokenMs(this.#model, this.#running.size);
  }

  #advance(now: Milliseconds): void {
    const perToken = this.#tokenMs;
    // A target without a time per token answers at once.
    if (perToken > 0) this.#tokens += (now - this.#now) / perToken;
    else if (this.#answering.nodes[0] !== undefined)
      this.#tokens = Math.max(this.#tokens, ...this.#answering.nodes.map(({ key }) => key));
    this.#now = now;
  }

  #settled(running: RunningJob<Kind>, outcome: Settlement['outcome'], now: Milliseconds): EndedJob<Kind> {
    const { job, startedAt, firstAt, tokensAtFirst } = running;
    this.#running.delete(job.id);
    const factor = job.service.kind === 'streamed' ? job.service.tokenFactor : 1;
    const soFar = 1 + Math.floor((this.#tokens - tokensAtFirst) / Math.max(ROUNDING, factor));
    const cutOff = firstAt === undefined ? 0 : Math.min(job.answerTokens, soFar);
    return {
      job,
      servedMs: now - startedAt,
      settlement: {
        outcome,
        promptTokens: job.promptTokens,
        answerTokens: outcome === 'completed' ? job.answerTokens : cutOff,
        firstTokenMs: firstAt === undefined ? undefined : firstAt - startedAt,
      },
    };
  }
}
