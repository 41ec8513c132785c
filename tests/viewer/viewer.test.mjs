// viewer.test.mjs - the trace viewer in a browser. Started by tests/viewer/viewer.sh, with
//   DAGPT_BUILD    the build folder: its dagpt makes pages, its viewer/ takes pictures
//   DAGPT_BROWSER  a Chromium
// Every page must load without a message on the console, a request, or a breach of its policy. What the
// page computes is compared with what is computed here from the trace's JSON, by other means.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { emptyTrace, hostileTrace, makeTrace } from './make_trace.mjs';

// For 200,000 tiles. Times are told and not judged: other programs take from them. What is judged is the work.
// Measured on two shared CPUs, both busy with other programs: 2.0 s, 10 ms a frame, 10.3 MB.
const SIZE_LIMIT = 15; // MB
const PATIENCE = 300000; // ms, for what must happen at all

const build = process.env.DAGPT_BUILD;
let folder;
let browser;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'dagpt-viewer-'));
  browser = await chromium.launch({ executablePath: process.env.DAGPT_BROWSER, args: ['--no-sandbox', '--disable-renderer-priority-management', '--disable-dev-shm-usage'] });
});

after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

function run(program, args, options = {}) {
  const done = spawnSync(program, args, { encoding: 'utf8', ...options });
  assert.equal(done.status, 0, `${program} ${args.join(' ')}: ${done.error ?? done.stderr}`);
}

// The page that shows a trace; returns its address.
function makePage(name, shown) {
  const [json, html] = [join(folder, `${name}.json`), join(folder, `${name}.html`)];
  writeFileSync(json, JSON.stringify(shown));
  run(join(build, 'dagpt'), ['trace', json, '--html', html]);
  return pathToFileURL(html).href;
}

// Opens an address; `page.complaints` collects what must not happen.
async function open(url, { width = 1440, height = 900, dark = false } = {}) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', reducedMotion: 'reduce' });
  page.complaints = [];
  page.on('console', (m) => page.complaints.push(`console: ${m.text()}`));
  page.on('pageerror', (e) => page.complaints.push(`error: ${e.message}`));
  page.on('dialog', (d) => page.complaints.push(`dialog: ${d.message()}`));
  page.on('request', (r) => r.url() !== url && page.complaints.push(`request: ${r.url()}`));
  await page.addInitScript(() => addEventListener('securitypolicyviolation', (e) => console.log(`policy: ${e.violatedDirective}`)));
  page.setDefaultTimeout(PATIENCE);
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.setTimeDomain', { timeDomain: 'threadTicks' });
  await session.send('Performance.enable');
  page.cpu = async () => (await session.send('Performance.getMetrics')).metrics.find((m) => m.name === 'ThreadTime').value;
  await page.goto(url, { timeout: PATIENCE });
  await page.waitForFunction(() => state.stats.load > 0, null, { timeout: PATIENCE });
  await settled(page);
  return page;
}

// After the frames that are still to come.
const settled = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30)))));
const picture = (page, name) => page.screenshot({ path: join(build, 'viewer', `${name}.png`) });

async function close(page) {
  assert.deepEqual(page.complaints, []);
  await page.close();
}

const trace = makeTrace({ tiles: 9000 });
let address; // of the page with `trace`, made once
const openTrace = (options) => open((address ??= makePage('trace', trace)), options);

const tilesOf = (t) => t.traceEvents.filter((e) => e.cat === 'tile');
// Those that the figures are of: of steps that do more than load.
const countedOf = (t) => tilesOf(t).filter((e) => t.dagpt.plans[t.dagpt.steps[e.args.step].plan].ops.some((op) => op.type !== 'load'));
const close3 = (a, b) => Math.abs(a - b) < 0.002;

// The screen position of the middle of a tile, found by its name and place.
const placeOf = (page, query) => page.evaluate((q) => {
  const r = findRecords(q).find((i) => state.model.tiles.start[i] >= state.view.t0 && state.model.tiles.end[i] <= state.view.t1);
  const { tiles } = state.model;
  const box = byId('timeline').getBoundingClientRect();
  const lane = state.layout.lanes[tiles.worker[r]];
  return { record: r, x: box.left + timeToX(state, (tiles.start[r] + tiles.end[r]) / 2), y: box.top + lane.y + lane.h / 2 };
}, query);

// Zooms to the named layer of the step.
const zoomTo = (page, step, layer) => page.evaluate(([s, l]) => {
  const band = state.bands.find((b) => b.step === s && b.name === l);
  setView(band.start - 5, band.end + 5);
}, [step, layer]).then(() => settled(page));

// Until the table is of the view, which it is when that has rested.
const tableOfView = (page) => page.waitForFunction(() => state.range[0] === state.view.t0 && state.range[1] === state.view.t1);

const view = (page) => page.evaluate(() => ({ ...state.view }));
// Runs `body` on the canvas's pixels, as words or bytes. They are read from a copy: a canvas that is read
// more than once makes the browser print a warning.
const onPixels = (page, body, arg = null) => page.evaluate(`(() => {
  const c = byId('timeline');
  const copy = Object.assign(document.createElement('canvas'), { width: c.width, height: c.height }).getContext('2d');
  copy.drawImage(c, 0, 0);
  return (${body})(copy.getImageData(0, 0, c.width, c.height).data, ${JSON.stringify(arg)});
})()`);

const canvasHash = (page) => onPixels(page, (data) => data.reduce((h, x) => (h * 31 + x) | 0, 0));

test('a trace loads: the facts of the run, a timeline, a table', async () => {
  const page = await openTrace();
  const facts = await page.locator('#facts').innerText();
  assert.match(facts, new RegExp(`tiles\\s+${countedOf(trace).length.toLocaleString('en')}`));
  assert.match(facts, /workers\s+4/);
  assert.match(facts, /schedule\s+dataflow/);
  const colors = await onPixels(page, (data) => new Set(new Uint32Array(data.buffer)).size);
  assert.ok(colors > 20, `${colors} colours on the timeline`);
  assert.equal(await page.locator('#table tbody tr').count(), new Set(countedOf(trace).map((e) => e.args.type)).size);
  await picture(page, 'whole-light');
  await close(page);
});

test('the policy lets in no other script, style or address', async () => {
  const page = await openTrace();
  await page.evaluate(() => {
    document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.hacked = 1' }));
    document.body.insertAdjacentHTML('beforeend', '<img src="data:image/png;base64,AAAA" onerror="window.hacked = 2"><p style="color: red">');
    return fetch('http://127.0.0.1:9/').catch(() => 0);
  });
  await settled(page);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  const breaches = page.complaints.filter((c) => c.startsWith('console: policy: '));
  for (const what of ['script-src', 'img-src', 'style-src', 'connect-src'])
    assert.ok(breaches.some((c) => c.includes(what)), `${what} in ${breaches.join('; ')}`);
  assert.ok(!page.complaints.some((c) => c.startsWith('request: http')));
  await page.close();
});

