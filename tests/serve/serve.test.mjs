// dagpt-serve, by the official client and by bytes: the same texts as dagpt complete, in any company; errors; limits.
// $DAGPT_BUILD: the build folder.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import OpenAI from 'openai';
import { becomes, build, command, demo, dir, merges, metric, nothingRuns, post, sleep, slowModel, start as startServer, stop, vocab } from './server.mjs';

const slow = slowModel();

async function start(...args) {
  const server = await startServer(...args);
  server.client = new OpenAI({ apiKey: 'none', baseURL: `${server.url}/v1`, maxRetries: 0 });
  return server;
}

async function streamed(client, request, options) {
  const texts = [], reasons = [];
  let usage = null;
  for await (const chunk of await client.completions.create({ ...request, stream: true, stream_options: { include_usage: true } }, options)) {
    for (const c of chunk.choices) {
      texts[c.index] = (texts[c.index] ?? '') + c.text;
      reasons[c.index] = c.finish_reason ?? reasons[c.index];
    }
    usage = chunk.usage ?? usage;
  }
  return { texts, reasons, usage };
}

const prompts = ['One day, Nora', '', 'Once upon a time', 'The cat sat on the mat and looked at the big dog. Then the cat', 'é and 😀: a\tb\n\nc', 'x'];

// A request of random options that both programs take.
function randomRequest(random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const r = { model: 'demo.bin', prompt: pick(prompts), seed: Math.floor(random() * 2 ** 50), max_tokens: pick([0, 1, 7, 16, 40, 300]),
    temperature: pick([0, 0.5, 0.8, 1, 2]), top_p: pick([0, 0.5, 0.95, 1]) };
  if (random() < 0.3)
    r.stop = pick(['.', ['Nora', ' the'], 'e', ['\n', '!', 'was', '"']]);
  if (random() < 0.3)
    r.echo = true;
  return r;
}

