/** System prompt and parameters, tools, and the schema of the answer: of this conversation. */
import { useState } from 'preact/hooks';
import { useStore } from '../state/store.ts';
import { Icon } from '../ui/icons.tsx';
import { Tabs } from '../ui/tabs.tsx';
import { changeSettings } from './actions.ts';
import { abilities, conversation } from './chat-state.ts';
import {
  PARAMETERS,
  type Parameter,
  readParameter,
  readSchema,
  readTools,
  type Settings,
} from './settings.ts';

const TABS = ['Settings', 'Tools', 'JSON schema'] as const;

const EXAMPLE_TOOLS = `[
  {
    "name": "get_weather",
    "description": "The weather of a city now.",
    "parameters": {
      "type": "object",
      "properties": { "city": { "type": "string" } },
      "required": ["city"]
    }
  }
]
`;

const EXAMPLE_SCHEMA = `{
  "type": "object",
  "properties": {
    "city": { "type": "string" },
    "population": { "type": "integer" }
  },
  "required": ["city", "population"],
  "additionalProperties": false
}
`;

export function SettingsPanel({ onClose }: { readonly onClose: () => void }) {
  const [tab, setTab] = useState<(typeof TABS)[number]>('Settings');
  const settings = useStore(conversation, (shown) => shown.settings);
  const change = (changed: Partial<Settings>) => changeSettings({ ...settings, ...changed });
  return (
    <>
      <button type="button" class="icon-button close-side" aria-label="Close settings" onClick={onClose}>
        <Icon name="close" />
      </button>
      <Tabs label="Settings" names={TABS} chosen={tab} onChoose={setTab}>
        <div class="stack pad">
          {tab === 'Settings' && <Parameters settings={settings} change={change} />}
          {tab === 'Tools' && <ToolsTab settings={settings} change={change} />}
          {tab === 'JSON schema' && <SchemaTab settings={settings} change={change} />}
        </div>
      </Tabs>
    </>
  );
}

interface TabProps {
  readonly settings: Settings;
  readonly change: (changed: Partial<Settings>) => void;
}

function Parameters({ settings, change }: TabProps) {
  const { system, parameters } = settings;
  const set = Object.values(parameters).some((value) => value !== '');
  return (
    <>
      <label class="field">
        <span>System prompt</span>
        <textarea
          rows={5}
          value={system}
          onInput={(event) => change({ system: event.currentTarget.value })}
        />
      </label>
      <p class="hint">Only what is set is sent. Otherwise the model’s own defaults apply.</p>
      <div class="parameters">
        {PARAMETERS.map((parameter) => (
          <ParameterField
            key={parameter.name}
            parameter={parameter}
            value={parameters[parameter.name] ?? ''}
            onChange={(value) => change({ parameters: { ...parameters, [parameter.name]: value } })}
          />
        ))}
      </div>
      <div class="actions">
        <button type="button" class="button small" disabled={!set} onClick={() => change({ parameters: {} })}>
          Clear parameters
        </button>
      </div>
    </>
  );
}

interface ParameterFieldProps {
  readonly parameter: Parameter;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function ParameterField({ parameter, value, onChange }: ParameterFieldProps) {
  const { label, kind, hint, choices = [] } = parameter;
  const { problem } = readParameter(parameter, value);
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: each kind has its control
    <label class={kind === 'lines' ? 'field whole' : 'field'}>
      <span>{label}</span>
      {kind === 'choice' ? (
        <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
          <option value="">model’s own</option>
          {choices.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      ) : kind === 'lines' ? (
        <textarea
          rows={2}
          placeholder={hint}
          value={value}
          aria-invalid={problem !== undefined}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      ) : (
        <input
          inputMode={keypadFor(parameter)}
          placeholder={hint}
          value={value}
          aria-invalid={problem !== undefined}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )}
      {problem !== undefined && <span class="problem">{problem}</span>}
    </label>
  );
}

/** The keypads of phones for numbers have no minus. */
function keypadFor({ kind, min = 0 }: Parameter): 'text' | 'numeric' | 'decimal' {
  if (kind === 'number' && min < 0) return 'text';
  return kind === 'integer' ? 'numeric' : 'decimal';
}

function ToolsTab({ settings, change }: TabProps) {
  const { value, problem } = readTools(settings.tools);
  const can = useStore(abilities);
  return (
    <>
      <label class="field">
        <span>Tools, as JSON</span>
        <textarea
          rows={16}
          class="mono"
          spellcheck={false}
          value={settings.tools}
          aria-invalid={problem !== undefined}
          onInput={(event) => change({ tools: event.currentTarget.value })}
        />
      </label>
      <Validity
        problem={problem}
        good={value && `${value.length} tool${value.length === 1 ? '' : 's'} offered to the model.`}
      />
      {can?.tools === false && <p class="hint">This model is not made for tools.</p>}
      <p class="hint">The page calls nothing. You see each call and write its result.</p>
      <Fill text={settings.tools} example={EXAMPLE_TOOLS} set={(tools) => change({ tools })} />
    </>
  );
}

function SchemaTab({ settings, change }: TabProps) {
  const { value, problem } = readSchema(settings.schema);
  return (
    <>
      <label class="field">
        <span>JSON Schema of the answer</span>
        <textarea
          rows={16}
          class="mono"
          spellcheck={false}
          value={settings.schema}
          aria-invalid={problem !== undefined}
          onInput={(event) => change({ schema: event.currentTarget.value })}
        />
      </label>
      <Validity problem={problem} good={value && 'Answers are JSON that follows this schema.'} />
      <Fill text={settings.schema} example={EXAMPLE_SCHEMA} set={(schema) => change({ schema })} />
    </>
  );
}

function Validity({
  problem,
  good,
}: {
  readonly problem: string | undefined;
  readonly good: string | undefined;
}) {
  if (problem !== undefined) return <p class="check bad">{problem}</p>;
  return good === undefined ? null : <p class="check good">{good}</p>;
}

interface FillProps {
  readonly text: string;
  readonly example: string;
  readonly set: (text: string) => void;
}

function Fill({ text, example, set }: FillProps) {
  return (
    <div class="actions">
      {text.trim() === '' ? (
        <button type="button" class="button small" onClick={() => set(example)}>
          Insert an example
        </button>
      ) : (
        <button type="button" class="button small" onClick={() => set('')}>
          Clear
        </button>
      )}
    </div>
  );
}