// ---- what is computed ----

// Predecessors of each tile, joins passed through, straight from the plan.
function inputsOf(plan) {
  const n = plan.tiles.length;
  const inputs = plan.tiles.map(() => new Set());
  const walk = (from, node) => plan.next[node].forEach((u) => (u < n ? inputs[u].add(from) : walk(from, u)));
  for (let t = 0; t < n; t++)
    walk(t, t);
  return inputs;
}

test('critical path: the longest chain of each step', async () => {
  const page = await openTrace();
  const got = await page.evaluate(() => state.model.steps.map((s) => s.path));
  const { plans, steps } = trace.dagpt;
  const inputs = plans.map(inputsOf);
  const slices = steps.map(() => new Map());
  for (const e of tilesOf(trace))
    slices[e.args.step].set(e.args.tile, e.dur - (e.args.preempted ?? 0));
  steps.forEach((step, s) => {
    const upTo = [];
    inputs[step.plan].forEach((from, t) => {
      upTo.push(slices[s].get(t) + Math.max(0, ...[...from].map((u) => upTo[u])));
    });
    assert.ok(close3(got[s], Math.max(...upTo)), `step ${s}: ${got[s]}, expected ${Math.max(...upTo)}`);
  });
  const marked = await page.evaluate(() => state.model.steps.map((s, i) =>
    state.pathRecords.filter((r) => state.model.tiles.step[r] === i).reduce((sum, r) => sum + state.model.tiles.end[r] - state.model.tiles.start[r] - state.model.tiles.preempted[r], 0)));
  marked.forEach((sum, s) => assert.ok(close3(sum, got[s]), `the tiles marked in step ${s} add up to its path`));
  await close(page);
});

// A tile's last input, the last input of that, and so on.
function chainOf(byTile, tile) {
  const chain = new Set();
  for (let e = tile; e.args.last !== null; e = byTile.get(`${e.args.step} ${e.args.last}`))
    chain.add(e.args.last);
  return chain;
}

test('idle gaps: tiles and gaps fill a worker\'s step, and a gap names its culprit', async () => {
  const page = await openTrace();
  const { gaps, busy, spans } = await page.evaluate(() => {
    const { gaps: g, tiles, spans: s } = state.model;
    const sum = (x) => Array.from({ length: x.n }, (_, i) => x.end[i] - x.start[i]).reduce((a, b) => a + b, 0);
    const one = (r) => (r < 0 ? null : { step: tiles.step[r], tile: tiles.tile[r] });
    return { busy: sum(tiles), spans: sum(s), gaps: Array.from({ length: g.n }, (_, i) => ({ worker: g.worker[i], start: g.start[i], end: g.end[i],
      why: g.why[i], next: one(g.next[i]), culprit: one(g.culprit[i]), how: g.spinning[i] + g.parked[i] + g.queue[i], preempted: g.preempted[i] })) };
  });
  const inSteps = gaps.filter((g) => g.why < 4).reduce((sum, g) => sum + g.end - g.start, 0);
  assert.ok(Math.abs(inSteps + busy - spans) < 0.002 * gaps.length, `${inSteps} idle + ${busy} busy, ${spans} in steps`);
  const byTile = new Map(tilesOf(trace).map((e) => [`${e.args.step} ${e.args.tile}`, e]));
  const waits = gaps.filter((g) => g.why === 0);
  assert.ok(waits.length > 100);
  for (const g of waits) {
    const next = byTile.get(`${g.next.step} ${g.next.tile}`);
    assert.ok(chainOf(byTile, next).has(g.culprit.tile), 'the culprit is the last input, or one before it');
    assert.ok(g.end <= next.args.ready + 0.002 && next.tid === g.worker);
    const culprit = byTile.get(`${g.next.step} ${g.culprit.tile}`);
    assert.ok(culprit.ts + culprit.dur > g.start - 0.002, 'the culprit was not done when the wait began');
  }
  for (const g of gaps.filter((x) => x.why === 1))
    assert.ok(g.start >= byTile.get(`${g.next.step} ${g.next.tile}`).args.ready - 0.002);
  const how = gaps.reduce((sum, g) => sum + g.how + g.preempted, 0);
  const waitSlices = trace.traceEvents.filter((e) => e.cat === 'wait');
  const slices = waitSlices.reduce((sum, e) => sum + e.dur, 0);
  const preempted = waitSlices.reduce((sum, e) => sum + (e.args.preempted ?? 0), 0);
  assert.ok(preempted > 0 && Math.abs(gaps.reduce((sum, g) => sum + g.preempted, 0) - preempted) < preempted / 1000, `${preempted} of preemption in gaps`);
  assert.ok(Math.abs(how - slices) < 0.002 * gaps.length, `${how} of waiting in gaps, ${slices} in the file`);
  await close(page);
});

test('tracks: ready and running tiles at any time', async () => {
  const page = await openTrace();
  const times = tilesOf(trace).filter((_, i) => i % 97 === 0).map((e) => e.ts + e.dur / 2 + 0.0003);
  const got = await page.evaluate((ts) => ts.map((t) => [state.model.tracks.ready, state.model.tracks.busy].map((k) => k.values[lastNotAfter(k.times, t, 0, k.n)])), times);
  const near = (t) => tilesOf(trace).some((e) => [e.ts, e.ts + e.dur, e.args.ready].some((x) => Math.abs(x - t) < 0.001));
  times.forEach((t, i) => {
    if (near(t))
      return;
    assert.equal(got[i][0], tilesOf(trace).filter((e) => e.args.ready <= t && t < e.ts).length, `ready at ${t}`);
    assert.equal(got[i][1], tilesOf(trace).filter((e) => e.ts <= t && t < e.ts + e.dur).length, `busy at ${t}`);
  });
  await close(page);
});

// ---- one truth: text, JSON and page ----

const clone = (t) => structuredClone(t);

// The same in version 1: an op's type was in "op", and nothing else said that it loads.
function inVersion1(t) {
  t.dagpt.version = 1;
  for (const op of t.dagpt.plans.flatMap((plan) => plan.ops)) {
    op.op = op.type;
    delete op.type;
    delete op.loads;
  }
  for (const { args } of t.traceEvents.filter((e) => e.cat === 'tile')) {
    args.op = args.type;
    delete args.type;
  }
  return t;
}

// Worker 3 enters each step when its first tile begins, late; worker 4 takes no part; another step was dropped.
function withAbsences(t) {
  const ofWorker = (e, step) => e.ph === 'X' && e.tid === 3 && e.args.step === step;
  t.traceEvents = t.traceEvents.filter((e) => e.ph !== 'X' || e.args.step !== 2);
  t.dagpt.steps.splice(2, 1);
  for (const e of t.traceEvents)
    if (e.ph === 'X' && e.args.step > 2)
      e.args.step--;
  t.dagpt.steps.forEach((_, step) => {
    const first = t.traceEvents.find((e) => e.cat === 'tile' && ofWorker(e, step));
    const slice = t.traceEvents.find((e) => e.cat === 'step' && ofWorker(e, step));
    Object.assign(slice, { ts: first.ts, dur: Math.round((slice.ts + slice.dur - first.ts) * 1000) / 1000 });
    t.traceEvents = t.traceEvents.filter((e) => !(e.cat === 'wait' && ofWorker(e, step) && e.ts < first.ts));
  });
  Object.assign(t.dagpt, { workers: 6, awake: 5, dropped: 77 });
  return t;
}

