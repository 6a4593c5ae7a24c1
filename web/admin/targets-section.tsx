/** Targets: how they are, what runs there, and taking one out of service and back. */
import { leaseInWords } from '../../src/core/leased-slots.ts';
import { plural } from '../ui/amounts.ts';
import { TableScroll } from '../ui/table.tsx';
import { ActionFailure, useAction } from './action.tsx';
import { listTargets, setTarget, type TargetView } from './api.ts';
import { Loaded, useResource } from './loaded.tsx';

const POLL_MS = 2_000;
const COLUMNS = ['Target', 'Model', 'Backend', 'State', 'Health', 'Slots used', 'Service'];

export function TargetsSection() {
  const asked = useResource(listTargets, { pollMs: POLL_MS });
  return (
    <section aria-labelledby="admin-targets">
      <h2 id="admin-targets">Targets</h2>
      <Loaded asked={asked}>
        {(targets) =>
          targets.length === 0 ? (
            <div class="admin-empty">
              <p>
                The configuration has no target. Add one under <code>models</code>, then reload:{' '}
                <a href="#/admin/configuration">Configuration</a>.
              </p>
            </div>
          ) : (
            <>
              <TableScroll label="Targets" columns={COLUMNS}>
                {targets.map((target) => (
                  <TargetRow key={target.name} target={target} onDone={asked.reload} />
                ))}
              </TableScroll>
              <p class="hint">
                A drained target gets no new requests; those that run there go on. It stays drained until it
                is enabled, also over a reload.
              </p>
            </>
          )
        }
      </Loaded>
    </section>
  );
}

interface TargetRowProps {
  readonly target: TargetView;
  readonly onDone: () => void;
}

function TargetRow({ target, onDone }: TargetRowProps) {
  const action = useAction();
  const { name, health } = target;
  const change = (to: 'drain' | 'enable') =>
    action.run(async () => {
      const { running } = await setTarget(name, to);
      onDone();
      if (to === 'enable') return `${name} is in service again.`;
      return `${name} gets no new requests; ${running === 0 ? 'nothing runs' : `${plural(running, 'request')} still run`} there.`;
    });
  const isWell = (state: string) => state === 'ready';
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{target.model}</td>
      <td>{target.backend}</td>
      <td>
        <span class={isWell(target.status) ? 'state' : 'state alarming'}>{spaced(target.status)}</span>
      </td>
      <td>
        <span class={isWell(health) ? 'state' : 'state alarming'}>{spaced(health)}</span>
      </td>
      <td class="figure-cell">
        {target.used} of {target.slots}
        {target.lease && <div class="hint">leased: {leaseInWords(target.lease)}</div>}
      </td>
      <td>
        {actionsOf(health).map((to) => (
          <button
            key={to}
            type="button"
            class="button small"
            disabled={action.isBusy}
            aria-label={`${ACTION_WORDS[to]} ${name}`}
            onClick={() => void change(to)}
          >
            {ACTION_WORDS[to]}
          </button>
        ))}
        <ActionFailure action={action} />
      </td>
    </tr>
  );
}

const ACTION_WORDS = { drain: 'Drain', enable: 'Enable' } as const;

/** Enabling ends an ejection as well. */
function actionsOf(health: string): readonly ('drain' | 'enable')[] {
  if (health === 'draining') return ['enable'];
  return health === 'ejected' || health === 'probing' ? ['enable', 'drain'] : ['drain'];
}

function spaced(name: string): string {
  return name.replaceAll('_', ' ');
}
