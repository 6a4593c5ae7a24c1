/** The TCP connections that a process holds to a port, as Linux tells them in /proc. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export function openConnections(pid: number, toPort: number): number {
  const held = socketsOf(pid);
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .slice(1)
    .filter((line) => {
      // 2 is the remote address as HEX:PORT, 9 the inode of the socket.
      const fields = line.trim().split(/\s+/);
      const remotePort = Number.parseInt(fields[2]?.split(':')[1] ?? '', 16);
      return remotePort === toPort && held.has(fields[9] ?? '');
    }).length;
}

function socketsOf(pid: number): ReadonlySet<string> {
  const folder = `/proc/${pid}/fd`;
  const inodes = readdirSync(folder).map((name) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${name}`))?.[1] ?? '';
    } catch {
      // Closed meanwhile.
      return '';
    }
  });
  return new Set(inodes.filter((inode) => inode !== ''));
}