// The load plan alone.
function onlyLoads(t) {
  t.traceEvents = t.traceEvents.filter((e) => e.ph !== 'X' || e.args.step === 0);
  t.dagpt.steps.length = 1;
  return t;
}

// A file of a run: the demo loads its weights within the first step.
function recorded(name, ...options) {
  const json = join(folder, `${name}-run.json`);
  run(join(build, 'dagpt'), ['complete', '-n', '4', '--ignore-eos', '--trace', json, ...options, 'Once']);
  return JSON.parse(readFileSync(json, 'utf8'));
}

const small = () => makeTrace({ tiles: 1500, layers: 3, rows: 20, seed: 5 });

// Each parked worker was woken soon, and had no CPU for so much of the time.
function withoutCpu(t, share) {
  t.traceEvents.filter((e) => e.name === 'parked').forEach((e) => (e.args.preempted = Math.round(1000 * share * e.dur) / 1000));
  return t;
}

const FIXTURES = {
  steps: small, 'version-1': () => inVersion1(small()), absences: () => withAbsences(small()), woken: () => withoutCpu(small(), 0.9), 'only-loads': () => onlyLoads(small()),
  barrier: () => Object.assign(small(), {}), hostile: hostileTrace, none: emptyTrace,
  'run-dataflow': () => recorded('dataflow', '-j', '3', '--cpus', '3'), 'run-barrier': () => recorded('barrier', '-j', '2', '--cpus', '2', '--sched', 'barrier'),
  'run-serial': () => recorded('serial', '-j', '2', '--cpus', '2', '--sched', 'serial'),
};

// A number of the page, "17.8 ms" or "47.9 %", in µs or as a ratio.
function shown(text) {
  const [, number, unit] = /^([\d.,e+-]+) ?(ns|µs|ms|s|%)?/.exec(text);
  return Number(number.replace(/,/g, '')) * ({ ns: 1e-3, µs: 1, ms: 1e3, s: 1e6, '%': 0.01 }[unit] ?? 1);
}

// Does what is shown, rounded, stand for the exact value?
const agree = (text, exact, what) => assert.ok(Math.abs(shown(text) - exact) <= 0.006 * Math.abs(exact) + (/^[\d.,]+ ?(ns|µs|ms|s|%)/.test(text) ? 0.0006 : 0.0051), `${what}: ${text}, expected ${exact}`);
const near3 = (got, exact, what) => assert.ok(Math.abs(got - exact) <= 0.0011 + 1e-9 * Math.abs(exact), `${what}: ${got}, expected ${exact}`);

