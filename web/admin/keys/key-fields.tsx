/** The fields of a key: for a new one, and for one that is changed. */

import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { LIMIT_KINDS, LIMIT_NAMES, type LimitName } from '../../../src/core/limit-names.ts';
import { PRIORITIES, type Priority } from '../../../src/core/priority.ts';
import { useCurrency } from '../currency.ts';
import { limitName, moment } from '../words.ts';
import { EXPIRIES, type Expiry, type KeyForm, type Problems } from './key-form.ts';

interface KeyFieldsProps {
  readonly form: KeyForm;
  readonly problems: Problems;
  /** Of the configuration. */
  readonly models: readonly string[];
  /** Of the key that is changed. */
  readonly expiresAt: string | null;
  readonly onChange: (changed: Partial<KeyForm>) => void;
}

export function KeyFields({ form, problems, models, expiresAt, onChange }: KeyFieldsProps) {
  // As it begins: a field that is emptied must not fold up around the person who types.
  const [isLimited] = useState(LIMIT_NAMES.some((name) => form.limits[name] !== ''));
  const [isLabelled] = useState(form.labels !== '');
  return (
    <>
      <div class="admin-fields">
        <Field label="Name" problem={problems.name}>
          {(attributes) => (
            <input
              {...attributes}
              data-begins=""
              autocomplete="off"
              maxLength={100}
              value={form.name}
              onInput={(event) => onChange({ name: event.currentTarget.value })}
            />
          )}
        </Field>
        <Field label="Team" problem={problems.team}>
          {(attributes) => (
            <input
              {...attributes}
              autocomplete="off"
              maxLength={100}
              value={form.team}
              onInput={(event) => onChange({ team: event.currentTarget.value })}
            />
          )}
        </Field>
        <Field label="Expires" problem={problems.expires_in}>
          {(attributes) => (
            <select
              {...attributes}
              value={form.expiry}
              onChange={(event) => onChange({ expiry: event.currentTarget.value as Expiry })}
            >
              {expiresAt !== null && <option value="same">as it is: {moment(expiresAt)} UTC</option>}
              {Object.entries(EXPIRIES).map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          )}
        </Field>
        {form.expiry === 'at' ? (
          <Field label="Expires at, by this browser’s clock" problem={problems.expires_at}>
            {(attributes) => (
              <input
                {...attributes}
                type="datetime-local"
                value={form.expiresAt}
                onInput={(event) => onChange({ expiresAt: event.currentTarget.value })}
              />
            )}
          </Field>
        ) : null}
        <Field label="Highest priority" problem={problems.highest_priority}>
          {(attributes) => (
            <select
              {...attributes}
              value={form.highestPriority}
              onChange={(event) => onChange({ highestPriority: event.currentTarget.value as Priority | '' })}
            >
              <option value="">as the configuration allows</option>
              {PRIORITIES.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <Models form={form} models={models} problem={problems.models} onChange={onChange} />
      <details class="admin-details" open={isLimited || hasLimitProblem(problems)}>
        <summary>Limits of its own</summary>
        <div class="admin-fields">
          {LIMIT_NAMES.map((name) => (
            <LimitField
              key={name}
              name={name}
              value={form.limits[name]}
              problem={problems[`limits.${name}`]}
              onInput={(value) => onChange({ limits: { ...form.limits, [name]: value } })}
            />
          ))}
        </div>
        <p class="hint">
          Empty: as <code>limits.per_key</code> and <code>rate_limit</code> of the configuration have it.
        </p>
      </details>
      <details class="admin-details" open={isLabelled || problems.labels !== undefined}>
        <summary>Labels</summary>
        <Field label="A label a line, as name=value" problem={problems.labels}>
          {(attributes) => (
            <textarea
              {...attributes}
              rows={3}
              spellcheck={false}
              value={form.labels}
              onInput={(event) => onChange({ labels: event.currentTarget.value })}
            />
          )}
        </Field>
      </details>
      <label class="admin-check">
        <input
          type="checkbox"
          checked={form.mayAdmin}
          onChange={(event) => onChange({ mayAdmin: event.currentTarget.checked })}
        />
        It may administer: use this view and everything under <code>/admin</code>
      </label>
    </>
  );
}

function hasLimitProblem(problems: Problems): boolean {
  return Object.keys(problems).some((name) => name.startsWith('limits'));
}

interface ModelsProps {
  readonly form: KeyForm;
  readonly models: readonly string[];
  readonly problem: string | undefined;
  readonly onChange: (changed: Partial<KeyForm>) => void;
}

function Models({ form, models, problem, onChange }: ModelsProps) {
  // A model may have left the configuration while keys still name it.
  const all = [...new Set([...models, ...form.models])];
  const toggle = (model: string) =>
    onChange({
      models: form.models.includes(model)
        ? form.models.filter((each) => each !== model)
        : [...form.models, model],
    });
  return (
    <fieldset class="admin-checks">
      <legend>Models that it may use. None chosen: all</legend>
      {all.map((model) => (
        <label key={model} class="admin-check">
          <input type="checkbox" checked={form.models.includes(model)} onChange={() => toggle(model)} />
          {model}
        </label>
      ))}
      {problem !== undefined && <p class="problem">{problem}</p>}
    </fieldset>
  );
}

interface LimitFieldProps {
  readonly name: LimitName;
  readonly value: string;
  readonly problem: string | undefined;
  readonly onInput: (value: string) => void;
}

function LimitField({ name, value, problem, onInput }: LimitFieldProps) {
  const currency = useCurrency();
  return (
    <Field label={limitName(name, currency)} problem={problem}>
      {(attributes) => (
        <input
          {...attributes}
          inputMode={LIMIT_KINDS[name].counts === 'money' ? 'decimal' : 'numeric'}
          autocomplete="off"
          name={name}
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

interface FieldProps {
  readonly label: string;
  readonly problem: string | undefined;
  readonly children: (attributes: {
    readonly 'aria-invalid': boolean;
    readonly 'aria-describedby': string | undefined;
  }) => ComponentChildren;
}

function Field({ label, problem, children }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      {/* biome-ignore lint/a11y/noLabelWithoutControl: the field is what `children` makes */}
      <label>
        <span>{label}</span>
        {children({
          'aria-invalid': problem !== undefined,
          'aria-describedby': problem === undefined ? undefined : id,
        })}
      </label>
      {problem !== undefined && (
        <span class="problem" id={id}>
          {problem}
        </span>
      )}
    </div>
  );
}
