/** `llm-serve chat` at a terminal of its own, and from a pipe, with a real server. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runExecutable, startCommand, startExecutable } from '../support/executable.ts';
import {
  hasTerminals,
  KEYS,
  NO_TERMINALS,
  onTerminal,
  type PseudoTerminal,
} from '../support/pseudo-terminal.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, startServer } from '../support/server.ts';

const endsWith = endingAfterAll();
const server = startServer({
  flags: [...scriptedFlags({ id: 'demo' }, { id: 'other' }, { id: 'limited' }), '--retry.attempts', '1'],
  endsWith,
});
const environment = async () => ({ LLM_SERVE_SERVER: (await server).url });
/** On one line and in ASCII, as it is typed. */
const script = (values: Readonly<Record<string, unknown>>) =>
  JSON.stringify({ script: values }).replace(
    /[^ -~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** Types the question, and waits until it has been entered: what is shown then is the answer. */
async function ask(chat: PseudoTerminal, values: Readonly<Record<string, unknown>>): Promise<void> {
  chat.type(script(values));
  chat.type(KEYS.enter);
  await chat.shows('}}\r');
}

describe('at a terminal', () => {
  test('one asks, changes the model, sees the receipt, and leaves with Ctrl-D', async (context) => {
    if (!hasTerminals) context.skip(NO_TERMINALS);
    const chat = onTerminal(['chat', 'demo'], { environment: await environment() });
    await chat.shows('demo at http://127.0.0.1');
    await ask(chat, { text: 'Paris.' });
    await chat.shows('Paris.\r\n');
    chat.type(`/stats${KEYS.enter}`);
    expect(await chat.shows(' in all')).toMatch(
      /queue [\d.]+ ms, first token [\d.]+ ms,.* 1 prompt token \(0 cached\), 1 token, target demo\/scripted\/0, demo, [\d.]+ ms in all/,
    );
    chat.type(`/model othr${KEYS.enter}`);
    await chat.shows('Did you mean other?');
    chat.type(`/model other${KEYS.enter}`);
    await chat.shows('other answers from now on.');
    chat.type(`/model${KEYS.enter}`);
    expect(await chat.shows('* other')).toContain('  demo');
    chat.type(KEYS.ctrlD);
    expect(await chat.exitCode).toBe(0);
  });

  test('Ctrl-C stops the answer on the server and keeps the conversation; twice leaves', async (context) => {
    if (!hasTerminals) context.skip(NO_TERMINALS);
    const { url, logged } = await server;
    const chat = onTerminal(['chat'], { environment: { LLM_SERVE_SERVER: url } });
    await chat.shows('> ');
    await ask(chat, { text: 'stop it and wait', token_delay_ms: 60_000 });
    await chat.shows('stop');
    chat.type(KEYS.ctrlC);
    await chat.shows('(stopped)');
    await logged(({ path, status }) => path === '/v1/chat/completions' && status === 499);
    chat.type(`/stats${KEYS.enter}`);
    expect(await chat.shows(' before its end')).toMatch(
      /first token [\d.]+ m?s, target demo\/scripted\/0, demo, stopped after [\d.]+ m?s, before its end/,
    );
    chat.type(`/save kept.json${KEYS.enter}`);
    await chat.shows('Saved in kept.json.');
    const kept = join(chat.folder, 'kept.json');
    expect(JSON.parse(readFileSync(kept, 'utf8')).messages).toMatchObject([
      { role: 'user' },
      { role: 'assistant', content: 'stop' },
    ]);
    expect(statSync(kept).mode & 0o777).toBe(0o600);
    chat.type(KEYS.ctrlC);
    await chat.shows('Ctrl-C again');
    chat.type(KEYS.ctrlC);
    expect(await chat.exitCode).toBe(0);
  });

  test('an answer does not steer the terminal', async (context) => {
    if (!hasTerminals) context.skip(NO_TERMINALS);
    const chat = onTerminal(['chat'], { environment: { ...(await environment()), NO_COLOR: '1' } });
    await chat.shows('> ');
    const evil = '\u001b]0;pwned\u0007\u001b[2J\u009b31m';
    await ask(chat, { text: `before ${evil} after`, reasoning: evil });
    const shown = await chat.shows(' after');
    expect(shown.match(/\\u001b\]0;pwned\\u0007\\u001b\[2J\\u009b31m/g)).toHaveLength(2);
    expect(shown.replace(/[\r\n]/g, '')).not.toMatch(/\p{Cc}/u);
  });

  test('an answer that fails can be asked for again, and says why', async (context) => {
    if (!hasTerminals) context.skip(NO_TERMINALS);
    const chat = onTerminal(['chat'], { environment: await environment() });
    await chat.shows('> ');
    await ask(chat, { text: 'a b c d', fail: 'mid-stream', fail_after_tokens: 2 });
    await chat.shows('The scripted backend failed, as its script says. /retry asks again.');
    chat.type(`/retry${KEYS.enter}`);
    expect(await chat.shows('/retry asks again.')).toContain('a b');
    chat.type(`/model limited${KEYS.enter}`);
    await chat.shows('from now on.');
    await ask(chat, { fail: 'rate-limited' });
    await chat.shows('Try again in 7 seconds. /retry asks again.');
  });

  test('it outlives its server: the question waits for one that answers, also with other models', async (context) => {
    if (!hasTerminals) context.skip(NO_TERMINALS);
    const ends = { endsWith: onTestFinished };
    const first = await startExecutable({ flags: scriptedFlags({ id: 'demo' }), ...ends });
    const chat = onTerminal(['chat', 'demo'], { environment: { LLM_SERVE_SERVER: first.url } });
    await chat.shows('> ');
    await ask(chat, { text: 'kept' });
    await chat.shows('kept\r\n');
    await ask(chat, { text: 'cut and wait', token_delay_ms: 60_000 });
    await chat.shows('cut');
    await first.stop('SIGKILL');
    await chat.shows(`The connection to ${first.url} was lost. /retry asks again.`);
    chat.type(`/retry${KEYS.enter}`);
    await chat.shows(`No server answers at ${first.url} (connection refused).`);
    await chat.shows('/retry asks again.');
    await startServer({ flags: ['--port', String(first.port), ...scriptedFlags({ id: 'other' })], ...ends });
    chat.type(`/retry${KEYS.enter}`);
    expect(await chat.shows('/model lists those that there are.')).toContain('demo');
    chat.type(`/model other${KEYS.enter}`);
    await chat.shows('from now on.');
    chat.type(`/retry${KEYS.enter}`);
    await chat.shows('cut');
    chat.type(KEYS.ctrlC);
    await chat.shows('(stopped)');
    chat.type(`/save kept.json${KEYS.enter}`);
    await chat.shows('Saved in');
    const { messages } = JSON.parse(readFileSync(join(chat.folder, 'kept.json'), 'utf8'));
    expect(
      messages
        .map(({ content }: { content: string }) => content)
        .filter((each: string) => !each.startsWith('{')),
    ).toEqual(['kept', 'cut']);
  });

  test('a key that is revoked is told, and that asking again would help is not', async (context) => {
    if (!hasTerminals) context.skip(NO_TERMINALS);
    const keys = (key: string) =>
      `auth:\n  api_keys: [${key}]\nmodels:\n  - id: demo\n    targets: [{ backend: scripted, model: demo }]\n`;
    const guarded = await startServer({ configFile: keys('key-of-mine'), endsWith: onTestFinished });
    const environment = { LLM_SERVE_SERVER: guarded.url, LLM_SERVE_KEY: 'key-of-mine' };
    const chat = onTerminal(['chat'], { environment });
    await chat.shows('> ');
    guarded.reconfigure({ configFile: keys('key-of-others') });
    guarded.reload('test');
    await guarded.logged(({ msg }) => msg.includes('reloaded'));
    await ask(chat, { text: 'never' });
    const shown = await chat.shows('> ');
    expect(shown).toContain('Give a key with LLM_SERVE_KEY or --key.');
    expect(shown).not.toContain('/retry');
  });

  test('pasted lines are one question, and so are those of a fence', async (context) => {
    if (!hasTerminals) context.skip(NO_TERMINALS);
    const chat = onTerminal(['chat'], { environment: await environment() });
    await chat.shows('> ');
    chat.type(`\u001b[200~one\ntwo\u001b[201~${KEYS.enter}`);
    await chat.shows('one two one two');
    chat.type(`"""three${KEYS.enter}four"""${KEYS.enter}`);
    await chat.shows('three four three four');
    chat.type(`/save kept.json${KEYS.enter}`);
    await chat.shows('Saved in');
    const { messages } = JSON.parse(readFileSync(join(chat.folder, 'kept.json'), 'utf8'));
    expect(messages).toMatchObject([
      { content: 'one\ntwo' },
      { role: 'assistant' },
      { content: 'three\nfour' },
      { role: 'assistant' },
    ]);
  });

  test('the arrow keys find what was entered in earlier chats, unless that is switched off', async (context) => {
    if (!hasTerminals) context.skip(NO_TERMINALS);
    const first = onTerminal(['chat'], { environment: await environment() });
    await first.shows('> ');
    first.type(`/system Be brief.${KEYS.enter}`);
    await first.shows('is set.');
    first.type(` /system secret${KEYS.enter}`);
    await first.shows('is set.');
    first.type(KEYS.ctrlD);
    await first.exitCode;
    const path = join(first.folder, '.local', 'state', 'llm-serve', 'chat-history');
    expect(readFileSync(path, 'utf8')).toBe('/system Be brief.\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);

    const second = onTerminal(['chat'], { environment: await environment(), folder: first.folder });
    await second.shows('> ');
    second.type(`${KEYS.up}${KEYS.enter}`);
    await second.shows('is set.');

    const third = onTerminal(['chat', '--no-history'], {
      environment: await environment(),
      folder: first.folder,
    });
    await third.shows('> ');
    third.type(`/set seed 1${KEYS.enter}`);
    await third.shows('seed 1');
    expect(readFileSync(path, 'utf8')).not.toContain('seed');
  });

  test('run without a prompt is a chat', async (context) => {
    if (!hasTerminals) context.skip(NO_TERMINALS);
    const chat = onTerminal(['run', 'demo'], { environment: await environment() });
    await chat.shows('demo at http://127.0.0.1');
    chat.type(`/bye${KEYS.enter}`);
    expect(await chat.exitCode).toBe(0);
  });

  test('Ctrl-C ends run with 130, and its answer on the server', async (context) => {
    if (!hasTerminals) context.skip(NO_TERMINALS);
    const { url, logged, logs } = await server;
    const before = logs().length;
    const prompt = script({ text: 'wait for it', token_delay_ms: 60_000 });
    const run = onTerminal(['run', prompt, '-m', 'demo'], { environment: { LLM_SERVE_SERVER: url } });
    await run.shows('wait');
    run.type(KEYS.ctrlC);
    expect(await run.exitCode).toBe(130);
    await logged((line) => line.status === 499 && logs().indexOf(line) >= before);
  });
});

describe('from a pipe', () => {
  const piped = async (input: string, args: readonly string[] = []) =>
    runExecutable(['chat', ...args], { environment: await environment(), input, endsWith: onTestFinished });

  test('each line is a question, and only answers are printed, without colours', async () => {
    const { exitCode, stdout, stderr } = await piped(
      `${script({ text: 'one', reasoning: 'hm' })}\n/set seed 1\n"""${scripted({ text: 'two' })}\n"""\n`,
    );
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: 'one\ntwo\n', stderr: 'seed 1\n' });
  });

  test('the first failure ends it with 1', async () => {
    const { exitCode, stdout, stderr } = await piped(`${script({ fail: 'error' })}\nnever asked\n`);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toBe('llm-serve: The scripted backend failed, as its script says.\n');
  });

  test('a reader that has enough ends it: the answer is given up, and no further question is asked', async () => {
    const { url, logged, logs } = await server;
    const before = logs().length;
    const input = `${script({ text: 'word '.repeat(3000), token_delay_ms: 5 })}\n`.repeat(3);
    const chat = startCommand(['chat', 'demo'], {
      environment: { LLM_SERVE_SERVER: url },
      input,
      endsWith: onTestFinished,
    });
    chat.stopReading();
    const { exitCode, stderr } = await chat.ended;
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    await logged((line) => line.status === 499 && logs().indexOf(line) >= before);
    const asked = logs()
      .slice(before)
      .filter(({ msg, method }) => msg === 'request' && method === 'POST');
    expect(asked).toHaveLength(1);
  });

  test('a model that is not served is wrong usage, with what was probably meant', async () => {
    const { exitCode, stderr } = await piped('hello\n', ['demmo']);
    expect(exitCode).toBe(2);
    expect(stderr).toBe(
      'llm-serve: The server has no model "demmo". Did you mean demo? Its models: demo, other, limited.\n',
    );
  });
});