// What `dagpt trace FILE` prints, against its JSON: each number of the head, and of each worker.
function compareText(text, json, name) {
  const find = (pattern) => pattern.exec(text)?.slice(1).map(Number) ?? assert.fail(`${name}: no ${pattern} in ${text}`);
  const [, wall, elapsed] = find(/^steps +(\d+) steps of .* tokens: ([\d.]+) ms wall \(([\d.]+) from/m);
  const [work, tiles, span, pathTiles, parallelism] = find(/^work +([\d.]+) ms in (\d+) tiles; span ([\d.]+) ms, (\d+) tiles.*parallelism ([\d.]+)$/m);
  const [busy] = find(/^busy +([\d.]+) of/m);
  const idle = find(/idle: ([\d.]+) ms waited for a tile, ([\d.]+) late for one,\s+([\d.]+) with nothing left, ([\d.]+) preempted, ([\d.]+) outside/);
  for (const [got, key] of [[wall, 'wall_us'], [elapsed, 'elapsed_us'], [work, 'work_us'], [span, 'span_us']])
    assert.ok(Math.abs(got * 1000 - json[key]) <= 0.51, `${name}: ${key}`);
  Object.values(json.idle_us).forEach((us, i) => assert.ok(Math.abs(idle[i] * 1000 - us) <= 0.51, `${name}: idle ${i}`));
  assert.deepEqual([tiles, pathTiles], [json.tiles, json.path_tiles]);
  assert.ok(Math.abs(parallelism - json.parallelism) <= 0.0051 && Math.abs(busy - json.busy_workers) <= 0.0051, name);
  for (const w of json.by_worker) {
    const [percent] = find(new RegExp(`^${w.worker} +${w.tiles} +([\\d.]+)%`, 'm'));
    assert.ok(Math.abs(percent / 100 - (json.wall_us ? w.busy_us / json.wall_us : 0)) <= 0.00051, `${name}: busy of worker ${w.worker}`);
  }
}

// What the page shows, and what it adds up for its tables, against the JSON.
async function comparePage(page, json, name) {
  const facts = Object.fromEntries((await page.locator('#facts > div').allInnerTexts()).map((row) => row.split('\n').map((s) => s.trim())));
  for (const [key, exact] of [['wall time', json.elapsed_us], ['in steps', json.wall_us], ['work', json.work_us], ['critical path', json.wall_us && json.span_us],
    ['parallelism', json.parallelism], ['workers busy', json.busy_workers], ['tiles', json.tiles], ['steps', json.steps], ['loading', json.load_tiles && json.loading_us]])
    if (facts[key] !== '—')
      agree(facts[key], exact, `${name}: ${key}`);
    else
      assert.equal(exact, 0, `${name}: ${key}`);
  assert.equal(facts['not recorded'] ?? '0 tiles', `${json.dropped} tiles`);
  await page.keyboard.press('0');
  await tableOfView(page);
  const range = await page.locator('#range').innerText();
  assert.match(range, /^The whole run: /);
  const [, wall, work, busy, path] = /: (.*) in steps, work (.*), (.*) of \d+ workers busy, critical path (.*)\.$/.exec(range);
  for (const [text, exact] of [[wall, json.wall_us], [work, json.work_us], [busy, json.busy_workers], [path, json.span_us]])
    agree(text, exact, `${name}: ${range}`);
  const rows = await page.evaluate(() => Object.fromEntries(['role', 'worker', 'idle'].map((group) => [group, addUp(state.model, GROUPS[group], state.range).rows])));
  const lanes = await page.evaluate(() => state.laneNotes);
  assert.equal(rows.role.length, json.by_op.length);
  for (const op of json.by_op) {
    const row = rows.role.find((r) => (name === 'hostile' || r.name === op.name) && r.count === op.tiles && Math.abs(r.total - op.total_us) < 0.0011);
    assert.ok(row, `${name}: ${op.name}: no such row in the page`);
    near3(row.path, op.path_us, `${name}: ${op.name}: on the path`);
    near3(row.max, op.max_us, `${name}: ${op.name}: longest`);
    near3(row.mean, op.mean_us, `${name}: ${op.name}: mean`);
    near3(row.gbps, op.gbps, `${name}: ${op.name}: GB/s`);
    near3(row.gflops, op.gflops, `${name}: ${op.name}: GFLOP/s`);
    near3(row.share, op.share, `${name}: ${op.name}: share`);
  }
  for (const w of json.by_worker) {
    const row = rows.worker.find((r) => r.key === w.worker);
    assert.equal(row.count, w.tiles);
    near3(row.total, w.busy_us, `${name}: worker ${w.worker}: busy`);
    for (const key of ['queue', 'spinning', 'parked', 'preempted', 'outside'])
      near3(row[key], w[`${key}_us`], `${name}: worker ${w.worker}: ${key}`);
    if (w.busy_us > 0)
      agree(lanes[w.worker].replace('busy ', ''), w.busy_us / json.wall_us, `${name}: lane ${w.worker}`);
  }
  Object.values(json.idle_us).forEach((us, why) => near3(rows.idle.find((r) => r.key === why)?.total ?? 0, us, `${name}: idle ${why}`));
  await compareGaps(page, json, name);
}

// Each of the longest gaps is one in the page: its place, its reason, and the tile that is to blame.
async function compareGaps(page, json, name) {
  const gaps = await page.evaluate(() => {
    const { gaps: g, tiles } = state.model;
    return Array.from({ length: g.n }, (_, i) => [g.worker[i], g.start[i], g.end[i], g.why[i], g.culprit[i] < 0 ? -1 : tiles.tile[g.culprit[i]], gapSentence(state.model, i)]);
  });
  const reasons = ['tile', 'late', 'nothing left', 'preempted', 'outside'];
  for (const gap of json.gaps) {
    const end = gap.start_us + gap.us - (gap.reason === 'tile' ? gap.late_us ?? 0 : 0);
    const found = gaps.find(([w, start, until, why]) => w === gap.worker && Math.abs(start - gap.start_us) < 0.0011 && why === reasons.indexOf(gap.reason)
      && (Math.abs(until - end) < 0.0011 || (gap.reason === 'tile' && gap.tile === undefined)));
    assert.ok(found, `${name}: no such gap in the page: ${JSON.stringify(gap)}`);
    if (gap.reason === 'tile' || gap.reason === 'nothing left')
      assert.equal(found[4], gap.tile ?? -1, `${name}: ${JSON.stringify(gap)}`);
    if (gap.tile !== undefined && name !== 'hostile')
      assert.ok(found[5].includes(`${gap.name} tile ${gap.place} (worker ${gap.on})`), `${name}: ${found[5]}`);
  }
}

for (const [name, make] of Object.entries(FIXTURES))
  test(`one truth: ${name}`, async () => {
    const made = make();
    if (name === 'barrier')
      made.dagpt.sched = 'barrier';
    const page = await open(makePage(name, made));
    const dagpt = (...options) => spawnSync(join(build, 'dagpt'), ['trace', join(folder, `${name}.json`), ...options], { encoding: 'utf8' }).stdout;
    const json = JSON.parse(dagpt('--json'));
    compareText(dagpt(), json, name);
    await comparePage(page, json, name);
    await close(page);
  });

// The definitions, told again from the file's events: work, loading, busy, outside.
test('one truth: the figures are what the words mean', () => {
  for (const name of ['steps', 'absences', 'run-dataflow']) {
    const t = FIXTURES[name]();
    makePage(name, t);
    const json = JSON.parse(spawnSync(join(build, 'dagpt'), ['trace', join(folder, `${name}.json`), '--json'], { encoding: 'utf8' }).stdout);
    const time = (e) => Math.round(e.dur * 1000) / 1000 - (e.args.preempted ?? 0);
    const sum = (list) => list.reduce((a, e) => a + time(e), 0);
    const counted = t.dagpt.steps.filter((s) => t.dagpt.plans[s.plan].ops.some((op) => !op.loads));
    const loading = tilesOf(t).filter((e) => t.dagpt.plans[t.dagpt.steps[e.args.step].plan].ops[t.dagpt.plans[t.dagpt.steps[e.args.step].plan].tiles[e.args.tile][0]].loads);
    const within = (x, y, what) => assert.ok(Math.abs(x - y) < 0.01, `${name}: ${what}: ${x}, expected ${y}`);
    within(json.work_us, sum(countedOf(t)), 'work');
    within(json.loading_us, sum(loading), 'loading');
    assert.equal(json.load_tiles, loading.length);
    within(json.wall_us, counted.reduce((a, s) => a + s.end - s.start, 0), 'wall');
    for (const w of json.by_worker) {
      within(w.busy_us, sum(countedOf(t).filter((e) => e.tid === w.worker)), `busy of worker ${w.worker}`);
      within(w.busy_us + w.queue_us + w.spinning_us + w.parked_us + w.preempted_us + w.outside_us, json.wall_us, `all of worker ${w.worker}`);
    }
  }
});

test('a late worker, an absent one, and what they are called', async () => {
  const page = await open(makePage('absences', withAbsences(small())));
  const said = await page.evaluate(() => Array.from({ length: state.model.gaps.n }, (_, g) => [state.model.gaps.worker[g], state.model.gaps.why[g], gapSentence(state.model, g)]));
  assert.ok(said.some(([w, why, text]) => w === 3 && why === 4 && /^worker 3 entered step \d+ late: .* after it began$/.test(text)));
  assert.ok(said.filter(([w]) => w === 4).every(([, why, text]) => (why === 4 ? /took no part in step \d+/ : /between steps/).test(text)));
  await page.locator('#tabs').getByRole('button', { name: 'Idle: why' }).click();
  assert.match(await page.locator('#table').innerText(), /outside the step/);
  await picture(page, 'absences');
  await close(page);
});

test('a worker that was woken and had no CPU waited for no tile', async () => {
  const sentences = async (share) => {
    const page = await open(makePage('woken', withoutCpu(makeTrace({ tiles: 6000, layers: 3, rows: 20, seed: 5 }), share)));
    const said = await page.evaluate(() => Array.from({ length: state.model.gaps.n }, (_, g) =>
      [state.model.gaps.why[g], state.model.gaps.woken[g] / (state.model.gaps.end[g] - state.model.gaps.start[g]), gapSentence(state.model, g)]));
    await close(page);
    return said;
  };
  const most = (await sentences(0.9)).filter(([, woken]) => woken > 0.51);
  assert.ok(most.some(([why]) => why === 3));
  for (const [why, , text] of most)
    assert.match(text, why === 3 ? /^worker \d had been woken, and had no CPU for .* of .*$/ : /to start .*, which was ready: it had been woken, and had no CPU for /);
  // Where the CPU came before half of the gap was over, the worker waited until the tile was ready, and then for a CPU.
  const late = (await sentences(0.2)).filter(([why, woken]) => why === 1 && woken > 0.51);
  assert.ok(late.length > 0 && late.every(([, , text]) => /which was ready: it had been woken, and had no CPU for /.test(text)));
});

test('the table is of the range in view', async () => {
  const page = await openTrace();
  const number = async () => (await page.locator('#table tbody tr').evaluateAll((rows) => rows.map((r) => Number(r.cells[1].innerText.replace(/,/g, ''))))).reduce((a, b) => a + b, 0);
  assert.equal(await number(), countedOf(trace).length);
  const { step, from, to } = await page.evaluate(() => ({ step: 3, from: state.model.steps[3].start, to: state.model.steps[3].end }));
  await page.evaluate(([a, b]) => setView(a, b), [from, to]);
  await tableOfView(page);
  assert.match(await page.locator('#range').innerText(), /^In view, /);
  assert.equal(await number(), tilesOf(trace).filter((e) => e.args.step === step).length);
  const half = (from + to) / 2;
  await page.evaluate(([a, b]) => setView(a, b), [from, half]);
  await tableOfView(page);
  const inside = tilesOf(trace).filter((e) => e.args.step === step && e.ts < half);
  assert.equal(await number(), inside.length);
  const part = (e) => ((Math.min(e.ts + e.dur, half) - e.ts) / e.dur) * (e.dur - (e.args.preempted ?? 0));
  const total = await page.evaluate(() => addUp(state.model, GROUPS.type, state.range).rows.reduce((sum, row) => sum + row.total, 0));
  assert.ok(Math.abs(total - inside.reduce((sum, e) => sum + part(e), 0)) < 0.1);
  await picture(page, 'range');
  await close(page);
});

test('limits that were measured beside other work are told', async () => {
  const t = clone(trace);
  t.dagpt.machine.limits = [{ workers: 4, read_gbps: 10, fma_gflops: 5 }];
  const page = await open(makePage('limits', t));
  assert.match(await page.locator('#facts').innerText(), /limits\s+\S+ computes at [\d,.]+ % of them: measured beside other work/);
  await close(page);
});

// ---- what one does with it ----

test('zoom and pan: wheel, drag, keys, axis, minimap', async () => {
  const page = await openTrace();
  const box = await page.locator('#timeline').boundingBox();
  const x = box.x + box.width / 2;
  const timeAt = () => page.evaluate((px) => xToTime(state, px - byId('timeline').getBoundingClientRect().left), x);
  const span = (v) => v.t1 - v.t0;
  const whole = await view(page);
  await page.mouse.move(x, box.y + 200);
  const anchor = await timeAt();
  await page.mouse.wheel(0, -1500);
  await settled(page);
  const near = await view(page);
  assert.ok(span(near) < span(whole) / 5, 'the wheel zooms');
  assert.ok(Math.abs(await timeAt() - anchor) < span(near) / 200, 'about the pointer');
  await page.mouse.down();
  await page.mouse.move(x - 300, box.y + 200, { steps: 4 });
  await page.mouse.up();
  await settled(page);
  const moved = await view(page);
  assert.ok(moved.t0 > near.t0 + span(near) / 6 && Math.abs(span(moved) - span(near)) < 1e-3, 'a drag moves');
  await page.keyboard.down('Shift');
  await page.mouse.wheel(0, -200);
  await page.keyboard.up('Shift');
  await settled(page);
  assert.ok((await view(page)).t0 < moved.t0, 'Shift and the wheel move');
  for (const [key, check] of [['w', (a, b) => span(b) < span(a)], ['s', (a, b) => span(b) > span(a)], ['a', (a, b) => b.t0 < a.t0], ['d', (a, b) => b.t0 > a.t0]]) {
    const from = await view(page);
    await page.keyboard.down(key);
    await page.waitForTimeout(120);
    await page.keyboard.up(key);
    await settled(page);
    assert.ok(check(from, await view(page)), `key ${key}`);
  }
  const rest = await view(page);
  await page.waitForTimeout(60);
  assert.deepEqual(await view(page), rest, 'a key that is up moves nothing');
  await page.mouse.move(x, box.y + 8);
  await page.mouse.down();
  await page.mouse.move(x + 100, box.y + 8, { steps: 3 });
  await page.mouse.up();
  await settled(page);
  assert.ok(Math.abs(span(await view(page)) / span(rest) - 100 / (box.width - 136)) < 0.02, 'a drag on the axis zooms to it');
  const map = await page.locator('#minimap').boundingBox();
  await page.mouse.move(map.x + map.width * 0.6, map.y + 20);
  await page.mouse.down();
  await page.mouse.move(map.x + map.width * 0.8, map.y + 20, { steps: 3 });
  await page.mouse.up();
  const drawn = await view(page);
  const { begin, end } = await page.evaluate(() => ({ begin: state.model.begin, end: state.model.end }));
  assert.ok(Math.abs((drawn.t0 - begin) / (end - begin) - 0.6) < 0.01 && Math.abs((drawn.t1 - begin) / (end - begin) - 0.8) < 0.01, 'a window drawn on the minimap');
  await page.mouse.move(map.x + map.width * 0.7, map.y + 20);
  await page.mouse.down();
  await page.mouse.move(map.x + map.width * 0.5, map.y + 20, { steps: 3 });
  await page.mouse.up();
  assert.ok(Math.abs(((await view(page)).t0 - begin) / (end - begin) - 0.4) < 0.01, 'the window is moved');
  await page.keyboard.press('0');
  await settled(page);
  assert.ok(span(await view(page)) >= end - begin, '0 shows the whole');
  await close(page);
});

test('search: counts, goes from match to match, takes a place', async () => {
  const page = await openTrace();
  const expected = tilesOf(trace).filter((e) => e.name.includes('fcproj')).length;
  const before = await canvasHash(page);
  await page.keyboard.press('/');
  await page.keyboard.type('FCproj');
  await settled(page);
  assert.equal(await page.locator('#search-count').innerText(), `${expected} found`);
  assert.notEqual(await canvasHash(page), before, 'what does not match is dimmed');
  await picture(page, 'search');
  await page.keyboard.press('Enter');
  const first = await page.locator('#details h2').innerText();
  assert.match(first, /^h\d+\.fcproj tile \d+$/);
  await page.keyboard.press('Enter');
  assert.notEqual(await page.locator('#details h2').innerText(), first);
  await page.keyboard.press('Shift+Enter');
  assert.equal(await page.locator('#details h2').innerText(), first);
  await page.locator('#search').fill('h3.q:2');
  assert.equal(await page.locator('#search-count').innerText(), `${trace.dagpt.steps.length - 1} found`);
  for (const query of ['h3.q tile 2', 'H3.Q  tile 2']) {
    await page.locator('#search').fill(query);
    assert.equal(await page.locator('#search-count').innerText(), `${trace.dagpt.steps.length - 1} found`, query);
  }
  const onWorker1 = await page.evaluate(() => findRecords('h3.q:2').filter((r) => state.model.tiles.worker[r] === 1).length);
  for (const query of ['h3.q tile 2 (worker 1)', 'h3.q tile 2 on worker 1', 'h3.q:2 worker 1']) {
    await page.locator('#search').fill(query);
    assert.equal(await page.locator('#search-count').innerText(), `${onWorker1} found`, query);
  }
  const label = await page.evaluate(() => tileName(state.model, 777));
  await page.locator('#search').fill(label);
  assert.ok(await page.evaluate(() => state.search.records.includes(777)), `its own label, ${label}`);
  await page.locator('#search').fill('no such op');
  assert.equal(await page.locator('#search-count').innerText(), '0 found');
  await page.locator('#search').press('Enter');
  await page.keyboard.press('Escape');
  await settled(page);
  assert.equal(await page.locator('#search').inputValue(), '');
  await close(page);
});

test('click: facts, inputs and consumers, arrows, jumps', async () => {
  const page = await openTrace();
  await zoomTo(page, 3, 'h5');
  const before = await canvasHash(page);
  const { x, y, record } = await placeOf(page, 'h5.attention:4');
  await page.mouse.click(x, y);
  await page.mouse.move(5, 5);
  await settled(page);
  assert.equal(await page.locator('#details h2').innerText(), 'h5.attention tile 4');
  assert.notEqual(await canvasHash(page), before);
  const tile = await page.evaluate((r) => state.model.tiles.tile[r], record);
  const plan = trace.dagpt.plans[trace.dagpt.steps[3].plan];
  const inputs = inputsOf(plan);
  const listed = (name) => page.locator(`#details .${name} li`).count();
  assert.equal(await listed('inputs'), inputs[tile].size);
  const consumers = inputs.filter((set) => set.has(tile)).length;
  assert.equal(await listed('outputs'), consumers);
  const event = tilesOf(trace).find((e) => e.args.step === 3 && e.args.tile === tile);
  const text = await page.locator('#details dl').innerText();
  assert.match(text, /type\s+attention, layer 5/);
  assert.match(text, new RegExp(`tile ${tile} of ${plan.tiles.length}`));
  assert.match(text, new RegExp(`column ${event.args.box[2]}–${event.args.box[3] - 1}`));
  // Arrows in their two colours: they are drawn nowhere else.
  const colors = await page.evaluate(() => {
    const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
    return { input: toRgb(pen, state.colors.input), output: toRgb(pen, state.colors.output) };
  });
  const count = (name) => onPixels(page, (data, want) => {
    let found = 0;
    for (let k = 0; k < data.length; k += 4)
      found += Math.abs(data[k] - want[0]) + Math.abs(data[k + 1] - want[1]) + Math.abs(data[k + 2] - want[2]) < 60;
    return found;
  }, colors[name]);
  assert.ok(await count('input') > 100 && await count('output') > 100, 'arrows');
  await picture(page, 'selected-light');
  const title = () => page.locator('#details h2').innerText();
  const last = plan.ops[plan.tiles[event.args.last][0]].name;
  await page.locator('#timeline').focus();
  await page.keyboard.press('[');
  assert.ok((await title()).startsWith(`${last} tile`), 'to the last input');
  await page.keyboard.press('Backspace');
  assert.equal(await title(), 'h5.attention tile 4');
  await page.keyboard.press(']');
  assert.match(await title(), /^h5\.proj tile \d+$/);
  await page.keyboard.press('Backspace');
  await page.locator('#details .outputs button').first().click();
  assert.match(await title(), /^h5\.proj tile \d+$/);
  await page.getByRole('button', { name: 'Back' }).click();
  assert.equal(await title(), 'h5.attention tile 4');
  await page.locator('#timeline').focus();
  await page.keyboard.press('Escape');
  await settled(page);
  assert.ok(await count('input') < 20 && await count('output') < 20, 'no arrows when nothing is selected');
  await close(page);
});

test('hover: a tile\'s facts; a gap says for whom the worker waited', async () => {
  const page = await openTrace({ dark: true });
  await zoomTo(page, 4, 'h2');
  const at = await placeOf(page, 'h2.fc:3');
  await page.mouse.move(at.x, at.y);
  assert.match(await page.locator('#tip').innerText(), /h2\.fc tile 3[^]*last input\s+h2\.ln2 tile 0[^]*moves[^]*GB\/s/);
  const gap = await page.evaluate(() => {
    const { gaps } = state.model;
    const g = gaps.why.findIndex((why, i) => why === INPUT && gaps.start[i] > state.view.t0 && gaps.end[i] < state.view.t1 && timeToX(state, gaps.end[i]) - timeToX(state, gaps.start[i]) > 8);
    const box = byId('timeline').getBoundingClientRect();
    const lane = state.layout.lanes[gaps.worker[g]];
    return { g, x: box.left + timeToX(state, (gaps.start[g] + gaps.end[g]) / 2), y: box.top + lane.y + lane.h / 2 };
  });
  await page.mouse.move(gap.x, gap.y);
  const text = await page.locator('#tip').innerText();
  assert.match(text, /^worker \d waited [\d.]+ µs for h\d+\.\S+ tile \d+ \(worker \d\)/);
  await settled(page);
  await picture(page, 'gap-dark');
  await page.mouse.click(gap.x, gap.y);
  assert.equal(await page.locator('#details h2').innerText(), text.split('\n')[0]);
  const onSteps = await page.evaluate(() => ({ x: byId('timeline').getBoundingClientRect().left + 400, y: byId('timeline').getBoundingClientRect().top + state.layout.steps.y + 9 }));
  await page.mouse.move(onSteps.x, onSteps.y);
  assert.match(await page.locator('#tip').innerText(), /^step 4: one token, position 50[^]*on a CPU\s+90 % of[^]*preemptions\s+2$/);
  await page.mouse.move(5, 5);
  assert.ok(await page.locator('#tip').isHidden());
  // Keys move the view under a pointer that rests: the tooltip is of what lies there.
  await page.mouse.move(at.x, at.y);
  const tip = () => page.locator('#tip').innerText();
  for (const key of ['w', 'd', 'a', 's', '0']) {
    await page.keyboard.down(key);
    await page.waitForTimeout(150);
    await page.keyboard.up(key);
    await settled(page);
    const expected = await page.evaluate(({ x, y }) => {
      const box = byId('timeline').getBoundingClientRect();
      return describe(state, hitTest(state, x - box.left, y - box.top))?.title ?? '';
    }, at);
    assert.equal((await tip()).split('\n')[0], expected, `the tooltip after ${key}`);
  }
  await close(page);
});

test('table: groups, sorting, and rows that filter the timeline', async () => {
  const page = await openTrace();
  const lit = () => page.evaluate(() => (state.lit ? state.lit.reduce((a, b) => a + b, 0) : -1));
  const before = await canvasHash(page);
  await page.getByRole('row', { name: /attention/ }).getByRole('checkbox').check();
  await settled(page);
  assert.equal(await lit(), tilesOf(trace).filter((e) => e.args.type === 'attention').length);
  assert.notEqual(await canvasHash(page), before);
  assert.ok(await page.getByRole('row', { name: /attention/ }).getByRole('checkbox').evaluate((e) => e === document.activeElement), 'the focus stays');
  await page.getByRole('row', { name: /layernorm/ }).getByRole('checkbox').check();
  assert.equal(await lit(), tilesOf(trace).filter((e) => ['attention', 'layernorm'].includes(e.args.type)).length);
  await settled(page);
  await picture(page, 'filter');
  await page.getByRole('button', { name: 'Clear filter' }).click();
  await settled(page);
  assert.equal(await canvasHash(page), before);
  await page.locator('#legend').getByRole('button', { name: 'fcproj', exact: true }).click();
  assert.equal(await lit(), tilesOf(trace).filter((e) => /^h\d+\.fcproj$/.test(e.name)).length);
  await page.locator('#legend').getByRole('button', { name: 'fcproj', exact: true }).click();
  assert.equal(await lit(), -1);
  const numbers = async (column) => (await page.locator(`#table tbody tr td:nth-of-type(${column})`).allInnerTexts()).map((s) => Number(s.replace(/,/g, '')));
  await page.locator('#table thead button[data-key=count]').click();
  assert.equal(await page.locator('#table thead th').nth(1).getAttribute('aria-sort'), 'descending');
  const counts = await numbers(1);
  assert.deepEqual(counts, counts.slice().sort((a, b) => b - a));
  await page.locator('#table thead button[data-key=count]').click();
  assert.deepEqual(await numbers(1), counts.slice().reverse());
  for (const [tab, rows] of [['Op by layer', new Set(countedOf(trace).map((e) => e.name)).size], ['Layer', 13], ['Worker', 4], ['Step', trace.dagpt.steps.length - 1]]) {
    await page.locator('#tabs').getByRole('button', { name: tab, exact: true }).click();
    assert.equal(await page.locator('#table tbody tr').count(), rows, tab);
  }
  await page.locator('#tabs').getByRole('button', { name: 'Idle: waited for' }).click();
  assert.ok(await page.locator('#table tbody tr').count() > 3);
  await picture(page, 'waited-for');
  await page.locator('#table tbody .link').first().click();
  assert.match(await page.locator('#details h2').innerText(), /^worker \d /);
  await close(page);
});

test('critical path and theme are switched', async () => {
  const page = await openTrace();
  await zoomTo(page, 5, 'h1');
  const before = await canvasHash(page);
  await page.getByRole('button', { name: 'Critical path' }).click();
  await settled(page);
  assert.equal(await page.locator('#path-toggle').getAttribute('aria-pressed'), 'true');
  assert.equal(await page.evaluate(() => state.lit.reduce((a, b) => a + b, 0)), await page.evaluate(() => state.pathRecords.length));
  assert.notEqual(await canvasHash(page), before);
  await picture(page, 'critical-path-light');
  await page.keyboard.press('c');
  await settled(page);
  await page.mouse.move(5, 5);
  const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await back();
  await page.keyboard.press('t');
  await settled(page);
  assert.notEqual(await back(), light);
  await page.keyboard.press('c');
  await settled(page);
  await picture(page, 'critical-path-dark');
  await close(page);
});

test('keyboard and screen reader: names, focus, announcements', async () => {
  const page = await openTrace();
  const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, canvas, [role=region], section, aside, dialog')]
    .filter((e) => !(e.ariaLabel || e.getAttribute('aria-labelledby') || e.closest('label') || (e.tagName === 'BUTTON' && e.textContent.trim())))
    .map((e) => e.outerHTML.slice(0, 80)));
  assert.deepEqual(nameless, []);
  assert.equal(await page.locator('#table thead th:not([scope=col])').count(), 0);
  assert.equal(await page.locator('#table tbody tr:not(:has(th[scope=row]))').count(), 0);
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  const reached = new Set();
  for (let i = 0; i < 60 && !reached.has('timeline'); i++) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(() => document.activeElement.id));
  }
  assert.ok(['search', 'path-toggle', 'theme', 'help-open', 'timeline'].every((id) => reached.has(id)), [...reached].join());
  await page.keyboard.press('ArrowRight');
  const live = () => page.locator('#live').innerText();
  assert.match(await live(), /^\S+ tile \d+, worker 0, .* inputs, \d+ consumers$/);
  const first = await live();
  await page.keyboard.press('ArrowRight');
  assert.notEqual(await live(), first);
  await page.keyboard.press('ArrowDown');
  assert.match(await live(), /worker 1/);
  await page.keyboard.press('g');
  assert.match(await live(), /^worker \d waited .* for .* tile \d+ \(worker \d\)$/);
  await page.keyboard.press('?');
  assert.ok(await page.getByRole('dialog', { name: 'Keys' }).isVisible());
  await picture(page, 'help');
  await page.keyboard.press('Escape');
  assert.ok(await page.locator('#help').isHidden());
  await close(page);
});

