/** A worker that says one thing, as soon as it is told anything, and dies of it at once. */
import { Socket } from 'node:net';

const TO_WORKER = 4;
const TO_CONTROL = 5;
const output = new Socket({ fd: TO_CONTROL, readable: false });
new Socket({ fd: TO_WORKER }).once('data', () =>
  output.write('[{"type":"connection-taken","id":1}]\n', () => process.kill(process.pid, 'SIGKILL')),
);
