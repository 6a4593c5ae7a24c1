/** Starts an engine, tells its process id once the model is loaded, and waits to be killed. */
import { fork } from 'node:child_process';

/** `standardInput`: `pipe` ties the engine to its parent as the real one is; `ignore` leaves it the channel alone. */
const [enginePath, modelPath, standardInput = 'ignore'] = process.argv.slice(2);
const engine = fork(enginePath, [], { execArgv: [], stdio: [standardInput, 'ignore', 'ignore', 'ipc'] });
engine.on('message', ({ type }) => {
  if (type === 'hello') {
    const settings = { modelPath, contextSize: 256, sequences: 1, chatTemplate: 'chatml', gpu: 'off' };
    engine.send({ type: 'load', settings, excludedGpus: [] });
  }
  if (type === 'loaded') process.send(engine.pid);
});