// ---- other traces ----

test('a hostile trace: nothing in it runs, and nothing trips', async () => {
  const page = await open(makePage('hostile', hostileTrace()));
  assert.equal(await page.evaluate(() => state.stats.load > 0), true);
  for (const group of ['op', 'role', 'step', 'layer', 'idle', 'culprit'])
    await page.locator(`#tabs button[data-group=${group}]`).click();
  await page.locator('#tabs button[data-group=op]').click();
  const box = await page.locator('#timeline').boundingBox();
  await page.keyboard.press('/');
  await page.keyboard.type('<img');
  await page.keyboard.press('Enter');
  for (let i = 0; i < 40; i++) {
    await page.mouse.move(box.x + 140 + ((i * 131) % (box.width - 160)), box.y + ((i * 37) % box.height));
    await page.mouse.click(box.x + 140 + ((i * 131) % (box.width - 160)), box.y + ((i * 37) % box.height));
  }
  await settled(page);
  const state = await page.evaluate(() => ({ hacked: window.hacked, images: document.images.length, scripts: document.scripts.length, table: byId('table').innerText }));
  assert.equal(state.hacked, undefined);
  assert.equal(state.images, 0);
  assert.equal(state.scripts, 1);
  assert.ok(state.table.includes('</script><script>window.hacked=1</script>'), 'names are shown as they are');
  assert.ok(state.table.includes('\\u202egnp.exe'), 'a change of direction is shown as an escape');
  await page.evaluate(() => window.getSelection().removeAllRanges());
  await picture(page, 'hostile');
  await close(page);
});

