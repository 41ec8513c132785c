// page.test.mjs - the server's page in a browser, and a server behind it. Started by tests/viewer/page.sh, with
//   DAGPT_BUILD    the build folder: its dagpt-serve answers, its viewer/ takes pictures
//   DAGPT_BROWSER  a Chromium
// The page must make no request but to its own server, breach its policy nowhere, and say nothing on the console but
// what a browser says of an answer that is an error.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { becomes, build, command, demo, dir, merges, metric, nothingRuns, slowModel, start, stop } from '../serve/server.mjs';

const PATIENCE = 60000; // ms, for what must happen at all
const slow = slowModel(12, 512, 8192); // its texts, at temperature 0, end at their last position: half a minute later, unless they are stopped
let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.DAGPT_BROWSER, args: ['--no-sandbox', '--disable-renderer-priority-management', '--disable-dev-shm-usage'] });
});
after(() => browser?.close());

// `page.complaints` collects what must not happen.
async function open(server, { width = 1200, height = 900, dark = false } = {}) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', reducedMotion: 'reduce' });
  page.complaints = [];
  page.on('console', (m) => /^Failed to load resource: .*(status of [45]|ERR_)/.test(m.text()) || page.complaints.push(`console: ${m.text()}`));
  page.on('pageerror', (e) => page.complaints.push(`error: ${e.message}`));
  page.on('dialog', (d) => page.complaints.push(`dialog: ${d.message()}`));
  page.on('request', (r) => r.url().startsWith(`${server.url}/`) || page.complaints.push(`request: ${r.url()}`));
  await page.addInitScript(() => addEventListener('securitypolicyviolation', (e) => console.log(`policy: ${e.violatedDirective}`)));
  page.setDefaultTimeout(PATIENCE);
  await page.goto(server.url, { timeout: PATIENCE });
  return page;
}

const picture = (page, name) => page.screenshot({ path: join(build, 'viewer', `page_${name}.png`), fullPage: true });

async function close(page) {
  assert.deepEqual(page.complaints, []);
  await page.close();
}

const ended = (page) => page.waitForFunction(() => !state.writing);
const textsOf = (page) => page.locator('#texts .text').allTextContents();

async function fill(page, fields) {
  for (const [label, value] of Object.entries(fields))
    await page.locator('#ask').getByLabel(label, { exact: true }).fill(String(value));
}

const long = { Tokens: 8000, Temperature: 0 };

// Writes, by the keyboard, until the end.
async function write(page, fields) {
  await fill(page, fields);
  await page.getByRole('textbox', { name: 'Prompt' }).press('Control+Enter');
  await ended(page);
}

test('the texts are those of dagpt complete, and the workers\' lanes have their colours', async () => {
  const server = await start();
  const page = await open(server);
  assert.equal(await page.title(), 'dagpt');
  const request = { prompt: 'One day, Nora', max_tokens: 60, temperature: 0.8, top_p: 0.9 };
  await write(page, { Prompt: request.prompt, Tokens: 60, Texts: 3, Temperature: 0.8, 'Top p': 0.9, Seed: '9007199254740993' });
  assert.equal(await page.locator('#error').textContent(), '');
  assert.match(await page.locator('#status').textContent(), /^180 tokens in .* s, .* a second$/);
  assert.deepEqual(await textsOf(page), [3n, 4n, 5n].map((i) => request.prompt + command(request, 9007199254740990n + i)));
  assert.equal(await page.locator('#model-name').textContent(), 'demo.bin');

  // Lanes: of each tile's rows, its share of each text, in the colour that stands beside the text.
  await page.waitForFunction(() => state.model);
  const seen = await page.evaluate(() => {
    const own = state.texts.map((t) => t.name);
    const canvas = byId('lanes');
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const colors = new Set();
    for (let i = 0; i < pixels.length; i += 4)
      colors.add(`rgb(${pixels[i]}, ${pixels[i + 1]}, ${pixels[i + 2]})`);
    return {
      owners: [...new Set(state.model.steps.flatMap((s) => s.owners))].filter((o) => !own.includes(o)),
      shares: state.model.strips.map((strips) => strips.reduce((sum, [, share]) => sum + share, 0)),
      strips: Math.max(...state.model.strips.map((strips) => strips.length)),
      marks: state.texts.map((t) => t.mark.style.background).map((color) => [color, colors.has(color)]),
      tiles: state.model.tiles.n, busy: state.model.sums.busyWorkers,
    };
  });
  assert.deepEqual(seen.owners, []);
  assert.ok(seen.tiles > 100 && seen.busy > 0 && seen.shares.every((x) => Math.abs(x - 1) < 1e-6) && seen.strips === 3, JSON.stringify(seen).slice(0, 300));
  assert.equal(new Set(seen.marks.map(([color]) => color)).size, 3);
  assert.ok(seen.marks.every(([, there]) => there), JSON.stringify(seen.marks));
  assert.ok(await page.locator('#table tbody tr').count() >= 1);
  await page.locator('#lanes').scrollIntoViewIfNeeded();
  const at = await page.evaluate(() => {
    const r = state.model.tiles.op.findIndex((op) => state.model.ops[op].role === 'fc');
    const box = byId('lanes').getBoundingClientRect();
    const lane = state.layout.lanes[state.model.tiles.worker[r]];
    return { x: box.left + timeToX(state, (state.model.tiles.start[r] + state.model.tiles.end[r]) / 2), y: box.top + lane.y + lane.h / 2 };
  });
  await page.mouse.move(at.x, at.y);
  assert.match(await page.locator('#tip').innerText(), /^h\d\.\S+ tile \d+[^]*step \d+: 3 rows[^]*text 1, text 2, text 3/);
  await picture(page, 'lanes');

  // Held, the steps on the screen stay; then new ones come.
  const number = () => page.evaluate(() => state.model.steps[0].number);
  await page.getByRole('button', { name: 'Hold' }).click();
  const held = await number();
  await write(page, { Prompt: 'x', Texts: 1 });
  assert.equal(await number(), held);
  await page.getByRole('button', { name: 'Hold' }).click();
  await page.waitForFunction((n) => state.model.steps[0].number > n, held);
  await close(page);
  await stop(server);
});

