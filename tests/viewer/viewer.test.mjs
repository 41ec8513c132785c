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

// For 200,000 tiles, all in view. Loading is limited in CPU time of the page's thread, from navigation to
// the first frame, and a frame by the fastest quarter: other programs on the machine take little from either.
// Measured on two shared CPUs, both busy with other programs: 2.0 s, 10 ms, 9.6 MB.
const LOAD_LIMIT = 5; // seconds
const FRAME_LIMIT = 25; // ms
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
  assert.match(facts, new RegExp(`tiles\\s+${tilesOf(trace).length.toLocaleString('en')}`));
  assert.match(facts, /workers\s+4/);
  assert.match(facts, /schedule\s+dataflow/);
  const colors = await onPixels(page, (data) => new Set(new Uint32Array(data.buffer)).size);
  assert.ok(colors > 20, `${colors} colours on the timeline`);
  assert.equal(await page.locator('#table tbody tr').count(), new Set(tilesOf(trace).map((e) => e.args.type)).size);
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
    slices[e.args.step].set(e.args.tile, e.dur);
  steps.forEach((step, s) => {
    const upTo = [];
    inputs[step.plan].forEach((from, t) => {
      upTo.push(slices[s].get(t) + Math.max(0, ...[...from].map((u) => upTo[u])));
    });
    assert.ok(close3(got[s], Math.max(...upTo)), `step ${s}: ${got[s]}, expected ${Math.max(...upTo)}`);
  });
  const marked = await page.evaluate(() => state.model.steps.map((s, i) =>
    state.pathRecords.filter((r) => state.model.tiles.step[r] === i).reduce((sum, r) => sum + state.model.tiles.end[r] - state.model.tiles.start[r], 0)));
  marked.forEach((sum, s) => assert.ok(close3(sum, got[s]), `the tiles marked in step ${s} add up to its path`));
  await close(page);
});

test('idle gaps: tiles and gaps fill a worker\'s step, and a gap names its culprit', async () => {
  const page = await openTrace();
  const { gaps, busy, spans } = await page.evaluate(() => {
    const { gaps: g, tiles, spans: s } = state.model;
    const sum = (x) => Array.from({ length: x.n }, (_, i) => x.end[i] - x.start[i]).reduce((a, b) => a + b, 0);
    const one = (r) => (r < 0 ? null : { step: tiles.step[r], tile: tiles.tile[r] });
    return { busy: sum(tiles), spans: sum(s), gaps: Array.from({ length: g.n }, (_, i) => ({ worker: g.worker[i], start: g.start[i], end: g.end[i],
      why: g.why[i], next: one(g.next[i]), culprit: one(g.culprit[i]), how: g.spinning[i] + g.parked[i] + g.queue[i], preempted: g.preempted[i] })) };
  });
  const inSteps = gaps.filter((g) => g.why !== 3).reduce((sum, g) => sum + g.end - g.start, 0);
  assert.ok(Math.abs(inSteps + busy - spans) < 0.002 * gaps.length, `${inSteps} idle + ${busy} busy, ${spans} in steps`);
  const byTile = new Map(tilesOf(trace).map((e) => [`${e.args.step} ${e.args.tile}`, e]));
  const waits = gaps.filter((g) => g.why === 0);
  assert.ok(waits.length > 100);
  for (const g of waits) {
    const next = byTile.get(`${g.next.step} ${g.next.tile}`);
    assert.equal(g.culprit?.tile ?? null, next.args.last);
    assert.ok(g.end <= next.args.ready + 0.002 && next.tid === g.worker);
    const culprit = byTile.get(`${g.next.step} ${g.culprit.tile}`);
    assert.ok(culprit.ts + culprit.dur > g.start - 0.002, 'the culprit was not done when the wait began');
  }
  for (const g of gaps.filter((x) => x.why === 1))
    assert.ok(g.start >= byTile.get(`${g.next.step} ${g.next.tile}`).args.ready - 0.002);
  const how = gaps.reduce((sum, g) => sum + g.how, 0);
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
  for (const [tab, rows] of [['Op by layer', new Set(tilesOf(trace).map((e) => e.name)).size], ['Layer', 13], ['Worker', 4], ['Step', trace.dagpt.steps.length]]) {
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

// Tiles that were not ready when their worker was done with the one before: on a busy machine there may be none.
function countWaits(t) {
  const free = new Map(t.traceEvents.filter((e) => e.cat === 'step').map((e) => [`${e.tid} ${e.args.step}`, e.ts]));
  return tilesOf(t).sort((a, b) => a.ts - b.ts).filter((e) => {
    const key = `${e.tid} ${e.args.step}`;
    const since = free.get(key);
    free.set(key, e.ts + e.dur);
    return e.args.ready - since > 0.0007;
  }).length;
}

test('a recorded run: dagpt --trace, dagpt trace --html, the page', async () => {
  const [json, html] = [join(folder, 'real.json'), join(folder, 'real.html')];
  const dagpt = join(build, 'dagpt');
  run(dagpt, ['tokens', '-m', 'tests/golden/small.bin', '-j', '4', '--cpus', '4', '--trace', json, '1', '2', '3']);
  run(dagpt, ['trace', json, '--html', html]);
  const real = JSON.parse(readFileSync(json, 'utf8'));
  const page = await open(pathToFileURL(html).href);
  assert.equal(await page.evaluate(() => state.model.tiles.n), tilesOf(real).length);
  const culprits = await page.evaluate(() => [...state.model.gaps.culprit].filter((_, g) => state.model.gaps.why[g] === INPUT));
  assert.equal(culprits.length, countWaits(real));
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

test('200,000 tiles: the time to load and to draw', async (t) => {
  const url = makePage('large', makeTrace({ tiles: 200000 }));
  const begin = performance.now();
  const page = await open(url);
  const wall = (performance.now() - begin) / 1000;
  const cpu = await page.cpu();
  const megabytes = statSync(fileURLToPath(url)).size / 1e6;
  assert.ok(await page.evaluate(() => state.model.tiles.n) >= 200000);
  const frames = await page.evaluate(async () => {
    state.stats.frames = [];
    for (let i = 0; i < 40; i++) {
      setView(state.model.begin - i, state.model.end + i); // all of them in view
      await new Promise((done) => requestAnimationFrame(done));
      await new Promise((done) => setTimeout(done));
    }
    return state.stats.frames.sort((a, b) => a - b);
  });
  const quarter = frames[Math.floor(frames.length / 4)];
  await picture(page, 'tiles-200000');
  t.diagnostic(`200,000 tiles: on the screen after ${wall.toFixed(1)} s, ${cpu.toFixed(1)} s of them on a CPU; a frame takes ${quarter.toFixed(1)} ms; the page is ${megabytes.toFixed(1)} MB`);
  assert.ok(megabytes < SIZE_LIMIT, `${megabytes} MB, expected less than ${SIZE_LIMIT}`);
  assert.ok(frames.length >= 30, `${frames.length} frames`);
  assert.ok(cpu < LOAD_LIMIT, `${cpu} s, expected less than ${LOAD_LIMIT}`);
  assert.ok(quarter < FRAME_LIMIT, `${quarter} ms, expected less than ${FRAME_LIMIT}`);
  await close(page);
});
