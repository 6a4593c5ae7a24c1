/**
 * Every fault of an upstream, alone and with another target beside it: each client gets exactly one complete answer, or one clear
 * error, and nothing is left of any request. The long run (faults.long.ts) has the combinations, and the counts of
 * docs/reliability.md.
 */
import { describe, expect, type TestContext, test, vi } from 'vitest';
import { meaningOf } from '../../src/core/failure.ts';
import { type Ask, allAsks, FORMS, PROTOCOLS } from '../support/faults/asks.ts';
import type { Fault, Wire } from '../support/faults/fault.ts';
import { type Asked, startFaultWorld } from '../support/faults/fault-world.ts';
import { FAULT_NAMES, faultOf } from '../support/faults/faults.ts';
import { ask } from '../support/http-client.ts';

const WIRES: readonly Wire[] = ['openai-compatible', 'ollama'];
const WITHIN = { timeout: 120_000, interval: 25 };

const HEAVY_ASKS: readonly Ask[] = [
  { protocol: 'native', form: 'whole' },
  { protocol: 'anthropic', form: 'whole' },
  { protocol: 'openai-chat', form: 'stream' },
  { protocol: 'ollama', form: 'stream' },
];

/** Each with one of the wires that have it, the other one than its neighbours. */
const CASES = FAULT_NAMES.map(
  (name, at) => [name, faultOf(name).wire ?? WIRES[at % 2] ?? 'ollama', at] as const,
);

describe.concurrent('one of two targets fails for ever: all are answered, as if nothing had happened', () => {
  test.for(CASES)('%s (%s)', async ([name, wire, at], { onTestFinished }) => {
    const fault = faultOf(name);
    const world = await startFaultWorld({ wires: [wire, wire], endsWith: onTestFinished });
    const asks = fault.isHeavy ? HEAVY_ASKS : allAsks({ from: at });
    const prompt = world.newPrompt();
    const undisturbed = await Promise.all(asks.map((each) => world.ask(each, prompt)));
    for (const answered of undisturbed) expect(answered.kind, described(answered)).toBe('answer');
    world.target(0).play(() => name);
    world.target(1).play(() => undefined);
    const outcomes = await Promise.all(asks.map((each) => world.ask(each, prompt)));
    await world.settled();
    expect(world.target(0).struck).toBeGreaterThan(0);
    expect(world.target(1).generations).toBeGreaterThan(0);
    for (const [index, outcome] of outcomes.entries()) {
      if (fault.phase === 'rejected' && outcome.kind === 'error') {
        expect(outcome.line.errorCode, described(outcome)).toBe(fault.code);
        continue;
      }
      expect(outcome.kind, described(outcome)).toBe('answer');
      if (!fault.isOther) expect(outcome.text, described(outcome)).toBe(undisturbed[index]?.text);
    }
  });
});

describe.concurrent('a target without another beside it', () => {
  test.for(CASES)('%s (%s): once, and for ever', async ([name, wire, at], { onTestFinished }) => {
    const fault = faultOf(name);
    const world = await startFaultWorld({ wires: [wire], contextSizes: [2048], endsWith: onTestFinished });
    const form = fault.inStreamsOnly ? 'stream' : (FORMS[Math.floor(at / 2) % 2] ?? 'whole');
    const asked: Ask = { protocol: PROTOCOLS[at % PROTOCOLS.length] ?? 'native', form };
    const prompt = world.newPrompt();
    const undisturbed = await world.ask(asked, prompt);
    world.target(0).play((generation) => (generation === 1 ? name : undefined));
    const once = await world.ask(asked, prompt);
    if (isAnsweredAgain(fault)) {
      expect(once.kind, described(once)).toBe('answer');
      if (!fault.isOther) expect(once.text, described(once)).toBe(undisturbed.text);
    } else expectError(once, fault);
    world.target(0).play(() => name);
    const forEver = await world.ask(asked, prompt);
    if (fault.code === undefined) expect(forEver.kind, described(forEver)).toBe('answer');
    else expectError(forEver, fault);
    await world.settled();
  });
});