test('by keyboard; Escape stops, and the rows are free', async () => {
  const server = await start('-m', slow, '--vocab', merges);
  const page = await open(server, { dark: true });
  await fill(page, { Temperature: 0 });
  await page.getByRole('textbox', { name: 'Prompt' }).focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('The cat\nsat');
  const order = [];
  for (let i = 0; i < 20; i++) {
    await page.keyboard.press('Tab');
    order.push(await page.evaluate(() => document.activeElement.id));
    if (order[i] === 'tokens')
      await page.keyboard.type('8000');
    if (order[i] === 'write')
      break;
  }
  assert.deepEqual(order, ['tokens', 'texts-wanted', 'temperature', 'top-p', 'seed', 'write']);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => state.texts.some((t) => t.name));
  assert.equal(await page.evaluate(() => document.activeElement.id), 'write');
  assert.equal(await page.getByRole('button', { name: 'Write' }).getAttribute('aria-disabled'), 'true');
  await picture(page, 'dark');
  await page.keyboard.press('Enter'); // no second one
  await page.keyboard.press('Escape');
  await ended(page);
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('#status').textContent(), 'stopped');
  assert.equal(await page.locator('#live').textContent(), 'stopped');
  assert.equal(await page.locator('#error').textContent(), '');
  await nothingRuns(server);
  assert.equal(await metric(server, 'left_total'), 1);

  // The button does the same; the prompt is left as it was, with its line break.
  await page.getByRole('textbox', { name: 'Prompt' }).focus();
  await page.keyboard.press('Control+Enter');
  await page.waitForFunction(() => state.writing && state.texts.some((t) => t.name));
  await page.getByRole('button', { name: 'Stop' }).press('Space');
  await ended(page);
  assert.ok((await textsOf(page))[0].startsWith('The cat\nsat'));

  // Everything that can be reached has a name.
  const names = [];
  for (let i = 0; i < 20; i++) {
    await page.keyboard.press('Tab');
    names.push(await page.evaluate(() => {
      const e = document.activeElement;
      return e === document.body ? 'body' : e.labels?.[0]?.textContent.trim() || e.getAttribute('aria-label') || e.textContent.trim();
    }));
  }
  assert.ok(names.every(Boolean) && names.includes('Hold') && names.includes('The steps as a table'), names.join());
  const theme = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await theme();
  await page.getByRole('button', { name: 'Theme' }).press('Enter');
  assert.notEqual(await theme(), before);
  await close(page);
  await stop(server);
});

test('a second tab sees the first one\'s rows, as another request\'s', async () => {
  const server = await start('-m', slow, '--vocab', merges);
  const [one, two] = [await open(server), await open(server)];
  await fill(one, { ...long, Prompt: 'x' });
  await one.getByRole('textbox', { name: 'Prompt' }).press('Control+Enter');
  await fill(two, { ...long, Prompt: 'y' });
  await two.getByRole('textbox', { name: 'Prompt' }).press('Control+Enter');
  const both = (page) => page.waitForFunction(() => state.texts[0]?.name
    && /^(text 1another request's \d+\.0|another request's \d+\.0text 1)$/.test(byId('legend').textContent));
  await Promise.all([both(one), both(two)]);
  assert.equal(await one.evaluate(() => new Set([...document.querySelectorAll('#legend .swatch')].map((s) => s.style.background)).size), 2);
  await Promise.all([one, two].map((page) => page.keyboard.press('Escape')));
  await Promise.all([ended(one), ended(two)]);
  await nothingRuns(server);
  await close(one);
  await close(two);
  await stop(server);
});

