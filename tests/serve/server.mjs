// server.mjs - servers for the tests, on ports of their own, and what dagpt complete prints. $DAGPT_BUILD: the build
// folder. What runs or lies about is gone when the tests end.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

export const build = process.env.DAGPT_BUILD;
export const demo = 'models/demo/demo.bin';
export const merges = 'models/demo/merges.txt';
export const dir = mkdtempSync(join(tmpdir(), 'dagpt-serve-'));
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// The name of a file with a model whose texts take a while, and whose tokens are often no characters.
export const vocab = readFileSync(merges, 'utf8').split('\n').length - 2 + 257;
export function slowModel(layers = 4, channels = 256, positions = 1024) {
  const slow = join(dir, 'slow.bin');
  assert.equal(spawnSync(join(build, 'make-model'), ['--layers', String(layers), '--heads', '4', '--channels', String(channels), '--positions', String(positions),
    '--vocab', String(vocab), '--seed', '3', '-o', slow]).status, 0);
  return slow;
}

const running = new Set();

export async function start(...args) {
  const child = spawn(join(build, 'dagpt-serve'), ['-m', demo, '--port', '0', '-j', '2', ...args]);
  const server = { child, err: '', exit: once(child, 'exit') };
  running.add(server);
  child.stderr.on('data', (text) => { server.err += text; });
  const said = await Promise.race([once(child.stdout, 'data'), server.exit]);
  const where = /^listening on http:\/\/127\.0\.0\.1:(\d+)\n$/.exec(String(said[0]));
  assert.ok(where, `dagpt-serve says where it listens: ${said} ${server.err}`);
  server.port = Number(where[1]);
  server.url = `http://127.0.0.1:${server.port}`;
  return server;
}

export async function stop(server, signal = 'SIGTERM') {
  running.delete(server);
  server.child.kill(signal);
  return (await server.exit)[0];
}

after(() => {
  for (const s of running)
    s.child.kill('SIGKILL');
  rmSync(dir, { recursive: true });
});

export const post = (server, body, headers = {}) => fetch(`${server.url}/v1/completions`, { method: 'POST',
  headers: { 'Content-Type': 'application/json', ...headers }, body: typeof body === 'string' ? body : JSON.stringify(body) });

export async function metric(server, name) {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`^dagpt_${name} (.*)$`, 'm').exec(text)[1]);
}

// Until it is so.
export async function becomes(what, is) {
  for (let i = 0; i < 1200; i++, await sleep(25))
    if (await is())
      return;
  assert.fail(what);
}

export const nothingRuns = (server) => becomes('texts run on, or bytes are held', async () =>
  await metric(server, 'texts_running') + await metric(server, 'texts_waiting') + await metric(server, 'held_bytes') === 0);

// What dagpt complete prints for the same request.
export function command(request, seed = request.seed, model = demo) {
  const args = ['complete', '-m', model, '--vocab', merges, '-n', String(request.max_tokens ?? 16), '--temp', String(request.temperature ?? 1),
    '--top-p', String(request.top_p ?? 1), '--seed', String(seed)];
  for (const s of [request.stop ?? []].flat())
    args.push('--stop', s);
  if (request.echo)
    args.push('--echo');
  const done = spawnSync(join(build, 'dagpt'), [...args, '--', request.prompt]);
  assert.equal(done.status, 0, String(done.stderr));
  return String(done.stdout).slice(0, -1); // the line's end
}