test('a trace without tiles', async () => {
  const page = await open(makePage('empty', emptyTrace()));
  assert.equal(await page.locator('#message').innerText(), 'No tile was recorded.');
  for (const key of ['w', 'd', 'ArrowRight', 'g', '[', ']', 'f', 'c', '0', 'Enter', 't'])
    await page.keyboard.press(key);
  await settled(page);
  await picture(page, 'empty');
  await close(page);
});

test('a recorded run: dagpt --trace, dagpt trace --html, the page', async () => {
  const [json, html] = [join(folder, 'real.json'), join(folder, 'real.html')];
  const dagpt = join(build, 'dagpt');
  run(dagpt, ['tokens', '-m', 'tests/golden/small.bin', '-j', '4', '--cpus', '4', '--trace', json, '1', '2', '3']);
  run(dagpt, ['trace', json, '--html', html]);
  const real = JSON.parse(readFileSync(json, 'utf8'));
  const page = await open(pathToFileURL(html).href);
  assert.equal(await page.evaluate(() => state.model.tiles.n), tilesOf(real).length);
  const culprits = await page.evaluate(() => [...state.model.gaps.culprit].filter((_, g) => state.model.gaps.why[g] === INPUT));
  assert.ok(culprits.every((r) => r >= 0), 'each wait has a culprit');
  assert.match(await page.locator('#facts').innerText(), /model\s+small\.bin/);
  await picture(page, 'recorded');
  await close(page);
});

