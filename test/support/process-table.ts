/** What the system's process table says; a process that has ended but was not collected by its parent is still in it. */
import { spawnSync } from 'node:child_process';

/** R runs, S sleeps, T is stopped, Z has ended but was not collected; empty when it is gone. */
export function processState(pid: number | undefined): string {
  return ps(['-o', 'state=', '-p', String(pid)])
    .trim()
    .charAt(0);
}

export interface TableEntry {
  readonly pid: number;
  readonly state: string;
  readonly command: string;
}

export function childrenOf(parent: number): TableEntry[] {
  return ps(['-A', '-o', 'ppid=,pid=,state=,args='])
    .split('\n')
    .flatMap((line) => {
      const [ppid, pid, state = '', ...command] = line.trim().split(/\s+/);
      return Number(ppid) === parent
        ? [{ pid: Number(pid), state: state.charAt(0), command: command.join(' ') }]
        : [];
    });
}

function ps(args: readonly string[]): string {
  return spawnSync('ps', args, { encoding: 'utf8' }).stdout;
}
