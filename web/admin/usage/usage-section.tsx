/** What was used: by team, key, model, target or day, as a chart, a table and a file. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { number } from '../../ui/amounts.ts';
import { readUsage, type UsageAnswer, type UsageMeasures } from '../api.ts';
import { currency, useCurrency } from '../currency.ts';
import { Loaded, useResource } from '../loaded.tsx';
import { MAX_GROUPS, UsageChart } from './usage-chart.tsx';
import { usageCsv } from './usage-csv.ts';
import {
  columnsOf,
  dayOf,
  daysInWords,
  GROUPS,
  type Group,
  MEASURES,
  type Measure,
  questionOf,
  RANGES,
  type Range,
  type RangeName,
  rangeOf,
  sumOf,
  totalsOf,
} from './usage-report.ts';

const POLL_MS = 30_000;
const DAY_CHECK_MS = 5_000;

const GROUP_WORDS: Readonly<Record<Group, { readonly title: string; readonly none: string }>> = {
  team: { title: 'Team', none: 'no team' },
  key: { title: 'Key', none: 'no key' },
  model: { title: 'Model', none: 'not known' },
  target: { title: 'Target', none: 'none' },
  day: { title: 'Day', none: '–' },
};

export function UsageSection() {
  const [group, setGroup] = useState<Group>('team');
  const [measure, setMeasure] = useState<Measure>('tokens');
  const [rangeName, setRangeName] = useState<RangeName>('week');
  const [custom, setCustom] = useState({ from: '', to: '' });
  const today = useToday();
  const range = useMemo(() => rangeOf(rangeName, new Date(today), custom), [rangeName, today, custom]);
  return (
    <section aria-labelledby="admin-usage">
      <div class="admin-head">
        <h2 id="admin-usage">Usage</h2>
        <Choice
          label="By"
          value={group}
          names={GROUPS}
          words={(name) => GROUP_WORDS[name].title.toLowerCase()}
          onChoose={setGroup}
        />
        <Choice
          label="Over"
          value={rangeName}
          names={Object.keys(RANGES) as RangeName[]}
          words={(name) => RANGES[name]}
          onChoose={setRangeName}
        />
        <MeasureChoice value={measure} onChoose={setMeasure} />
        {range !== undefined && <span class="hint">{daysInWords(range)}</span>}
      </div>
      {rangeName === 'custom' && (
        <div class="admin-head">
          <DayField
            label="First day"
            value={custom.from}
            onInput={(from) => setCustom({ ...custom, from })}
          />
          <DayField label="Last day" value={custom.to} onInput={(to) => setCustom({ ...custom, to })} />
        </div>
      )}
      {range === undefined ? (
        <p class="notice">Choose a first and a last day.</p>
      ) : (
        <Report group={group} range={range} measure={measure} />
      )}
    </section>
  );
}

/** The UTC day that it is, as long as the section is open. A timer until midnight would be late on a machine that sleeps. */
function useToday(): number {
  const [today, setToday] = useState(() => dayOf(Date.now()));
  useEffect(() => {
    const timer = setInterval(() => setToday(dayOf(Date.now())), DAY_CHECK_MS);
    return () => clearInterval(timer);
  }, []);
  return today;
}

interface ChoiceProps<Name extends string> {
  readonly label: string;
  readonly value: Name;
  readonly names: readonly Name[];
  readonly words: (name: Name) => string;
  readonly onChoose: (name: Name) => void;
}

function Choice<Name extends string>({ label, value, names, words, onChoose }: ChoiceProps<Name>) {
  return (
    <label class="admin-choice">
      {label}
      <select value={value} onChange={(event) => onChoose(event.currentTarget.value as Name)}>
        {names.map((name) => (
          <option key={name} value={name}>
            {words(name)}
          </option>
        ))}
      </select>
    </label>
  );
}

function MeasureChoice({ value, onChoose }: Pick<ChoiceProps<Measure>, 'value' | 'onChoose'>) {
  const unit = useCurrency();
  return (
    <Choice
      label="Chart of"
      value={value}
      names={MEASURES}
      words={(name) => measureInWords(name, unit).toLowerCase()}
      onChoose={onChoose}
    />
  );
}

function measureInWords(measure: Measure, unit: string): string {
  if (measure === 'cost') return `Cost in ${unit}`;
  return measure === 'slot_seconds' ? 'Slot seconds' : measure === 'tokens' ? 'Tokens' : 'Requests';
}

