/** What is done to keys, a dialog each: make, look at, change, rotate, revoke. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Dialog } from '../../ui/dialog.tsx';
import { type Action, ActionFailure, useAction } from '../action.tsx';
import {
  changeKey,
  createKey,
  type KeyView,
  listTargets,
  type MadeKey,
  readKey,
  revokeKey,
  rotateKey,
} from '../api.ts';
import { useCurrency } from '../currency.ts';
import { LimitBars } from '../limit-bars.tsx';
import { Loaded, useResource } from '../loaded.tsx';
import { limitsInWords, moment, stateInWords, stateOf, tightestFirst } from '../words.ts';
import { KeyFields } from './key-fields.tsx';
import {
  changedFields,
  EMPTY_FORM,
  formOf,
  type KeyForm,
  newKeyFields,
  type Problems,
  readForm,
} from './key-form.ts';

interface DialogProps {
  readonly onClose: () => void;
}

interface NewKeyDialogProps extends DialogProps {
  readonly onMade: (made: MadeKey) => void;
}

export function NewKeyDialog({ onClose, onMade }: NewKeyDialogProps) {
  const save = async (fields: Readonly<Record<string, unknown>>) => {
    const made = await createKey(newKeyFields(fields));
    onMade(made);
    return `The key ${made.name} was made.`;
  };
  return (
    <Dialog title="New key" onClose={onClose} wide>
      <KeyFormBody before={undefined} submit="Create key" onCancel={onClose} save={save} />
    </Dialog>
  );
}

interface KeyDialogProps extends DialogProps {
  readonly shown: KeyView;
  readonly onChanged: () => void;
}

export function ChangeKeyDialog({ shown, onClose, onChanged }: KeyDialogProps) {
  const save = async (fields: Readonly<Record<string, unknown>>) => {
    const changes = changedFields(fields, shown);
    if (Object.keys(changes).length === 0) {
      onClose();
      return 'Nothing was different.';
    }
    const { name } = await changeKey(shown.id, changes);
    onChanged();
    onClose();
    return `The key ${name} was changed.`;
  };
  return (
    <Dialog title={`Change ${shown.name}`} onClose={onClose} wide>
      <KeyFormBody before={shown} submit="Save" onCancel={onClose} save={save} />
    </Dialog>
  );
}

interface KeyFormBodyProps {
  readonly before: KeyView | undefined;
  readonly submit: string;
  readonly onCancel: () => void;
  readonly save: (fields: Readonly<Record<string, unknown>>) => Promise<string>;
}

function KeyFormBody({ before, submit, onCancel, save }: KeyFormBodyProps) {
  const [form, setForm] = useState<KeyForm>(before === undefined ? EMPTY_FORM : formOf(before));
  const [problems, setProblems] = useState<Problems>({});
  const action = useAction();
  // Only for the list of models: what else fails is said where the form is sent.
  const targets = useResource(listTargets);
  const models = [...new Set((targets.state.value ?? []).map(({ model }) => model))];
  const atFault = problemsOf(action);
  return (
    <form
      class="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        const read = readForm(form, before);
        setProblems('problems' in read ? read.problems : {});
        if ('fields' in read) void action.run(() => save(read.fields));
      }}
    >
      <KeyFields
        form={form}
        problems={{ ...atFault, ...problems }}
        models={models}
        expiresAt={before?.expires_at ?? null}
        onChange={(changed) => {
          setForm({ ...form, ...changed });
          action.forget();
        }}
      />
      <ActionFailure action={action} />
      <div class="actions">
        <button type="button" class="button" onClick={onCancel}>
          Cancel
        </button>
        <button type="submit" class="button primary" disabled={action.isBusy}>
          {submit}
        </button>
      </div>
    </form>
  );
}

/** What the server refused, beside the field that it is about. */
function problemsOf({ failure }: Action): Problems {
  if (failure === undefined) return {};
  if (failure.code === 'name_taken') return { name: failure.message };
  return failure.param === undefined ? {} : { [failure.param]: failure.message };
}

interface KeyDetailsDialogProps extends DialogProps {
  readonly shown: KeyView;
  readonly onChoose: (what: 'change' | 'rotate' | 'revoke') => void;
}

const POLL_MS = 2_000;

