/** The thread of lifeline.ts: when the parent is gone, the kernel closes the pipe, and this ends the whole process. */
import { Socket } from 'node:net';

const parent = new Socket({ fd: 0, readable: true, writable: false });
parent.on('error', () => {});
parent.on('close', () => process.kill(process.pid, 'SIGKILL'));
parent.resume();
