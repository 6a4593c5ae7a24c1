// docs/reliability.md with its tables: of causes from the code, of faults as a long run has counted them (LLM_TEST_KEEP_RESULTS).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Its tables of causes and of measured faults; the rest is written by hand. */
export function reliabilityPage({ root, failures }) {
  const results = (name) => JSON.parse(readFileSync(join(root, `bench/results/${name}.json`), 'utf8'));
  const page = readFileSync(join(root, 'docs/reliability.md'), 'utf8');
  const sections = {
    causes: causesTable(failures),
    faults: faultsTable(results('faults')),
    random: randomTable(results),
    killed: killedTable(results),
  };
  return Object.entries(sections).reduce((text, [name, table]) => withSection(text, name, table), page);
}

function withSection(page, name, text) {
  const begin = `<!-- ${name}: written by npm run docs -->`;
  const end = `<!-- ${name}: end -->`;
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from === -1 || to < from) throw new Error(`docs/reliability.md lacks ${begin} … ${end}`);
  return `${page.slice(0, from)}${begin}\n\n${text}\n\n${page.slice(to)}`;
}

function causesTable(failures) {
  const where = {
    any: 'another target, else the same one',
    elsewhere: 'another target',
    larger: 'a larger context',
  };
  const says = { fault: 'a fault', slow: 'it is slow', none: 'nothing' };
  return [
    row('cause', 'means', 'tried again at', 'says of the target'),
    row('---', '---', '---', '---'),
    ...Object.entries(failures).map(([cause, { means, retry, health }]) =>
      row(`\`${cause}\``, means, where[retry] ?? 'nowhere', says[health]),
    ),
  ].join('\n');
}

function faultsTable({ rows, added }) {
  const code = (codes) => (codes.length === 0 ? 'an answer' : codes.map((each) => `\`${each}\``).join(', '));
  const head = [
    'fault',
    'cause',
    'strikes, and requests, beside a healthy target',
    'answered',
    'errors',
    'once, without another target',
    'for ever, without another target',
    'asked again after, s (median)',
  ];
  const seconds = ({ count, median }) => (count === 0 ? '–' : (median / 1000).toFixed(1));
  return [
    row(...head),
    row(...head.map(() => '---')),
    ...rows.map((each) =>
      row(
        each.title,
        each.cause === '' ? '–' : `\`${each.cause}\``,
        `${each.struck}, ${each.requests}`,
        each.answered,
        each.failed,
        `${each.aloneAnswered} of ${each.aloneAsked} answered`,
        code(each.codes),
        seconds(each.recoveryMs),
      ),
    ),
    '',
    `A retry elsewhere costs little: of ${added.count} streams that were tried elsewhere, each asked alone, the time to the first token beyond the fault’s own detection (at once, or the time-out of a silence) was ${added.median} ms (median), ${added.p95} ms (95th percentile), ${added.max} ms (longest).`,
  ].join('\n');
}

function randomTable(results) {
  const head = [
    'targets at fault',
    'requests',
    'struck',
    'tried again',
    'resumed',
    'answered',
    'one clear error',
    'neither',
    'changed text',
  ];
  return [
    row(...head),
    row(...head.map(() => '---')),
    ...[1, 2].map((atFault) => {
      const run = results(`faults-random-${atFault}`);
      const { requests, struck, retried, resumed, answered, failed, broken, changed } = run;
      return row(
        `${atFault} of ${run.targets}`,
        requests,
        struck,
        retried,
        resumed,
        answered,
        failed,
        broken,
        changed,
      );
    }),
  ].join('\n');
}

function killedTable(results) {
  const head = [
    'slots of each engine',
    'streams',
    'kills',
    'streams that ran at the killed ones',
    'resumed',
    'equal in two undisturbed runs',
    'equal to an undisturbed run',
    'ended by an error',
    'changed, doubled or lost characters',
  ];
  return [
    row(...head),
    row(...head.map(() => '---')),
    ...[1, 4].map((slots) => {
      const run = results(`killed-engine-${slots}-slots`);
      const { streams, kills, runningAtKill, resumed, common, equal, failed } = run;
      const changed = run.resumedWithOtherText + run.failedWithOtherText;
      return row(slots, streams, kills, runningAtKill, resumed, common, equal, failed, changed);
    }),
  ].join('\n');
}

/** Of a Markdown table. */
export function row(...cells) {
  return `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
}
