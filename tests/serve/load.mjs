// load.mjs SERVER MODEL [WEIGHTS [RATE...]] - dagpt-serve under Poisson arrivals. `make bench-serve` runs it.
// A request has a prompt of 16 to 255 random ids (most are short) and 32 new tokens. For each rate, in requests a
// second, it prints new tokens a second, and the 50th and 99th percentile of the time from a request to its first
// token, and between two tokens of a text. The same seed makes the same requests, at the same times.
// $SECONDS: of a rate (20), $SEED (1), $WORKERS (2).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [program, model, weights = 'f32', ...given] = process.argv.slice(2);
const rates = given.length ? given.map(Number) : [0.5, 1, 2, 4];
const { SECONDS = '20', SEED = '1', WORKERS = '2' } = process.env;
const NEW = 32;
const dir = mkdtempSync(join(tmpdir(), 'dagpt-load-'));

function randomNumbers(seed) { // xorshift, as the command's sampler has it, in 32 bits
  let s = seed * 0x9e3779b9 | 1;
  return () => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return (s >>> 0) / 2 ** 32;
  };
}

// 50,000 merges, of two bytes each: prompts are ids, so that any tokenizer of the size will do.
function writeMerges(path) {
  const plain = (c) => (c > 32 && c < 127) || (c > 160 && c !== 173);
  let next = 256;
  const chars = Array.from({ length: 256 }, (_, c) => String.fromCharCode(plain(c) ? c : next++));
  const pairs = chars.flatMap((a) => chars.map((b) => `${a} ${b}\n`));
  writeFileSync(path, `#version: 0.2\n${pairs.slice(0, 50000).join('')}`);
  return path;
}

async function startServer() {
  const child = spawn(program, ['-m', model, '--vocab', writeMerges(join(dir, 'merges.txt')), '--weights', weights, '-j', WORKERS, '--port', '0'],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  const where = /http:\S+/.exec(String(said[0]));
  if (!where)
    throw new Error(`${program} does not listen`);
  return { child, url: where[0] };
}

// A text as it comes: when each token did, in ms.
async function ask(url, request) {
  const began = performance.now();
  const response = await fetch(`${url}/v1/completions`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(request) });
  if (!response.ok)
    throw new Error(await response.text());
  const times = [];
  let text = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (text + chunk).split('\n\n');
    text = events.pop();
    for (const event of events.filter((e) => e !== 'data: [DONE]')) // with logprobs each token is an event's, one at a time or several
      for (const _ of JSON.parse(event.slice('data: '.length)).choices[0].logprobs.tokens)
        times.push(performance.now());
  }
  return { began, times };
}

function randomRequest(random) {
  const n = 16 + Math.floor(240 * random() ** 2);
  return { prompt: Array.from({ length: n }, () => Math.floor(random() * 50000)), max_tokens: NEW, seed: Math.floor(random() * 2 ** 31), logprobs: 0, stream: true };
}

const percentile = (values, p) => values.sort((a, b) => a - b)[Math.max(0, Math.ceil(p * values.length) - 1)] ?? NaN;
const ms = (values) => [0.5, 0.99].map((p) => percentile(values, p).toFixed(1).padStart(9)).join('');

async function measure(url, rate) {
  const random = randomNumbers(Number(SEED));
  const asked = [];
  const begin = performance.now();
  for (let at = 0; ;) {
    at += -Math.log(1 - random()) / rate;
    if (at > Number(SECONDS))
      break;
    const request = randomRequest(random);
    await new Promise((done) => setTimeout(done, begin + 1000 * at - performance.now()));
    asked.push(ask(url, request));
  }
  const texts = await Promise.all(asked);
  const seconds = (performance.now() - begin) / 1000;
  const tokens = texts.reduce((sum, t) => sum + t.times.length, 0);
  const first = texts.map((t) => t.times[0] - t.began);
  const gaps = texts.flatMap((t) => t.times.slice(1).map((x, i) => x - t.times[i]));
  console.log(`${weights.padEnd(8)}${String(rate).padStart(6)}${String(texts.length).padStart(7)}${(tokens / seconds).toFixed(1).padStart(11)}${ms(first)}${ms(gaps)}`);
}

const { child, url } = await startServer();
console.log('weights   rate  texts   tokens/s  first token, ms   between tokens, ms');
console.log('                                      50 %     99 %     50 %     99 %');
await Promise.all(Array.from({ length: 4 }, (_, i) => ask(url, randomRequest(randomNumbers(i + 7))))); // plans are made
for (const rate of rates)
  await measure(url, rate);
child.kill();
rmSync(dir, { recursive: true });