describe.concurrent('several targets', () => {
  const servers: readonly (readonly [string, string])[] = [
    ['a closed port', 'http://127.0.0.1:1'],
    ['a name that does not resolve', 'http://nothing.invalid'],
  ];
  test.for(servers)('%s: the other target answers everything', async ([, url], { onTestFinished }) => {
    const wires: Wire[] = ['openai-compatible', 'ollama'];
    const world = await startFaultWorld({ wires, url, endsWith: onTestFinished });
    for (const outcome of await Promise.all(allAsks().map((each) => world.ask(each))))
      expect(outcome.kind, described(outcome)).toBe('answer');
    await world.settled();
  });

  test('one stops answering anything, its probes too: nothing fails', async ({ onTestFinished }) => {
    const world = await startFaultWorld({ wires: ['ollama', 'ollama'], endsWith: onTestFinished });
    world.target(0).beSilent(true);
    for (const outcome of await Promise.all(allAsks().map((each) => world.ask(each))))
      expect(outcome.kind, described(outcome)).toBe('answer');
    world.target(0).beSilent(false);
    await world.settled();
  });

  test('two of three are down: nothing fails', async ({ onTestFinished }) => {
    const wires: Wire[] = ['openai-compatible', 'ollama', 'openai-compatible'];
    const world = await startFaultWorld({ wires, endsWith: onTestFinished });
    await Promise.all([world.target(0).goDown(), world.target(2).goDown()]);
    for (const outcome of await Promise.all(allAsks().map((each) => world.ask(each))))
      expect(outcome.kind, described(outcome)).toBe('answer');
    await world.settled();
  });

  test('all are down and come back: errors meanwhile, answers afterwards', async ({ onTestFinished }) => {
    const world = await startFaultWorld({
      wires: ['openai-compatible', 'openai-compatible'],
      endsWith: onTestFinished,
    });
    await Promise.all(world.targets.map((target) => target.goDown()));
    for (const outcome of await Promise.all(allAsks().map((each) => world.ask(each)))) {
      expect(outcome.kind, described(outcome)).toBe('error');
      expect(outcome.line.errorCode, described(outcome)).toBe('no_backend_available');
    }
    await Promise.all(world.targets.map((target) => target.listen()));
    await vi.waitFor(async () => {
      expect((await ask(`${world.server.url}/ready`)).status).toBe(200);
    }, WITHIN);
    for (const outcome of await Promise.all(allAsks().map((each) => world.ask(each))))
      expect(outcome.kind, described(outcome)).toBe('answer');
    await world.settled();
  });

  test('one fails every other request: nothing fails', async ({ onTestFinished }) => {
    const world = await startFaultWorld({
      wires: ['openai-compatible', 'ollama'],
      endsWith: onTestFinished,
    });
    world.target(0).play((generation) => (generation % 2 === 0 ? 'status-500' : undefined));
    for (let round = 0; round < 3; round += 1) {
      for (const outcome of await Promise.all(allAsks().map((each) => world.ask(each))))
        expect(outcome.kind, described(outcome)).toBe('answer');
    }
    await world.settled();
  });

  test('one that failed is asked again once it works', async ({ onTestFinished }: TestContext) => {
    const world = await startFaultWorld({
      wires: ['openai-compatible', 'ollama'],
      endsWith: onTestFinished,
    });
    world.target(0).play(() => 'status-500');
    await Promise.all(allAsks().map((each) => world.ask(each)));
    world.target(0).play(() => undefined);
    await vi.waitFor(async () => {
      const outcome = await world.ask({ protocol: 'native', form: 'whole' });
      expect(outcome.kind, described(outcome)).toBe('answer');
      expect(world.target(0).generations).toBeGreaterThan(0);
    }, WITHIN);
    await world.settled();
  });
});

/** The same target may be asked again after a pause, and does not fail then. */
function isAnsweredAgain({ phase, causes }: Fault): boolean {
  if (phase === 'harmless') return true;
  return phase !== 'rejected' && causes.some((cause) => meaningOf(cause).retry === 'any');
}

function expectError(outcome: Asked, { code }: Fault): void {
  expect(outcome.kind, described(outcome)).toBe('error');
  expect(outcome.line.errorCode, described(outcome)).toBe(code);
}

function described({ ask: { protocol, form }, body, line }: Asked): string {
  return `${protocol} ${form}: ${body.slice(0, 300)} … ${body.slice(-300)} ${JSON.stringify(line)}`;
}