export function KeyDetailsDialog({ shown, onClose, onChoose }: KeyDetailsDialogProps) {
  const asked = useResource((options) => readKey(shown.id, options), { pollMs: POLL_MS, question: shown.id });
  const currency = useCurrency();
  const key = asked.state.value ?? shown;
  const isRevoked = stateOf(key, Date.now()) === 'revoked';
  return (
    <Dialog title={key.name} onClose={onClose} wide>
      <dl class="admin-facts">
        <Fact name="State">{stateInWords(key, Date.now())}</Fact>
        <Fact name="Id">
          <code>{key.id}</code>
        </Fact>
        <Fact name="Secret">{key.shown === '' ? 'imported as a hash' : <code>{key.shown}…</code>}</Fact>
        <Fact name="Team">{key.team ?? 'none'}</Fact>
        <Fact name="Models">{key.models?.join(', ') ?? 'all'}</Fact>
        <Fact name="Highest priority">{key.highest_priority ?? 'as the configuration allows'}</Fact>
        <Fact name="Administers">{key.may_admin ? 'yes' : 'no'}</Fact>
        <Fact name="Made">{moment(key.created_at)} UTC</Fact>
        <Fact name="Expires">{key.expires_at === null ? 'never' : `${moment(key.expires_at)} UTC`}</Fact>
        <Fact name="Labels">
          {Object.entries(key.labels)
            .map(([name, value]) => `${name}=${value}`)
            .join(', ') || 'none'}
        </Fact>
        <Fact name="Its own limits">{limitsInWords(key.limits, currency) || 'none'}</Fact>
      </dl>
      <h3>What remains now</h3>
      <Loaded asked={asked}>
        {({ limit_states }) =>
          limit_states.length === 0 ? (
            <p class="hint">No limit holds for this key.</p>
          ) : (
            <LimitBars states={tightestFirst(limit_states)} currency={currency} />
          )
        }
      </Loaded>
      <div class="actions">
        {!isRevoked && (
          <>
            <button type="button" class="button danger" onClick={() => onChoose('revoke')}>
              Revoke …
            </button>
            <button type="button" class="button" onClick={() => onChoose('rotate')}>
              Rotate …
            </button>
            <button type="button" class="button" onClick={() => onChoose('change')}>
              Change …
            </button>
          </>
        )}
        <button type="button" class="button" data-begins="" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const OVERLAPS: Readonly<Record<number, string>> = {
  0: 'at once',
  3600: 'in an hour',
  86400: 'in a day',
  604800: 'in 7 days',
};

interface RotateDialogProps extends DialogProps {
  readonly shown: KeyView;
  readonly onMade: (made: MadeKey) => void;
}

export function RotateDialog({ shown, onClose, onMade }: RotateDialogProps) {
  const [overlap, setOverlap] = useState('86400');
  const action = useAction();
  const rotate = () =>
    action.run(async () => {
      onMade(await rotateKey(shown.id, Number(overlap)));
      return `The key ${shown.name} has another secret.`;
    });
  return (
    <Dialog title={`Rotate ${shown.name}`} onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void rotate();
        }}
      >
        <p>The key gets another secret. Its name, limits and usage stay.</p>
        <label class="field">
          <span>The secret that it has now stops</span>
          <select data-begins="" value={overlap} onChange={(event) => setOverlap(event.currentTarget.value)}>
            {Object.entries(OVERLAPS).map(([seconds, words]) => (
              <option key={seconds} value={seconds}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <ActionFailure action={action} />
        <div class="actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary" disabled={action.isBusy}>
            Rotate
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function RevokeDialog({ shown, onClose, onChanged }: KeyDialogProps) {
  const action = useAction();
  const revoke = () =>
    action.run(async () => {
      await revokeKey(shown.id);
      onChanged();
      onClose();
      return `The key ${shown.name} was revoked.`;
    });
  return (
    <Dialog title={`Revoke ${shown.name}?`} onClose={onClose}>
      <p>
        It is refused from then on, on all servers within a second. This can’t be taken back; what it used
        stays in the usage.
      </p>
      <ActionFailure action={action} />
      <div class="actions">
        <button type="button" class="button" data-begins="" onClick={onClose}>
          Keep it
        </button>
        <button type="button" class="button danger" disabled={action.isBusy} onClick={() => void revoke()}>
          Revoke
        </button>
      </div>
    </Dialog>
  );
}
