/** Starts an engine, tells its process id once the model is loaded, and waits to be killed. */
import { fork } from 'node:child_process';

const [enginePath, modelPath] = process.argv.slice(2);
const engine = fork(enginePath, [], { execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
engine.on('message', ({ type }) => {
  if (type === 'hello') {
    const settings = { modelPath, contextSize: 256, sequences: 1, chatTemplate: 'chatml', gpu: 'off' };
    engine.send({ type: 'load', settings });
  }
  if (type === 'loaded') process.send(engine.pid);
});
