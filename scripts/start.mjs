// `npm start`: installs what is missing, builds what is stale, and serves in this very process (one Ctrl-C, one drain).
import { prepare } from './build.mjs';

await prepare();
const { main } = await import('../dist/cli/main.js');
process.exitCode = await main(process.argv.slice(2));
