/** The flags of a server that name where its keys are, for commands that are to find them there too. Pure. */
import { shownAddress } from '../schema/shown-address.ts';
import type { Flags } from './read-config.ts';

export interface StoreFlags {
  /** As a shell takes them: `--config other.yaml --data.directory './my data'`. */
  readonly text: string;
  /** Flags that the commands need as well, but whose value is an address with a secret. */
  readonly secret: readonly string[];
}

/** The variables of the environment are not among them: whoever started the server has them in the same shell. */
export function storeFlagsOf({ config, values }: Flags): StoreFlags {
  const given = [
    ['--config', config],
    ['--access.store', values['access.store']],
    ['--data.directory', values['data.directory']],
  ].flatMap(([flag, value]) => (typeof value === 'string' ? [[String(flag), value] as const] : []));
  const isSecret = (value: string) => shownAddress(value) !== value;
  return {
    text: given
      .filter(([, value]) => !isSecret(value))
      .map(([flag, value]) => `${flag} ${quoted(value)}`)
      .join(' '),
    secret: given.filter(([, value]) => isSecret(value)).map(([flag]) => flag),
  };
}

/** As one word of a shell, whatever is in it. */
function quoted(value: string): string {
  return /^[\w@%+:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}
