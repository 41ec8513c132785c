// picture.mjs PAGE OUT - docs/pictures/viewer.png: a block of a decoded token, one of its attention tiles selected.
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const [html, out] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.DAGPT_BROWSER, args: ['--no-sandbox', '--disable-renderer-priority-management'] });
const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
page.setDefaultTimeout(300000);
await page.goto(pathToFileURL(resolve(html)).href);
await page.waitForFunction(() => state.stats.load > 0);
await page.evaluate(() => {
  const { model } = state;
  // Of all blocks of decoded tokens the one in which workers were busiest: the least disturbed by other programs.
  // In it the attention tile that workers waited for longest.
  const busy = (b) => trackMean(model.tracks.busy, b.start, b.end);
  const [block] = state.bands.filter((b) => b.layer >= 0 && model.steps[b.step].kind === 'token').sort((a, b) => busy(b) - busy(a));
  setView(block.start - (block.end - block.start) * 0.04, block.end + (block.end - block.start) * 0.04);
  const tiles = [...model.tiles.op.keys()].filter((r) => model.tiles.step[r] === block.step && opOf(model, r).layer === block.layer && opOf(model, r).type === 'attention');
  const waited = (r) => [...model.gaps.culprit.keys()].filter((g) => model.gaps.culprit[g] === r).reduce((sum, g) => sum + model.gaps.end[g] - model.gaps.start[g], 0);
  select('tile', tiles.sort((a, b) => waited(b) - waited(a))[0]);
});
await page.waitForTimeout(500);
await page.screenshot({ path: out });
await browser.close();
console.log(`${out}: ${statSync(out).size} bytes`);
