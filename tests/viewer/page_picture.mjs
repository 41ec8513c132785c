// page_picture.mjs BUILD OUT - docs/pictures/page.png: three texts of a prompt as they are written, and the lanes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [build, out] = process.argv.slice(2);
const server = spawn(join(build, 'dagpt-serve'), ['-m', 'models/demo/demo.bin', '--port', '0', '-j', '2'], { stdio: ['ignore', 'pipe', 'inherit'] });
const [url] = /http:\S+/.exec(String((await once(server.stdout, 'data'))[0]));
const browser = await chromium.launch({ executablePath: process.env.DAGPT_BROWSER, args: ['--no-sandbox', '--disable-renderer-priority-management'] });
const page = await browser.newPage({ viewport: { width: 1180, height: 860 }, reducedMotion: 'reduce' });
page.setDefaultTimeout(300000);
await page.goto(url);
await page.getByLabel('Texts').first().fill('3');
await page.getByLabel('Tokens').fill('90');
await page.getByLabel('Seed').fill('7');
await page.getByRole('button', { name: 'Write' }).click();
await page.waitForFunction(() => !state.writing && state.model);
await page.waitForTimeout(1000);
await page.screenshot({ path: out, fullPage: true });
await browser.close();
server.kill();
console.log(`${out}: ${statSync(out).size} bytes`);