function randomNumbers(seed) {
  let s = seed;
  return () => {
    s = Math.imul(s ^ s >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    let t = Math.imul(s ^ s >>> 13, 0x297a2d39);
    t ^= t >>> 16;
    return (t >>> 0) / 2 ** 32;
  };
}

// ---- the client ----

test('the official client: texts, choices, log-probabilities, usage, models', async () => {
  const server = await start();
  const { client } = server;
  assert.deepEqual((await client.models.list()).data.map((m) => [m.id, m.object, m.owned_by]), [['demo.bin', 'model', 'dagpt']]);
  assert.equal((await client.models.retrieve('demo.bin')).id, 'demo.bin');
  const request = { model: 'demo.bin', prompt: 'One day, Nora', max_tokens: 20, seed: 7 };
  const one = await client.completions.create(request);
  assert.equal(one.object, 'text_completion');
  assert.match(one.id, /^cmpl-/);
  assert.ok(Math.abs(one.created - Date.now() / 1000) < 100);
  assert.deepEqual(one.choices, [{ text: command(request), index: 0, logprobs: null, finish_reason: 'length' }]);
  assert.deepEqual(one.usage, { prompt_tokens: 4, completion_tokens: 20, total_tokens: 24 });

  // Two prompts, three texts each, those of seed, seed + 1 and seed + 2; a prompt of ids.
  const ids = [576, 577, 258, 498]; // Once upon a time
  const many = await client.completions.create({ ...request, prompt: ['One day, Nora', 'The cat'], n: 3 });
  const expected = ['One day, Nora', 'The cat'].flatMap((prompt) => [7, 8, 9].map((seed) => command({ ...request, prompt }, seed)));
  assert.deepEqual(many.choices.map((c) => c.text), expected);
  assert.deepEqual(many.choices.map((c) => c.index), [0, 1, 2, 3, 4, 5]);
  assert.equal(many.usage.completion_tokens, 120);
  for (const prompt of [ids, [ids, ids]]) {
    const of = await client.completions.create({ ...request, prompt, echo: true });
    const text = command({ ...request, prompt: 'Once upon a time', echo: true });
    assert.deepEqual(of.choices.map((c) => c.text), prompt === ids ? [text] : [text, text]);
  }

  // A stream has the same texts, its end, and usage where it is asked for.
  const stream = await streamed(client, { ...request, prompt: ['One day, Nora', 'The cat'], n: 3 });
  assert.deepEqual(stream.texts, expected);
  assert.deepEqual(stream.reasons, Array(6).fill('length'));
  assert.deepEqual(stream.usage, many.usage);
  const raw = await (await post(server, { ...request, stream: true })).text();
  assert.ok(raw.endsWith('\n\ndata: [DONE]\n\n') && !raw.includes('usage') && raw.split('\n\n').length > 20, raw);
  await nothingRuns(server);
  assert.equal(await stop(server), 0);
  assert.equal(server.err, '');
});

test('log-probabilities are those of dagpt complete --logprobs and score', async () => {
  const server = await start();
  const { client } = server;
  const request = { model: 'demo.bin', prompt: 'One day, Nora', max_tokens: 12, seed: 3, temperature: 0.8, logprobs: 3 };
  const lines = String(spawnSync(join(build, 'dagpt'), ['complete', '--json', '--logprobs', '3', '--seed', '3', '--temp', '0.8', '--top-p', '1', '-n', '12',
    request.prompt]).stdout).trim().split('\n').map((l) => JSON.parse(l)).filter((o) => o.token);
  const near = (a, b) => assert.ok(Math.abs(a - b) < 2e-6, `${a}, expected ${b}`);
  const { logprobs, text } = (await client.completions.create(request)).choices[0];
  assert.equal(logprobs.tokens.join(''), text);
  logprobs.token_logprobs.forEach((p, i) => near(p, lines[i].logprob));
  logprobs.top_logprobs.forEach((top, i) => {
    for (const c of lines[i].candidates)
      near(top[c.text], c.logprob);
    assert.ok(logprobs.tokens[i] in top && Object.keys(top).length <= 4);
  });
  logprobs.text_offset.forEach((at, i) =>
    assert.equal(text.slice(at - request.prompt.length, at - request.prompt.length + logprobs.tokens[i].length), logprobs.tokens[i]));

  // With the prompt's, read in several steps: their sum is the text's score. All texts of a prompt have them, a stream, too.
  const long = 'Once upon a time, there was a girl named Nora. '.repeat(9);
  const score = JSON.parse(String(spawnSync(join(build, 'dagpt'), ['score', '--json', long]).stdout));
  const scored = await client.completions.create({ model: 'demo.bin', prompt: long, max_tokens: 0, echo: true, logprobs: 0 });
  const all = scored.choices[0].logprobs;
  assert.equal(all.tokens.join(''), long);
  assert.deepEqual([all.token_logprobs[0], all.top_logprobs], [null, null]);
  assert.equal(all.text_offset.at(-1), long.length - all.tokens.at(-1).length);
  assert.ok(all.token_logprobs.slice(1).every((p) => p < 0) && all.tokens.length > 100);
  const ids = String(spawnSync(join(build, 'dagpt'), ['encode', long]).stdout).trim().split(' ').map(Number);
  const begun = await client.completions.create({ model: 'demo.bin', prompt: [vocab - 1, ...ids], max_tokens: 0, echo: true, logprobs: 0 });
  const sum = begun.choices[0].logprobs.token_logprobs.slice(1).reduce((a, b) => a + b);
  assert.ok(Math.abs(sum - score.logprob) < 1e-3, `${sum}, expected ${JSON.stringify(score)}`);
  const two = await client.completions.create({ ...request, prompt: long, n: 2, echo: true });
  for (const c of two.choices)
    assert.deepEqual(c.logprobs.token_logprobs.slice(0, all.tokens.length), all.token_logprobs);
  const chunks = [];
  for await (const chunk of await client.completions.create({ ...request, prompt: long, echo: true, stream: true }))
    chunks.push(chunk.choices[0]);
  assert.deepEqual(chunks.flatMap((c) => c.logprobs.tokens), two.choices[0].logprobs.tokens);
  assert.deepEqual(chunks.flatMap((c) => c.logprobs.top_logprobs), two.choices[0].logprobs.top_logprobs);
  assert.equal(chunks.map((c) => c.text).join(''), two.choices[0].text);
  await stop(server);
});

test('errors have the form and the status of the API', async () => {
  const keys = join(dir, 'keys');
  writeFileSync(keys, 'first-key\r\nsecond-key\n');
  const server = await start('--api-key-file', keys, '--body', '64', '--parallel', '4', '--prompt', '100');
  const client = new OpenAI({ apiKey: 'second-key', baseURL: `${server.url}/v1`, maxRetries: 0 });
  const ask = { model: 'demo.bin', prompt: 'x' };
  const wrong = [
    [{ max_tokens: -1 }, 'max_tokens'], [{ max_tokens: 1.5 }, 'max_tokens'], [{ max_tokens: '3' }, 'max_tokens'], [{ temperature: -0.1 }, 'temperature'],
    [{ temperature: 2.1 }, 'temperature'], [{ temperature: 'hot' }, 'temperature'], [{ top_p: 1.1 }, 'top_p'], [{ n: 0 }, 'n'], [{ n: 5 }, 'n'],
    [{ logprobs: 6 }, 'logprobs'], [{ logprobs: true }, 'logprobs'], [{ echo: 1 }, 'echo'], [{ stream: 'yes' }, 'stream'], [{ seed: 1.5 }, 'seed'],
    [{ stop: '' }, 'stop'], [{ stop: Array(17).fill('a') }, 'stop'], [{ stop: [1] }, 'stop'], [{ best_of: 2 }, 'best_of'], [{ suffix: 'x' }, 'suffix'],
    [{ logit_bias: { 50256: -100 } }, 'logit_bias'], [{ presence_penalty: 1 }, 'presence_penalty'], [{ prompt: [] }, 'prompt'], [{ prompt: [[]] }, 'prompt'],
    [{ prompt: 5 }, 'prompt'], [{ prompt: [1, 'a'] }, 'prompt'], [{ prompt: [-1] }, 'prompt'], [{ prompt: [99999] }, 'prompt'], [{ prompt: [1.5] }, 'prompt'],
    [{ prompt: Array(129).fill('a') }, 'prompt'], [{ prompt: Array(101).fill(1) }, 'prompt'], [{ prompt: 'x y '.repeat(200) }, 'prompt'],
    [{ prompt: 'x'.repeat(50000) }, 'prompt'], [{ stream_options: 1 }, 'stream_options'], [{ colour: 1 }, null]];
  for (const [members, param] of wrong) {
    const e = await client.completions.create({ ...ask, ...members }).then(() => null, (x) => x);
    assert.ok(e instanceof OpenAI.BadRequestError, `${JSON.stringify(members).slice(0, 60)}: ${e}`);
    assert.deepEqual([e.status, e.type, e.param], [400, 'invalid_request_error', param], JSON.stringify(members).slice(0, 60));
    assert.ok(e.message.length > 10 && e.message.length < 300);
  }
  assert.equal((await client.completions.create({ ...ask, prompt: 'x '.repeat(300) }).catch((e) => e)).code, 'context_length_exceeded');
  await assert.rejects(client.completions.create({ ...ask, model: 'gpt-4' }), (e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found');
  await assert.rejects(client.models.retrieve('other'), OpenAI.NotFoundError);
  for (const apiKey of ['wrong', 'first-ke', 'first-key2', 'first-key\nx'.slice(0, 9) + ' x'])
    await assert.rejects(new OpenAI({ apiKey, baseURL: `${server.url}/v1`, maxRetries: 0 }).models.list(), OpenAI.AuthenticationError);
  assert.equal((await new OpenAI({ apiKey: 'first-key', baseURL: `${server.url}/v1` }).models.list()).data.length, 1);

  const auth = { Authorization: 'Bearer first-key' };
  const status = async (response) => {
    const r = await response;
    const body = await r.json();
    assert.deepEqual(Object.keys(body.error), ['message', 'type', 'param', 'code']);
    return r.status;
  };
  assert.equal(await status(fetch(`${server.url}/metrics`)), 401);
  assert.equal((await fetch(`${server.url}/health`)).status, 200);
  assert.equal((await fetch(`${server.url}/v1/models`, { method: 'HEAD', headers: auth })).status, 200);
  assert.equal(await status(fetch(`${server.url}/v1/nothing`, { headers: auth })), 404);
  assert.equal(await status(fetch(`${server.url}/v1/completions`, { headers: auth })), 405);
  assert.equal(await status(fetch(`${server.url}/v1/models`, { method: 'POST', headers: auth, body: 'x' })), 405);
  assert.equal(await status(post(server, ask, { ...auth, 'Content-Type': 'text/plain' })), 415);
  for (const body of ['', '{', '[]', '"x"', '{"prompt": "a", "prompt": "b"}', '{"prompt": "\\ud800"}', '{"max_tokens": 1e999}', '['.repeat(60000), 'nul\0'])
    assert.equal(await status(post(server, body, auth)), 400, body.slice(0, 40));
  assert.equal(await status(post(server, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('latin1'), auth)), 400);
  assert.equal(await status(post(server, JSON.stringify({ prompt: ' '.repeat(70000) }), auth)), 413);
  assert.equal(await status(post(server, ' '.repeat(4 << 20), auth)), 413);
  const chunked = new ReadableStream({ start(c) { c.enqueue(new Uint8Array(70000)); c.close(); } });
  assert.equal(await status(fetch(`${server.url}/v1/completions`, { method: 'POST', duplex: 'half', body: chunked,
    headers: { 'Content-Type': 'application/json', ...auth } })), 413);
  for (const path of ['health', 'v1/models', 'nothing'])
    assert.equal(await status(fetch(`${server.url}/${path}`, { headers: { ...auth, 'X-Long': 'x'.repeat(40000) } })), 431);
  const socket = net.connect(server.port, '127.0.0.1'); // what has no room is answered by the library, with a page
  socket.on('error', () => {});
  socket.write(`GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(100000)}\r\n\r\n`);
  assert.match(String(await once(socket, 'data')), /^HTTP\/1\.1 4(31|13|14) /);
  socket.destroy();

  // null is as nothing.
  const none = Object.fromEntries(['prompt', 'max_tokens', 'temperature', 'stop', 'n', 'logprobs', 'suffix', 'logit_bias', 'best_of', 'stream', 'user'].map((k) => [k, null]));
  const empty = await client.completions.create({ model: 'demo.bin', ...none, seed: 5 });
  assert.equal(empty.choices[0].text, command({ prompt: '', seed: 5 }));
  await stop(server);
});

// ---- many ----

test('under load, with 50 clients that come and go, each text is the one the command gives', async () => {
  const server = await start('--parallel', '12', '--queue', '1000');
  const random = randomNumbers(11);
  const requests = Array.from({ length: 60 }, () => randomRequest(random));
  const expected = requests.map((r) => command(r));
  let texts = 0, left = 0;

  const client = async (seed) => {
    const own = randomNumbers(seed);
    for (let i = 0; i < 12; i++) {
      const at = Math.floor(own() * requests.length);
      const how = own();
      if (how < 0.2) {
        const leaving = new AbortController();
        setTimeout(() => leaving.abort(), 40 * own());
        const gone = how < 0.1 ? streamed(server.client, { ...requests[at], n: 3 }, { signal: leaving.signal })
          : server.client.completions.create({ ...requests[at], max_tokens: 500 }, { signal: leaving.signal });
        await gone.catch(() => left++);
      } else if (how < 0.6) {
        assert.equal((await streamed(server.client, requests[at])).texts[0] ?? '', expected[at], JSON.stringify(requests[at]));
        texts++;
      } else {
        assert.equal((await server.client.completions.create(requests[at])).choices[0].text, expected[at], JSON.stringify(requests[at]));
        texts++;
      }
    }
  };
  await Promise.all(Array.from({ length: 50 }, (_, i) => client(100 + i)));
  assert.ok(texts > 300 && left > 20, `${texts} texts, ${left} left`);
  await nothingRuns(server);
  assert.equal(await stop(server), 0);
  assert.equal(server.err, '');
});

test('/trace: the last steps, while somebody looks', async () => {
  const server = await start('-m', slow, '--vocab', merges, '--parallel', '6');
  const look = async (after = 0) => (await (await fetch(`${server.url}/trace?after=${after}`)).json());
  const ask = { model: 'slow.bin', prompt: Array.from({ length: 200 }, (_, i) => i % 50), max_tokens: 60 };
  await server.client.completions.create(ask);
  assert.deepEqual((await look()).steps, []); // nobody had looked
  const whole = server.client.completions.create({ ...ask, n: 3 });
  const other = server.client.completions.create({ ...ask, prompt: 'Nora', max_tokens: 300 });
  const steps = [];
  await becomes('steps are told', async () => {
    steps.push(...(await look(steps[steps.length - 1]?.step)).steps);
    return steps.length > 40;
  });
  const ids = [await whole, await other].map(({ id }) => parseInt(id.slice(5), 16));
  const seen = new Set();
  steps.forEach((step, at) => {
    assert.ok(at === 0 || (step.step > steps[at - 1].step && step.start >= steps[at - 1].start + steps[at - 1].took));
    const owners = [];
    for (let i = 0; i < step.texts.length; i += 3)
      for (let k = 0; k < step.texts[i + 2]; k++)
        owners.push(`${step.texts[i] === ids[0] ? 'whole' : step.texts[i] === ids[1] ? 'other' : '?'} ${step.texts[i + 1]}`);
    owners.forEach((owner) => seen.add(owner));
    assert.equal(owners.length, step.rows);

    // Each op's tiles cover its output once, and no worker is in two at a time.
    const tiles = [];
    for (let i = 0, end = 0; i < step.tiles.length; i += 7) {
      const [worker, op, tile, r0, r1, wait, took] = step.tiles.slice(i, i + 7);
      end = (i > 0 && worker === tiles[tiles.length - 1].worker ? end : 0) + wait + took;
      assert.ok(wait >= 0 && took >= 0 && end <= step.took && r0 < r1 && r1 <= step.rows);
      tiles.push({ worker, op, tile });
    }
    assert.equal(new Set(tiles.map((t) => t.tile)).size, tiles.length);
    assert.equal(new Set(step.ops.map(([name]) => name)).size, step.ops.length);
    assert.ok(step.ops.some(([name, type, layer]) => name === 'h0.k' && type === 'matmul' && layer === 0));
    assert.ok(tiles.every(({ op }) => op < step.ops.length));
  });
  assert.deepEqual([...seen].sort(), ['other 0', 'whole 0', 'whole 1', 'whole 2']);
  assert.deepEqual((await look(steps[steps.length - 1].step + 10 ** 9)).steps, []);
  for (const after of ['x', '', '-1', '99999999999999999999'])
    assert.equal((await fetch(`${server.url}/trace?after=${after}`)).status, 400, after);

  // Who looks, and who does not read what he asked for, holds nobody up, and memory is given back.
  const deaf = Array.from({ length: 20 }, () => net.connect(server.port, '127.0.0.1'));
  deaf.forEach((s) => s.on('error', () => {}).on('connect', () => s.pause().write('GET /trace HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50))));
  assert.equal((await server.client.completions.create({ ...ask, prompt: 'x', seed: 3 })).choices[0].text, command({ ...ask, prompt: 'x' }, 3, slow));
  deaf.forEach((s) => s.destroy());
  await nothingRuns(server);

  // Nobody has looked for a while: nothing is kept.
  await sleep(2100);
  await server.client.completions.create(ask);
  assert.deepEqual((await look()).steps, []);
  assert.equal(await stop(server), 0);
  assert.equal(server.err, '');
});

test('tokens that are no characters, and texts to the end of the positions', async () => {
  const server = await start('-m', slow, '--vocab', merges);
  const ask = { model: 'slow.bin', prompt: 'The cat', max_tokens: 5000, temperature: 2 };
  const reasons = new Set();
  for (let seed = 1; seed <= 4 || !reasons.has('length'); seed++) {
    const got = await streamed(server.client, { ...ask, seed });
    assert.equal(got.texts[0], command(ask, seed, slow));
    assert.ok(got.texts[0].includes('\ufffd') && seed < 99);
    reasons.add(got.reasons[0]);
  }
  const { logprobs } = (await server.client.completions.create({ ...ask, seed: 7, max_tokens: 60, logprobs: 5 })).choices[0];
  assert.ok(logprobs.tokens.some((t) => /^bytes:(\\x[0-9a-f]{2})+$/.test(t)) && logprobs.tokens.length > 10);
  await stop(server);
});

test('who leaves frees the rows; time and queue are bounded', async () => {
  const server = await start('-m', slow, '--vocab', merges, '--parallel', '2', '--queue', '2', '--time-limit', '20', '--cache', '8');
  const { client } = server;
  const ask = { model: 'slow.bin', prompt: 'x', max_tokens: 900 };
  for (const stream of [false, true]) {
    const leaving = new AbortController();
    const gone = (async () => { // again and again, as a text may have ended before anyone looks
      while (!leaving.signal.aborted)
        await client.completions.create({ ...ask, stream, n: 2, max_tokens: 400 }, { signal: leaving.signal })
          .then(async (s) => { for await (const _ of s); }).catch(() => {});
    })();
    await becomes('it runs', async () => await metric(server, 'texts_running') === 2);
    leaving.abort();
    await gone;
    await nothingRuns(server);
  }
  // Memory for 1024 positions: two such texts do not run beside each other, and three at once can never be.
  await assert.rejects(client.completions.create({ ...ask, n: 2 }), (e) => e.status === 400 && e.param === 'max_tokens');
  // One runs, two wait, and of those who come meanwhile the others are told so.
  const seeds = [3, 4, 6, 8, 3, 4, 6, 8, 3, 4, 6, 8];
  const many = seeds.map((seed) => client.completions.create({ ...ask, seed }).then((r) => [r.choices[0].text, seed],
    (e) => [e.status === 503 ? [e.code, e.headers.get('retry-after')].join() : e.status, seed]));
  const ended = await Promise.all(many);
  assert.ok(ended.some(([x]) => x === 'overloaded,1'), JSON.stringify(ended).slice(0, 300));
  assert.ok(ended.every(([x, seed]) => x === 'overloaded,1' || x === 504 || x === command(ask, seed, slow)), JSON.stringify(ended).slice(0, 300));
  await nothingRuns(server);
  const late = await start('-m', slow, '--vocab', merges, '--time-limit', '1', '--parallel', '64', '-j', '1');
  const cut = await post(late, { prompt: Array(32).fill('x'), max_tokens: 1000, stream: true });
  assert.match(await cut.text(), /data: {"error":{"message":"[^"]*","type":"server_error","param":null,"code":"timeout"}}\n\n$/);
  await nothingRuns(late);
  await stop(late);
  await stop(server);
});

// ---- the hostile ----

const open = (server) => {
  const socket = net.connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  return socket;
};

// One text, as a neighbour of whatever goes on.
const neighbour = { model: 'demo.bin', prompt: 'One day, Nora', max_tokens: 30, seed: 9 };

test('a client that has closed its half of the connection gets its answer', async () => {
  const server = await start('-m', slow, '--vocab', merges, '--parallel', '1');
  const ask = { prompt: 'The cat', max_tokens: 300, seed: 5 };
  const half = (request, version) => new Promise((done) => {
    const body = JSON.stringify(request);
    const s = net.connect(server.port, '127.0.0.1');
    let all = '';
    s.on('data', (d) => { all += d; }).on('error', () => {}).on('close', () => done(all));
    s.end(`POST /v1/completions HTTP/${version}\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  const text = command(ask, 5, slow);
  const [whole, stream] = await Promise.all([half(ask, '1.1'), half({ ...ask, stream: true }, '1.1')]);
  const [, answer] = /^(?:HTTP\/1\.1 102 Processing\r\n\r\n)?HTTP\/1\.1 200 [^]*?\r\n\r\n([^]*)$/.exec(whole);
  assert.equal(JSON.parse(answer).choices[0].text, text);
  assert.match(stream, /^HTTP\/1\.1 200 [^]*data: \[DONE\]/);
  const events = [...stream.matchAll(/^data: (\{.*)$/gm)].map(([, event]) => JSON.parse(event).choices[0].text);
  assert.equal(events.join(''), text);
  assert.equal(await metric(server, 'left_total'), 0);

  // With HTTP/1.0 there is no telling, and it has left.
  assert.equal(await half({ ...ask, max_tokens: 1000, temperature: 0 }, '1.0'), '');
  assert.equal(await metric(server, 'left_total'), 1);
  await nothingRuns(server);
  assert.equal(await stop(server), 0);
});

test('a thousand idle connections, slow requests and slow readers hurt nobody', async () => {
  const server = await start('--timeout', '3');
  const text = command(neighbour);
  const idle = Array.from({ length: 1000 }, () => open(server));
  await becomes('they are connected', async () => await metric(server, 'connections') > 1000);
  // Headers and bodies that come byte by byte.
  const heads = Array.from({ length: 50 }, () => open(server)), bodies = Array.from({ length: 50 }, () => open(server));
  const got = new Map([...heads, ...bodies].map((s) => [s, '']));
  for (const s of got.keys())
    s.on('data', (d) => got.set(s, got.get(s) + d));
  bodies.forEach((s) => s.write('POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{'));
  const drip = setInterval(() => {
    heads.forEach((s) => s.write('G'));
    bodies.forEach((s) => s.write(' '));
  }, 100);
  // Streams that are asked for and not read.
  const body = JSON.stringify({ ...neighbour, n: 32, max_tokens: 250, stream: true, logprobs: 5, temperature: 2 });
  const slowReaders = Array.from({ length: 8 }, () => open(server));
  slowReaders.forEach((s) => {
    s.pause();
    s.write(`POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  for (let i = 0; i < 40; i++)
    assert.equal((await server.client.completions.create(neighbour)).choices[0].text, text);
  await becomes('slow requests are ended', () => [...got.keys()].every((s) => s.closed || s.destroyed));
  clearInterval(drip);
  for (const g of got.values())
    assert.ok(g.startsWith('HTTP/1.1 400 ') || JSON.parse(/^HTTP\/1\.1 408 [^]*?\r\n\r\n([^]*)$/.exec(g)[1]).error.code === 'timeout', g);
  await becomes('idle connections are closed', async () => await metric(server, 'connections') < 30);
  await nothingRuns(server);
  [...idle, ...slowReaders].forEach((s) => s.destroy());
  assert.equal((await server.client.completions.create(neighbour)).choices[0].text, text);
  assert.equal(await stop(server), 0);
});

test('whatever bytes a request has, it is answered or closed, and its neighbours are as alone', async () => {
  const server = await start('--timeout', '2', '--parallel', '4', '--queue', '8');
  const text = command(neighbour);
  const random = randomNumbers(5);
  const whole = (body) => Buffer.from(`POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  const seeds = [whole(JSON.stringify({ ...neighbour, max_tokens: 2, stop: ['a', 'b'], logprobs: 2, stream_options: {} })),
    whole('{"prompt":[[1,2],[3]],"max_tokens":1,"stream":true,"n":2,"echo":true}'), Buffer.from('GET /v1/models/demo.bin HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.from('POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"p\r\n0\r\n\r\n')];
  const pieces = ['\0', '\r\n', '\r\n\r\n', '{', '[', '"', '\\u0000', '\\ud800', '-1', '1e400', '99999999999999999999', 'null', ': ', ',', '\xff\xfe', 'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n', 'Expect: 100-continue\r\n', '%00', '/../', 'HTTP/9.9'];
  const mutate = (bytes) => {
    let b = Buffer.from(bytes);
    for (let k = 1 + Math.floor(random() * 4); k > 0; k--) {
      const at = Math.floor(random() * b.length), how = random();
      if (how < 0.3)
        b[at] = Math.floor(random() * 256);
      else if (how < 0.5)
        b = Buffer.concat([b.subarray(0, at), b.subarray(Math.min(b.length, at + Math.floor(random() * 20)))]);
      else
        b = Buffer.concat([b.subarray(0, at), Buffer.from(pieces[Math.floor(random() * pieces.length)], 'latin1'), b.subarray(at)]);
    }
    return b;
  };
  const statuses = new Map();
  const attack = (bytes) => new Promise((done) => {
    const s = open(server);
    let all = '';
    s.on('data', (d) => {
      all += d;
      setTimeout(() => s.destroy(), 20);
    });
    s.on('close', () => {
      const status = /^HTTP\/1\.[01] (\d+) /.exec(all)?.[1] ?? 'closed';
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      done();
    });
    s.end(bytes);
  });
  let done = 0;
  const attackers = Array.from({ length: 20 }, async () => {
    for (; done < 2000; done++)
      await attack(mutate(seeds[Math.floor(random() * seeds.length)]));
  });
  const until = Promise.all(attackers).then(() => true);
  let n = 0;
  do {
    const r = await server.client.completions.create(neighbour).catch((e) => e);
    assert.ok(r.status === 503 || r.choices[0].text === text, String(r));
    n++;
  } while (!await Promise.race([until, sleep(5).then(() => false)]));
  assert.ok(n > 5 && statuses.get('400') > 300, JSON.stringify([...statuses]));
  assert.ok(!statuses.has('500'), JSON.stringify([...statuses]));
  await nothingRuns(server);
  assert.equal((await server.client.completions.create(neighbour)).choices[0].text, text);
  assert.equal(await stop(server), 0);
  assert.equal(server.err, '');
});

// ---- the end ----

test('SIGTERM ends what runs within the grace, then all', async () => {
  const ask = { model: 'slow.bin', prompt: 'x', max_tokens: 300, seed: 4 };
  const server = await start('-m', slow, '--vocab', merges);
  const whole = server.client.completions.create(ask), stream = streamed(server.client, ask);
  await becomes('they run', async () => await metric(server, 'texts_running') === 2);
  const code = stop(server);
  await sleep(50);
  await assert.rejects(once(open(server), 'connect'), { code: 'ECONNREFUSED' });
  assert.equal((await whole).choices[0].text, command(ask, 4, slow));
  assert.equal((await stream).texts[0], command(ask, 4, slow));
  assert.equal(await code, 0);

  const cut = await start('-m', slow, '--vocab', merges, '--grace', '0');
  const failed = cut.client.completions.create({ ...ask, max_tokens: 1000 }).catch((e) => e);
  const ended = post(cut, { ...ask, max_tokens: 1000, stream: true }).then((r) => r.text());
  await becomes('they run', async () => await metric(cut, 'texts_running') === 2);
  assert.equal(await stop(cut, 'SIGINT'), 0);
  assert.deepEqual([(await failed).status, (await failed).code], [503, 'shutting_down']);
  assert.match(await ended, /data: {"error":{"message":"the server ends"[^\n]*}\n\n$/);
});

test('the manual page has every option', () => {
  const help = String(spawnSync(join(build, 'dagpt-serve'), ['--help']).stdout);
  const page = readFileSync('docs/man/dagpt-serve.1', 'utf8').replaceAll('\\-', '-');
  const options = help.match(/--[a-z-]+/g);
  assert.ok(options.length > 15);
  for (const o of options)
    assert.ok(page.includes(o), o);
  assert.ok(page.includes(`"${String(spawnSync(join(build, 'dagpt'), ['--version']).stdout).trim()}"`));
});

test('what cannot be is said in one line', () => {
  const says = (code, text, ...args) => {
    const done = spawnSync(join(build, 'dagpt-serve'), args);
    assert.equal(done.status, code, `${args}: ${done.stderr}`);
    assert.match(String(done.stderr), /^dagpt-serve: [^\n]*\n$/);
    assert.ok(String(done.stderr).includes(text), `${args}: ${done.stderr}`);
  };
  says(2, 'got no model');
  says(2, "unknown option '--nothing'", '--nothing');
  says(2, "unknown option '--para'", '--para', '3');
  says(2, "got 'x', expected options alone", 'x');
  says(2, "--port: got '70000'", '--port', '70000');
  says(2, "option '--port' wants a value", '--port');
  says(2, '--weights', '-m', demo, '--weights', 'int3');
  says(3, '/none', '-m', '/none');
  says(4, 'the tokenizer has', '-m', slow, '--vocab', 'tests/golden/vocab.bpe');
  says(4, 'no merges.txt', '-m', slow);
  says(5, 'cannot listen', '-m', demo, '--listen', 'localhost.invalid');
  says(5, '/none', '-m', demo, '--api-key-file', '/none');
});