// speedscope is a program for a browser, as its npm package ships it: a file is given to its importer as its
// own command line does, and what it made of it is what it exports.
test('speedscope has every slice of a recorded run, and nests none', async () => {
  const json = join(folder, 'other.json');
  run(join(build, 'dagpt'), ['tokens', '-m', 'tests/golden/odd.bin', '-j', '3', '--cpus', '3', '--total', '40', '--trace', json, '90', '53', '115']);
  const bytes = readFileSync(json);
  const loader = join(folder, 'other.js');
  writeFileSync(loader, `speedscope.loadFileFromBase64("other.json", "${bytes.toString('base64')}")`);
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  const said = [];
  page.on('console', (m) => said.push(m.text()));
  await page.goto(`${new URL('node_modules/speedscope/dist/release/index.html', import.meta.url)}#localProfilePath=${loader}`);
  while (!said.some((text) => text.startsWith('import: ')))
    await page.waitForTimeout(50);
  await page.waitForTimeout(100);
  const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Control+s')]);
  const { profiles } = JSON.parse(readFileSync(await download.path(), 'utf8'));
  const slices = JSON.parse(bytes).traceEvents.filter((e) => e.ph === 'X');
  assert.deepEqual(said.filter((text) => text.includes('Tried to end')), []);
  for (let w = 0; w < 3; w++) {
    const { events } = profiles.find((p) => p.name.includes(`worker ${w}`));
    let [depth, deepest, opened] = [0, 0, 0];
    for (const { type } of events) {
      depth += type === 'O' ? 1 : -1;
      opened += type === 'O' ? 1 : 0;
      deepest = Math.max(deepest, depth);
    }
    assert.deepEqual([opened, deepest, depth], [slices.filter((e) => e.tid === w).length, 2, 0], `worker ${w}: slices, deepest, left open`);
  }
  await page.close();
});

