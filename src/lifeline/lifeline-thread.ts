/**
 * The thread of lifeline.ts: when the parent is gone, the kernel closes the pipe, and this ends the whole process. Messages to it are
 * addresses that the process listens at.
 */
import { Socket } from 'node:net';
import { parentPort } from 'node:worker_threads';
import { endWithParent } from './orphaned.ts';

let address: string | undefined;
parentPort?.on('message', (message: string) => {
  address = message;
});

const parent = new Socket({ fd: 0, readable: true, writable: false });
parent.on('error', () => {});
parent.on('close', () => endWithParent(address));
parent.resume();
