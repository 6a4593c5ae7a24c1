/** The options that `chat` and `run` share: how the answer is to be, and what is shown with it. */
import type { Command } from 'commander';
import { ConfigError } from '../config/config-error.ts';
import type { Parameters } from './chat-request.ts';
import { withParameter } from './chat-session.ts';

export interface AnswerOptions {
  readonly system: string | undefined;
  readonly parameters: Parameters;
  readonly hidesThinking: boolean;
  readonly showsStats: boolean;
}

/** Option → the parameter that it sets. */
const PARAMETER_OPTIONS = {
  temperature: 'temperature',
  maxTokens: 'max_tokens',
  seed: 'seed',
  think: 'reasoning_effort',
} as const;

export function addAnswerOptions(command: Command): Command {
  return command
    .optionsGroup('Answer:')
    .option('--system <text>', 'the system prompt')
    .option('--temperature <number>', '0 to 2; default: the model’s own')
    .option('--max-tokens <number>', 'tokens of the answer at most')
    .option('--seed <number>', 'the same seed, the same answer, as far as the model’s backend can')
    .option('--set <name=value>', 'another parameter, such as top_p=0.9; may be repeated', collect)
    .option('--think <effort>', 'none, low, medium or high, for models that think')
    .option('--hide-thinking', 'show that it thinks, not what')
    .option('--stats', 'the receipt of each answer: waiting time, first token, tokens per second');
}

export function answerOptionsOf(command: Command): AnswerOptions {
  const value = (name: string) => command.getOptionValue(name) as string | undefined;
  let parameters: Parameters = {};
  const set = (name: string, text: string) => {
    const next = withParameter(parameters, name, text);
    if (typeof next === 'string') throw new ConfigError(next);
    parameters = next;
  };
  for (const pair of (command.getOptionValue('set') ?? []) as readonly string[]) {
    const [name = '', ...rest] = pair.split('=');
    if (rest.length === 0) throw new ConfigError(`--set is ${JSON.stringify(pair)}, but must be NAME=VALUE.`);
    set(name, rest.join('='));
  }
  for (const [option, name] of Object.entries(PARAMETER_OPTIONS)) {
    const text = value(option);
    if (text !== undefined) set(name, text);
  }
  return {
    system: value('system'),
    parameters,
    hidesThinking: command.getOptionValue('hideThinking') === true,
    showsStats: command.getOptionValue('stats') === true,
  };
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
