/** A component whose code is loaded when it is first shown. Where that fails, it says so and offers to try again. */
import type { FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';

export type ComponentType = FunctionComponent;

/** The style sheet of a view that has its own: index.html names it, and the browser loads it when it is no longer disabled. */
export function loadStyles(view: string): Promise<void> {
  const link = document.querySelector<HTMLLinkElement>(`link[data-view="${view}"]`);
  if (link === null || !link.disabled) return Promise.resolve();
  return new Promise((resolve, reject) => {
    link.onload = () => resolve();
    link.onerror = () => reject(new Error(`the styles of ${view} could not be loaded`));
    link.disabled = false;
  });
}

export function lazyView(load: () => Promise<ComponentType>): ComponentType {
  let loaded: ComponentType | undefined;
  return function LazyView() {
    const [state, setState] = useState<'loading' | 'failed' | 'ready'>(loaded ? 'ready' : 'loading');
    useEffect(() => {
      if (state !== 'loading') return;
      load().then(
        (component) => {
          loaded = component;
          setState('ready');
        },
        () => setState('failed'),
      );
    }, [state]);
    if (loaded !== undefined) {
      const Loaded = loaded;
      return <Loaded />;
    }
    if (state === 'loading') return <p class="notice">Loading …</p>;
    return (
      <p class="notice" role="alert">
        This view could not be loaded from the server.{' '}
        <button type="button" class="button" onClick={() => location.reload()}>
          Load the page again
        </button>
      </p>
    );
  };
}
