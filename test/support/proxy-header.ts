/** Headers of the PROXY protocol, as a proxy writes them. */
import ipaddr from 'ipaddr.js';

export interface ForwardedConnection {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** Of version 2: type and value of each extension. */
  readonly extensions?: readonly (readonly [number, Uint8Array])[];
}

/** Version 1, a line. */
export function proxyLine(connection: ForwardedConnection): Buffer {
  const { source, destination, sourcePort = 40_000, destinationPort = 443 } = connection;
  const family = source.includes(':') ? 'TCP6' : 'TCP4';
  return Buffer.from(`PROXY ${family} ${source} ${destination} ${sourcePort} ${destinationPort}\r\n`);
}

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** Version 2. */
export function proxyBlock(connection: ForwardedConnection): Buffer {
  const { source, destination, sourcePort = 40_000, destinationPort = 443, extensions = [] } = connection;
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(sourcePort, 0);
  ports.writeUInt16BE(destinationPort, 2);
  const addresses = [source, destination].map((address) => Buffer.from(ipaddr.parse(address).toByteArray()));
  const tlvs = extensions.map(([type, value]) => {
    const head = Buffer.from([type, 0, 0]);
    head.writeUInt16BE(value.length, 1);
    return Buffer.concat([head, value]);
  });
  return rawProxyBlock({
    command: 1,
    family: source.includes(':') ? 0x21 : 0x11,
    body: Buffer.concat([...addresses, ports, ...tlvs]),
  });
}

/** Any version 2 block. `command`: 0 is LOCAL, 1 PROXY; `family`: address family and transport. */
export function rawProxyBlock(parts: {
  readonly version?: number;
  readonly command: number;
  readonly family: number;
  readonly body: Uint8Array;
}): Buffer {
  const { version = 2, command, family, body } = parts;
  const head = Buffer.from([(version << 4) | command, family, 0, 0]);
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([SIGNATURE, head, body]);
}
