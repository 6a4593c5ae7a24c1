/**
 * Builds what tests of deploy/helm run, into node_modules/.cache/kubernetes: Helm and test/kubernetes/decode.go, from their Go modules
 * (test/kubernetes/go.mod), and the definitions of the custom resources that the chart may render, from their projects' modules. The Go
 * checksum database vouches for all of them. Does nothing where that is done already. Some minutes of two cores the first time.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('../test/kubernetes', import.meta.url));
const FOLDER = fileURLToPath(new URL('../node_modules/.cache/kubernetes', import.meta.url));

/** Module → files in it. */
const DEFINITIONS = {
  'sigs.k8s.io/gateway-api@v1.6.3': ['config/crd/standard/gateway.networking.k8s.io_httproutes.yaml'],
  'github.com/kedacore/keda/v2@v2.21.0': ['config/crd/bases/keda.sh_scaledobjects.yaml'],
  'github.com/external-secrets/external-secrets@v1.3.2': [
    'config/crds/bases/external-secrets.io_externalsecrets.yaml',
  ],
};

const sources = ['go.mod', 'go.sum', 'decode.go'].map((file) => readFileSync(`${SOURCE}/${file}`));
const wanted = createHash('sha256')
  .update(Buffer.concat(sources))
  .update(JSON.stringify(DEFINITIONS))
  .digest('hex');
const stamp = `${FOLDER}/complete`;
if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) process.exit(0);

rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(`${FOLDER}/definitions`, { recursive: true });
const go = (...args) =>
  execFileSync('go', args, {
    cwd: SOURCE,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, GOTOOLCHAIN: 'local' },
  });
for (const [module, files] of Object.entries(DEFINITIONS)) {
  const { Dir: folder } = JSON.parse(go('mod', 'download', '-json', module));
  for (const file of files)
    copyFileSync(`${folder}/${file}`, `${FOLDER}/definitions/${file.split('/').at(-1)}`);
}
go('build', '-ldflags=-s -w', '-o', `${FOLDER}/helm`, 'helm.sh/helm/v4/cmd/helm');
go('build', '-ldflags=-s -w', '-o', `${FOLDER}/decode`, '.');
writeFileSync(stamp, wanted);
