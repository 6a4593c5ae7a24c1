/** What a section shows of a resource: that it is loading, its value, and what is wrong with it. */
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import type { ApiFailure } from '../api/failure.ts';
import { openKeys } from '../state/api-key.ts';
import { useStore } from '../state/store.ts';
import type { CallOptions } from './api.ts';
import { Resource, type ResourceState } from './resource.ts';
import { troubleOf } from './trouble.ts';

interface Asked<Value> {
  readonly state: ResourceState<Value>;
  readonly reload: () => void;
}

/** Asks as long as the component is shown; another `question` is another resource. */
export function useResource<Value>(
  load: (options: CallOptions) => Promise<Value>,
  { pollMs, question = '' }: { readonly pollMs?: number; readonly question?: string } = {},
): Asked<Value> {
  const resource = useMemo(
    () => new Resource(load, pollMs === undefined ? {} : { pollMs }),
    // `load` is made anew with each rendering; `question` says whether it asks for the same.
    [question],
  );
  useEffect(() => resource.use(), [resource]);
  return { state: useStore(resource.state), reload: () => void resource.reload() };
}

interface LoadedProps<Value> {
  readonly asked: Asked<Value>;
  readonly children: (value: Value) => ComponentChildren;
}

export function Loaded<Value>({ asked: { state, reload }, children }: LoadedProps<Value>) {
  const { value, failure, isLoading } = state;
  return (
    <>
      {failure !== undefined && <TroubleNote failure={failure} isLoading={isLoading} onRetry={reload} />}
      {value !== undefined && children(value)}
      {value === undefined && failure === undefined && <p class="notice">Loading …</p>}
    </>
  );
}

interface TroubleNoteProps {
  readonly failure: ApiFailure;
  readonly isLoading: boolean;
  readonly onRetry: () => void;
}

function TroubleNote({ failure, isLoading, onRetry }: TroubleNoteProps) {
  const { kind, title, advice } = troubleOf(failure);
  return (
    <div class="admin-trouble" role="alert">
      <p>
        <b>{title}</b> {kind === 'gone' ? '' : failure.message}
      </p>
      {advice !== '' && <p>{advice}</p>}
      <p class="actions">
        {kind === 'key' && (
          <button type="button" class="button primary" onClick={() => openKeys('admin')}>
            Enter an admin key
          </button>
        )}
        <button type="button" class="button" disabled={isLoading} onClick={onRetry}>
          Try again
        </button>
      </p>
    </div>
  );
}