test('widths: nothing sticks out, from 400 to 2200 pixels', async () => {
  for (const [width, height, dark] of [[400, 800, false], [768, 1024, true], [1100, 700, false], [2200, 1200, true]]) {
    const page = await openTrace({ width, height, dark });
    const { scroll, client } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth }));
    assert.ok(scroll <= client, `${width}: ${scroll} pixels wide`);
    await picture(page, `width-${width}`);
    await close(page);
  }
});

test('64 workers', async () => {
  const page = await open(makePage('many', makeTrace({ tiles: 6000, workers: 64, rows: 512, layers: 4 })), { dark: true });
  const before = await canvasHash(page);
  await page.evaluate(() => { byId('timeline-box').scrollTop = 1e6; });
  assert.ok(await page.evaluate(() => byId('timeline-box').scrollTop) > 0, 'lanes that have no room are scrolled to');
  assert.notEqual(before, 0);
  await picture(page, 'workers-64');
  await close(page);
});

test('200,000 tiles: what a frame and a table cost', async (t) => {
  const url = makePage('large', makeTrace({ tiles: 200000 }));
  const begin = performance.now();
  const page = await open(url);
  const wall = (performance.now() - begin) / 1000;
  const cpu = await page.cpu();
  const megabytes = statSync(fileURLToPath(url)).size / 1e6;
  // The work of frames: how often they draw, look at a record, and add up the table.
  const work = await page.evaluate(async () => {
    const counts = { draws: 0, records: 0, sums: 0 };
    const count = (of, name, what) => {
      const original = of[name];
      of[name] = function counted(...args) {
        counts[what]++;
        return original.apply(this, args);
      };
    };
    for (const name of ['fillRect', 'strokeRect', 'fillText', 'lineTo', 'drawImage', 'putImageData', 'stroke', 'fill'])
      count(CanvasRenderingContext2D.prototype, name, 'draws');
    count(Columns.prototype, 'add', 'records');
    count(window, 'addUp', 'sums');
    const { begin: from, end, tiles, gaps } = state.model;
    const one = (t0, t1) => {
      Object.assign(counts, { draws: 0, records: 0 });
      setView(t0, t1);
      frame(performance.now());
      return { ...counts };
    };
    state.stats.frames = [];
    const all = one(from, end);
    for (let i = 0; i < 40; i++)
      one(from - i, end + i);
    const frames = state.stats.frames.sort((a, b) => a - b);
    const part = one(from + (end - from) * 0.5, from + (end - from) * 0.501);
    const { sums } = counts;
    while (state.range[0] !== state.view.t0)
      await new Promise((done) => setTimeout(done, 20));
    return { all, part, frame: frames[frames.length >> 2], sums, later: counts.sums, tiles: tiles.n, gaps: gaps.n, width: state.layout.plotW };
  });
  t.diagnostic(`200,000 tiles: on the screen after ${wall.toFixed(1)} s, ${cpu.toFixed(1)} s of them on a CPU; a frame takes ${work.frame.toFixed(1)} ms; the page is ${megabytes.toFixed(1)} MB`);
  await picture(page, 'tiles-200000');
  assert.ok(work.tiles >= 200000);
  assert.ok(megabytes < SIZE_LIMIT, `${megabytes} MB, expected less than ${SIZE_LIMIT}`);
  assert.ok(work.all.records <= work.tiles + work.gaps, `${work.all.records} records looked at, there are ${work.tiles + work.gaps}`);
  assert.ok(work.all.draws < 12 * work.width, `${work.all.draws} calls draw a frame of ${work.width} pixels`);
  assert.ok(work.part.records + work.part.draws < 0.02 * work.tiles + 12 * work.width, `a thousandth in view: ${JSON.stringify(work.part)}`);
  assert.equal(work.sums, 0, 'no frame adds up the table');
  assert.ok(work.later > 0, 'it is added up when the view rests');
  await close(page);
});