interface DayFieldProps {
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
}

function DayField({ label, value, onInput }: DayFieldProps) {
  return (
    <label class="admin-choice">
      {label}
      <input type="date" value={value} onInput={(event) => onInput(event.currentTarget.value)} />
    </label>
  );
}

interface ReportProps {
  readonly group: Group;
  readonly range: Range;
  readonly measure: Measure;
}

function Report({ group, range, measure }: ReportProps) {
  const question = questionOf(group, range);
  const asked = useResource(
    async (options) => {
      const answer = await readUsage(question, options);
      currency.set(answer.currency);
      return answer;
    },
    { pollMs: POLL_MS, question: JSON.stringify(question) },
  );
  return (
    <Loaded asked={asked}>
      {(answer) =>
        answer.rows.length === 0 ? (
          <div class="admin-empty">
            <p>
              Nothing was used in this time. Ask something in <a href="#/chat">Chat</a>, or see what clients
              are told with <code>llm-serve keys create …</code>; the same figures are{' '}
              <code>llm-serve usage --by {group}</code>.
            </p>
          </div>
        ) : (
          <Figures answer={answer} group={group} range={range} measure={measure} />
        )
      }
    </Loaded>
  );
}

function Figures({ answer, group, range, measure }: ReportProps & { readonly answer: UsageAnswer }) {
  const unit = useCurrency();
  const nameOf = useMemo(() => (name: string) => name || GROUP_WORDS[group].none, [group]);
  const format = measure === 'cost' ? money : number;
  const columns = useMemo(
    () => columnsOf(answer.rows, { group, range, measure, most: MAX_GROUPS }),
    [answer, group, range, measure],
  );
  return (
    <>
      <UsageChart
        title={`${measureInWords(measure, unit)} a ${questionOf(group, range).by.at(-1)} (UTC)`}
        columns={columns}
        format={format}
        nameOf={nameOf}
      />
      <UsageTable answer={answer} group={group} nameOf={nameOf} />
      <p class="admin-line">
        <button type="button" class="button small" onClick={() => save(answer, group, range)}>
          Download as CSV
        </button>
        <span class="hint">
          Errors and rejections are among the requests; cached tokens are among those of prompts.
        </span>
      </p>
    </>
  );
}

interface UsageTableProps {
  readonly answer: UsageAnswer;
  readonly group: Group;
  readonly nameOf: (group: string) => string;
}

function UsageTable({ answer, group, nameOf }: UsageTableProps) {
  const totals = totalsOf(answer.rows, group);
  const columns = [
    GROUP_WORDS[group].title,
    'Requests',
    'Errors',
    'Rejected',
    'Prompt tokens',
    'Cached',
    'Answer tokens',
    `Cost (${answer.currency})`,
    'Slot time',
  ];
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, which the keyboard must be able to do
    <section class="table-scroll" tabIndex={0} aria-label="Usage, table">
      <table class="table">
        <thead>
          <tr>
            {columns.map((column) => (
              <th scope="col" key={column}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {totals.map((total) => (
            <tr key={total.group}>
              <th scope="row">{nameOf(total.name)}</th>
              <Cells measures={total} />
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">All</th>
            <Cells measures={sumOf(totals)} />
          </tr>
        </tfoot>
      </table>
    </section>
  );
}

function Cells({ measures }: { readonly measures: UsageMeasures }) {
  const texts = [
    number(measures.requests),
    number(measures.errors),
    number(measures.rejections),
    number(measures.prompt_tokens),
    number(measures.cached_tokens),
    number(measures.completion_tokens),
    money(measures.cost),
    `${number(measures.slot_seconds)} s`,
  ];
  return (
    <>
      {texts.map((text, at) => (
        <td key={at} class="figure-cell">
          {text}
        </td>
      ))}
    </>
  );
}

/** Cents, and what is smaller than one with the digits that it has. */
function money(value: number): string {
  return value.toLocaleString('en', {
    minimumFractionDigits: 2,
    maximumFractionDigits: value !== 0 && Math.abs(value) < 1 ? 4 : 2,
  });
}

function save(answer: UsageAnswer, group: Group, range: Range): void {
  const file = new Blob([usageCsv(answer, questionOf(group, range).by)], { type: 'text/csv' });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = `usage-by-${group}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}