const MARKUP = '<img src=x onerror=alert(1)><script>alert(2)</script>&amp;</p><b>';

test('markup in a prompt, a text, an error or a name is text', async () => {
  const server = await start('--name', MARKUP.replaceAll('/', '|'));
  const page = await open(server);
  await write(page, { Prompt: MARKUP, Tokens: 5, Seed: 1 });
  assert.equal((await textsOf(page))[0], MARKUP + command({ prompt: MARKUP, max_tokens: 5 }, 1));
  await page.waitForFunction(() => byId('model-name').textContent);
  assert.ok((await page.locator('#model-name').textContent()).startsWith('<img'));
  const events = [{ id: 'cmpl-1', choices: [{ index: 0, text: `${MARKUP}\n\ndata: x` }] }, { error: { message: MARKUP } }];
  await page.route('**/v1/completions', (route) => route.fulfill({ contentType: 'text/event-stream',
    body: events.map((e) => `data: ${JSON.stringify(e)}\n\n`).join('') }));
  await write(page, { Prompt: 'x' });
  assert.equal((await textsOf(page))[0], `x${MARKUP}\n\ndata: x`);
  assert.equal(await page.locator('#error').textContent(), MARKUP);
  const step = { step: 999, start: 1e9, took: 1000, rows: 1, texts: [1, 0, 1], ops: [[MARKUP, MARKUP, -1]], tiles: [0, 0, 0, 0, 1, 0, 1000] };
  await page.route('**/trace*', (route) => route.fulfill({ json: { since: 1, workers: 1, steps: [step] } }));
  await page.waitForFunction(() => state.model?.steps[0].number === 999);
  await page.locator('#lanes').scrollIntoViewIfNeeded();
  const lane = await page.evaluate(() => byId('lanes').getBoundingClientRect().top + state.layout.lanes[0].y + 5);
  await page.mouse.move(500, lane);
  assert.ok((await page.locator('#tip').textContent()).startsWith('<img'));
  assert.equal(await page.locator('main img, main script, main b').count(), 1); // the tip's own
  await close(page);
  await stop(server);
});

test('errors are shown: no key, a request that cannot be, a full queue, a stream that breaks, no server', async () => {
  const keys = join(dir, 'keys');
  writeFileSync(keys, 'open sesame\n');
  const server = await start('-m', slow, '--vocab', merges, '--api-key-file', keys, '--parallel', '1', '--queue', '0');
  assert.equal((await fetch(`${server.url}/trace`)).status, 401);
  const answer = await fetch(server.url);
  assert.match(answer.headers.get('content-security-policy'), /^default-src 'none'; connect-src 'self'; style-src 'sha256-[^']*'; script-src 'sha256-[^']*'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/);
  assert.equal(answer.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
  const page = await open(server);
  const error = () => page.locator('#error').textContent();
  await write(page, long);
  assert.match(await error(), /^401: expected a key/);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'key');
  await page.keyboard.type('open sesame');
  await page.keyboard.press('Control+Enter');
  await page.waitForFunction(() => state.texts[0]?.name);
  assert.equal(await error(), '');

  const other = await open(server);
  await other.waitForFunction(() => !byId('key-field').hidden);
  await write(other, { 'API key': 'open sesame' });
  assert.match(await other.locator('#error').textContent(), /^503: the queue is full/);
  await page.keyboard.press('Escape');
  await ended(page);
  await becomes('the text has left', async () => (await (await fetch(`${server.url}/metrics`, { headers: { Authorization: 'Bearer open sesame' } })).text()).includes('texts_running 0\n'));
  await write(other, { Prompt: 'x '.repeat(30000) });
  assert.match(await other.locator('#error').textContent(), /^400: .*8192/);
  await write(other, { Prompt: 'x', Seed: '1e99' });
  assert.match(await other.locator('#error').textContent(), /^400: seed/);
  await picture(other, 'error');

  // What was written stays where the server goes away.
  await fill(other, { ...long, Prompt: 'x', Seed: '' });
  await other.getByRole('textbox', { name: 'Prompt' }).press('Control+Enter');
  await other.waitForFunction(() => state.texts[0]?.name);
  await stop(server, 'SIGKILL');
  await ended(other);
  assert.match(await other.locator('#error').textContent(), /does not answer|ended before|error/);
  await write(other, {});
  assert.equal(await other.locator('#error').textContent(), 'The server does not answer.');
  assert.ok((await textsOf(other))[0].length > 1);
  await close(other);
  await page.close();
});
