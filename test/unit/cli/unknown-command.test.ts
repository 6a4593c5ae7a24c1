import { expect, it } from 'vitest';
import { rejectUnknownCommand } from '../../../src/cli/unknown-command.ts';

const COMMANDS = ['serve', 'check-config', 'models'];

it.each([
  ['serv', 'Did you mean llm-serve serve?'],
  ['sevre', 'Did you mean llm-serve serve?'],
  ['Serve', 'Did you mean llm-serve serve?'],
  ['check-confg', 'Did you mean llm-serve check-config?'],
  ['model', 'Did you mean llm-serve models?'],
  ['download', 'Did you mean llm-serve pull?'],
  ['ask', 'Did you mean llm-serve run?'],
  ['qwen3-0.6b', 'Did you mean llm-serve --model qwen3-0.6b?'],
  ['qwen3', 'Did you mean llm-serve --model qwen3-0.6b?'],
  ['qwen3:4b', 'Did you mean llm-serve --model qwen3:4b?'],
  ['complete', 'Did you mean llm-serve run?'],
  ['./some-model.gguf', 'Did you mean llm-serve --model ./some-model.gguf?'],
])('%s is refused with what was probably meant', (word, suggestion) => {
  expect(() => rejectUnknownCommand(word, COMMANDS)).toThrow(
    `There is no command "${word}". ${suggestion} Commands: `,
  );
});

it.each([
  ['remov', 'Did you mean llm-serve models remove?'],
  ['lst', 'Did you mean llm-serve models list?'],
  ['qwen3-0.6b', 'Did you mean llm-serve --model qwen3-0.6b?'],
])('models %s is refused with what was probably meant', (word, suggestion) => {
  expect(() => rejectUnknownCommand(word, ['list', 'show', 'pull', 'remove'], 'models')).toThrow(
    `There is no command "models ${word}". ${suggestion} Commands: models list, models show, models pull, models remove. llm-serve models --help describes them.`,
  );
});

it.each([
  ['delete', 'Did you mean llm-serve keys revoke? '],
  ['lst', 'Did you mean llm-serve keys list? '],
  ['start', ''],
  ['qwen3', ''],
])('keys %s is not taken for a command or a model outside of keys', (word, suggestion) => {
  expect(() => rejectUnknownCommand(word, ['create', 'list', 'revoke'], 'keys')).toThrow(
    `There is no command "keys ${word}". ${suggestion}Commands: keys create, keys list, keys revoke.`,
  );
});

it.each(['walk', 'constructor', ''])('%s is refused with the commands there are', (word) => {
  expect(() => rejectUnknownCommand(word, COMMANDS)).toThrow(
    `There is no command "${word}". Commands: serve, check-config, models. llm-serve --help describes them.`,
  );
});
