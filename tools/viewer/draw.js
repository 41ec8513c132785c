// draw.js - colours, layout, and the two canvases. Only what is visible is drawn. What is narrower than
// a pixel and a half is added up by pixel and drawn as a column of shares, so that a frame costs a pass
// over the visible records and as many rectangles as there are pixels.
// The server's page (serve/page) draws with it, too: a layout without the track of ready tiles, and a tile in
// strips, one for each sequence that it has rows of.

const CHAR = 6.4; // the width of a character of FONT, at most

// ---- colours: a hue for each op type, a lightness for each op of the type ----

const TYPE_HUES = { // OKLCH hue and chroma, near the hues of Okabe and Ito's palette
  __proto__: null, // a type may be called "constructor"
  matmul: [250, 0.12], attention: [45, 0.15], layernorm: [165, 0.12], logits: [340, 0.13],
  embed: [205, 0.1], gelu: [105, 0.14], add: [80, 0.13], load: [285, 0.03], quantize: [140, 0.1],
};
const OTHER_HUES = [[310, 0.12], [130, 0.12], [20, 0.1], [230, 0.06]];
const MAX_SLOTS = 32; // colours at once; ops past the last share it
const REASON_HUES = [[20, 0.11], [95, 0.11], [300, 0.04], [0, 0.02], [220, 0.03], [250, 0.012]];

function toRgb(pen, color) {
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = color;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
}

const asColor = (rgb) => ({
  css: `rgb(${rgb.join()})`,
  word: ((255 << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0]) >>> 0, // as ImageData has it
});

const mix = (a, b, share) => a.map((x, i) => Math.round(x * share + b[i] * (1 - share)));

// Lightness of the i-th of n ops of a type.
const shade = (i, n, dark) => (dark ? 0.76 : 0.82) - (n > 1 ? (i / (n - 1)) * (dark ? 0.18 : 0.2) : 0.07);

// The roles with type and colour slot, in the order of the plans; those that load have one colour, the last.
function rolesOf(model) {
  const roles = model.table.roles.map((name) => ({ name, type: '', typeIndex: -1, loads: false, slot: -1 }));
  for (const { roleIndex, type, typeIndex, loads } of model.ops)
    Object.assign(roles[roleIndex], { type, typeIndex, loads });
  const order = [...new Set(model.ops.map((op) => op.roleIndex))].map((i) => roles[i]);
  const computing = order.filter((role) => !role.loads);
  computing.forEach((role, i) => { role.slot = Math.min(i, MAX_SLOTS - 1); });
  for (const role of order.filter((r) => r.loads))
    role.slot = Math.min(computing.length, MAX_SLOTS);
  return roles;
}

// The colour of each slot, by the roles that have it.
function roleColors(roles, dark) {
  const colors = [];
  for (const role of roles) {
    if (colors[role.slot] || role.slot < 0)
      continue;
    const same = roles.filter((r) => r.typeIndex === role.typeIndex && !r.loads && r.slot < MAX_SLOTS - 1);
    const [hue, chroma] = TYPE_HUES[role.loads ? 'load' : role.type] ?? OTHER_HUES[role.typeIndex % OTHER_HUES.length];
    colors[role.slot] = `oklch(${role.loads ? shade(0, 1, dark) : shade(Math.max(0, same.indexOf(role)), same.length, dark)} ${chroma} ${hue})`;
  }
  return colors;
}

// All colours; those of the slots are given, as CSS has them.
function makeColors(slotColors, dark) {
  const style = getComputedStyle(document.documentElement);
  const css = (name) => style.getPropertyValue(name).trim();
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [1, 1];
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  const back = toRgb(pen, css('--lane'));
  const slots = slotColors.map((color) => {
    const rgb = toRgb(pen, color);
    return { ...asColor(rgb), dim: asColor(mix(rgb, back, 0.2)) };
  });
  const reasons = REASON_HUES.map(([hue, chroma], i) => {
    const rgb = toRgb(pen, `oklch(${(dark ? [0.4, 0.44, 0.36, 0.5, 0.29, 0.3] : [0.86, 0.91, 0.86, 0.74, 0.93, 0.94])[i]} ${chroma} ${hue})`);
    const line = toRgb(pen, `oklch(${dark ? 0.72 : 0.55} ${chroma * 1.3} ${hue})`);
    return { ...asColor(rgb), line: asColor(line).css, dim: asColor(mix(rgb, back, 0.3)) };
  });
  const names = ['ink', 'soft', 'faint', 'line', 'page', 'lane', 'band', 'band2', 'accent', 'input', 'output', 'path',
    'tile-ink', 'strip', 'busy', 'ready'];
  const neutral = Object.fromEntries(names.map((n) => [n, css(`--${n}`)]));
  return { ...neutral, slots, reasons, hatch: reasons.map(({ css: fill, line }) => hatch(fill, line)) };
}

// A pattern of slanted lines: a worker that sleeps.
function hatch(fill, line) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [8, 8];
  const pen = canvas.getContext('2d');
  pen.fillStyle = fill;
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = line;
  pen.globalAlpha = 0.35;
  pen.lineWidth = 1.2;
  pen.beginPath();
  for (const x of [-8, 0, 8]) {
    pen.moveTo(x - 1, 9);
    pen.lineTo(x + 9, -1);
  }
  pen.stroke();
  return pen.createPattern(canvas, 'repeat');
}

// ---- layout: where everything is, in CSS pixels ----

const GUTTER = 128;
const AXIS = 22;
const STEPS = 20;
const BAND = 15;
const TRACK = 36;
const GAP = 6;

// `tracks`: those that there are, of 'ready' and 'busy'.
function makeLayout(width, height, nWorkers, bandRows, tracks) {
  const box = (y, h) => ({ y, h });
  let y = 0;
  const place = (h, space = 0) => {
    const b = box(y, h);
    y += h + space;
    return b;
  };
  const l = { width, plotX: GUTTER, plotW: Math.max(50, Math.floor(width) - GUTTER - 8) };
  l.axis = place(AXIS);
  l.steps = place(STEPS, 2);
  l.bands = place(BAND * bandRows, GAP);
  for (const track of tracks)
    l[track] = place(TRACK, GAP);
  const least = nWorkers > 64 ? 6 : 20;
  const laneH = Math.min(56, Math.max(least, Math.floor((height - y - GAP) / nWorkers) - 4));
  const space = laneH > 12 ? 4 : 1;
  l.lanes = Array.from({ length: nWorkers }, () => place(laneH, space));
  l.height = y + 2;
  return l;
}

const timeToX = (s, t) => s.layout.plotX + ((t - s.view.t0) / (s.view.t1 - s.view.t0)) * s.layout.plotW;
const xToTime = (s, x) => s.view.t0 + ((x - s.layout.plotX) / s.layout.plotW) * (s.view.t1 - s.view.t0);

// The entries of worker w, in arrays sorted by worker and start, that can be seen between t0 and t1.
function visibleRange(spans, w, t0, t1) {
  const [lo, hi] = [spans.first[w], spans.first[w + 1]];
  const from = Math.max(lo, lastNotAfter(spans.start, t0, lo, hi));
  return [from, lastNotAfter(spans.start, t1, lo, hi) + 1];
}

// ---- shares by pixel ----

class Columns {
  constructor(width, slots) {
    this.width = width;
    this.slots = slots;
    this.shares = new Float32Array(width * slots);
    this.used = new Uint8Array(width);
  }

  clear() {
    this.shares.fill(0);
    this.used.fill(0);
  }

  // [x0, x1) in pixels, of any width, and a share of the height.
  add(x0, x1, slot, share) {
    const first = Math.max(0, Math.floor(x0));
    const last = Math.min(this.width - 1, Math.floor(x1));
    for (let x = first; x <= last; x++) {
      this.shares[x * this.slots + slot] += share * (Math.min(x1, x + 1) - Math.max(x0, x));
      this.used[x] = 1;
    }
  }

  // Columns of `height` pixels, share 1 / full being one pixel's height full, from the bottom up.
  paint(words, height, colors, full) {
    for (let x = 0; x < this.width; x++) {
      if (!this.used[x])
        continue;
      let sum = 0;
      let y = height;
      for (let slot = 0; slot < this.slots; slot++) {
        sum += this.shares[x * this.slots + slot] / full;
        const to = Math.max(0, height - Math.round(sum * height));
        while (y > to)
          words[--y * this.width + x] = colors[slot];
      }
    }
  }
}

// The words of all slots: tiles, dim tiles, then the gaps' reasons.
function columnColors(colors) {
  return [...colors.slots.map((c) => c.word), ...colors.slots.map((c) => c.dim.word), ...colors.reasons.map((c) => c.word)];
}

const slotOf = (s, r) => s.slotOfOp[s.model.tiles.op[r]];
// From the bottom up, as columns have them, slots and their shares of a tile's height: one, unless the state tells them apart.
const stripsOf = (s, r) => s.strips?.[r] ?? [[slotOf(s, r), 1]];
const isLit = (s, r) => !s.lit || s.lit[r] === 1;
const isGapLit = (s, g) => !s.litGap || s.litGap[g] === 1;

function makePixels(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext('2d');
  const image = pen.createImageData(width, height);
  return { canvas, pen, image, words: new Uint32Array(image.data.buffer) };
}

// Paints the columns at a place given in CSS pixels.
function paintColumns(ctx, columns, colors, box, dpr, full) {
  const height = Math.max(1, Math.round(box.h * dpr));
  if (!columns.pixels || columns.pixels.canvas.height !== height)
    columns.pixels = makePixels(columns.width, height);
  const { canvas, pen, image, words } = columns.pixels;
  words.fill(0);
  columns.paint(words, height, colors, full);
  pen.putImageData(image, 0, 0);
  ctx.drawImage(canvas, box.x, box.y, columns.width / dpr, box.h);
}

// ---- a worker's lane ----

const WIDE = 1.5; // pixels; narrower slices go into the columns

function addTile(columns, s, r, x0, x1) {
  const dim = isLit(s, r) ? 0 : s.colors.slots.length;
  if (!s.strips) { // without a list for each: there may be 200,000
    columns.add(x0, x1, slotOf(s, r) + dim, 1);
    return;
  }
  for (const [slot, share] of s.strips[r])
    columns.add(x0, x1, slot + dim, share);
}

// Adds the narrow tiles and gaps of worker w to the columns; returns the wide ones.
function sortLane(s, w, columns, dpr) {
  const { model: { tiles, gaps }, view: { t0, t1 } } = s;
  const scale = (s.layout.plotW * dpr) / (t1 - t0);
  const wide = { tiles: [], gaps: [] };
  const n = s.colors.slots.length;
  const [from, to] = visibleRange(tiles, w, t0, t1);
  for (let r = from; r < to; r++) {
    const x0 = (tiles.start[r] - t0) * scale;
    const x1 = (tiles.end[r] - t0) * scale;
    if (x1 - x0 >= WIDE * dpr)
      wide.tiles.push(r);
    else
      addTile(columns, s, r, x0, x1);
  }
  const [gFrom, gTo] = visibleRange(gaps, w, t0, t1);
  for (let g = gFrom; g < gTo; g++) {
    const x0 = (gaps.start[g] - t0) * scale;
    const x1 = (gaps.end[g] - t0) * scale;
    if (x1 - x0 >= WIDE * dpr)
      wide.gaps.push(g);
    else if (gaps.why[g] !== BETWEEN && isGapLit(s, g))
      columns.add(x0, x1, 2 * n + gaps.why[g], 1);
  }
  return wide;
}

// A slice's pixels, cut off at the plot's edges: numbers far outside are too much for a canvas.
function clipped(s, start, end) {
  const x0 = Math.max(s.layout.plotX - 2, timeToX(s, start));
  const x1 = Math.min(s.layout.plotX + s.layout.plotW + 2, timeToX(s, end));
  return [x0, x1];
}

// The longest of the texts that fits; nothing when none does.
function fitText(ctx, texts, x, y, width) {
  const text = texts.find((t) => t.length * CHAR <= width - 6);
  if (text)
    ctx.fillText(text, x, y);
}

function drawGap(ctx, s, g, box) {
  const { gaps } = s.model;
  const why = gaps.why[g];
  const [x0, x1] = clipped(s, gaps.start[g], gaps.end[g]);
  const asleep = gaps.parked[g] > gaps.spinning[g];
  const color = s.colors.reasons[why];
  if (why === BETWEEN)
    return;
  ctx.fillStyle = !isGapLit(s, g) ? color.dim.css : asleep ? s.colors.hatch[why] : color.css;
  ctx.fillRect(x0, box.y, x1 - x0, box.h);
  if (!isGapLit(s, g))
    return;
  drawStrip(ctx, s, gaps, g, x0, x1, box);
  if (box.h < 14)
    return;
  ctx.fillStyle = s.colors.ink;
  fitText(ctx, gapTexts(s.model, g), x0 + 4, box.y + box.h / 2, x1 - x0);
}

// Along the bottom: the share of a tile or gap that its worker was not on a CPU.
function drawStrip(ctx, s, spans, i, x0, x1, box) {
  ctx.fillStyle = s.colors.strip;
  if (spans.preempted[i] > 0)
    ctx.fillRect(x0, box.y + box.h - 3, (x1 - x0) * (spans.preempted[i] / (spans.end[i] - spans.start[i])), 3);
}

function gapTexts(model, g) {
  const { gaps } = model;
  const long = formatTime(gaps.end[g] - gaps.start[g]);
  const culprit = gaps.culprit[g];
  if (gaps.why[g] !== INPUT || culprit < 0)
    return [`${REASONS[gaps.why[g]].name} ${long}`, long];
  const name = tileName(model, culprit);
  return [`waited ${long} for ${name} (${workerOf(model, culprit)})`, `${long} for ${name}`, `for ${opOf(model, culprit).name}`, long];
}

function drawTile(ctx, s, r, box) {
  const { tiles } = s.model;
  const [x0, x1] = clipped(s, tiles.start[r], tiles.end[r]);
  const space = x1 - x0 > 5 ? 1 : 0; // tiles that touch are told apart by a gap
  let y = box.y + box.h;
  for (const [slot, share] of stripsOf(s, r)) {
    const color = s.colors.slots[slot];
    y -= share * box.h;
    ctx.fillStyle = isLit(s, r) ? color.css : color.dim.css;
    ctx.fillRect(x0, y, x1 - x0 - space, share * box.h);
  }
  if (isLit(s, r))
    drawStrip(ctx, s, tiles, r, x0, x1 - space, box);
  if (x1 - x0 < 16 || box.h < 14)
    return;
  const op = opOf(s.model, r);
  ctx.fillStyle = isLit(s, r) ? s.colors['tile-ink'] : s.colors.soft;
  fitText(ctx, [tileName(s.model, r), op.name, op.role], x0 + 4, box.y + box.h / 2, x1 - x0);
}

function drawLane(ctx, s, w, columns) {
  const lane = s.layout.lanes[w];
  const box = { x: s.layout.plotX, y: lane.y, h: lane.h };
  ctx.fillStyle = s.colors.lane;
  ctx.fillRect(box.x, box.y, s.layout.plotW, box.h);
  columns.clear();
  const wide = sortLane(s, w, columns, s.dpr);
  paintColumns(ctx, columns, s.columnColors, box, s.dpr, 1);
  for (const g of wide.gaps)
    drawGap(ctx, s, g, box);
  for (const r of wide.tiles)
    drawTile(ctx, s, r, box);
}

function drawLanes(ctx, s) {
  const width = Math.round(s.layout.plotW * s.dpr);
  if (s.columns?.width !== width || s.columns.slots !== s.columnColors.length)
    s.columns = new Columns(width, s.columnColors.length);
  for (let w = 0; w < s.model.nWorkers; w++)
    drawLane(ctx, s, w, s.columns);
}

// ---- axis, steps, layers ----

function niceTick(span, width) {
  const rough = (span / width) * 100;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((k) => k * power >= rough);
}

// A time with as many digits as ticks of this distance need; the unit is that of `most`.
function formatTick(t, tick, most) {
  const [scale, unit] = most < 1e3 ? [1, 'µs'] : most < 1e6 ? [1e3, 'ms'] : [1e6, 's'];
  return `${(t / scale).toFixed(Math.max(0, -Math.floor(Math.log10(tick / scale) + 1e-9)))} ${unit}`;
}

// Where times have many digits, ticks count from a base that the gutter shows; returns it, else 0.
function drawAxis(ctx, s) {
  const { view: { t0, t1 }, layout: l, colors } = s;
  const tick = niceTick(t1 - t0, l.plotW);
  const base = t1 / tick < 20000 ? 0 : Math.floor(t0 / (1000 * tick)) * 1000 * tick;
  ctx.textAlign = 'left';
  for (let i = Math.ceil((t0 - base) / tick); base + i * tick <= t1; i++) {
    const x = Math.round(timeToX(s, base + i * tick)) + 0.5;
    const text = (base ? '+' : '') + formatTick(i * tick, tick, t1 - base);
    ctx.fillStyle = colors.line;
    ctx.fillRect(x, l.axis.y + 12, 1, l.height);
    ctx.fillStyle = colors.soft;
    if (x + 3 + text.length * CHAR < l.plotX + l.plotW)
      ctx.fillText(text, x + 3, l.axis.y + 10);
  }
  return base;
}

// A labelled box in one of the rows on top; the label stays in view.
function drawLabelled(ctx, s, { start, end }, box, fill, text) {
  const [x0, x1] = clipped(s, start, end);
  if (x1 <= x0)
    return;
  ctx.fillStyle = fill;
  ctx.fillRect(x0, box.y, Math.max(0.5, x1 - x0 - 1), box.h);
  ctx.fillStyle = s.colors.ink;
  fitText(ctx, text, Math.max(x0, s.layout.plotX) + 4, box.y + box.h / 2, x1 - Math.max(x0, s.layout.plotX));
}

function visibleSteps(s) {
  return s.model.steps.map((step, i) => ({ ...step, i })).filter((x) => x.end >= s.view.t0 && x.start <= s.view.t1 && x.end > x.start);
}

function drawSteps(ctx, s) {
  const { layout: l, colors } = s;
  for (const step of visibleSteps(s)) {
    drawLabelled(ctx, s, step, l.steps, step.i % 2 ? colors.band : colors.band2, [step.label, step.short]);
    const width = timeToX(s, step.end) - timeToX(s, step.start);
    if (width < 10)
      continue;
    ctx.fillStyle = width < 60 ? colors.line : colors.soft;
    for (const t of [step.start, step.end]) {
      const x = Math.round(timeToX(s, t));
      if (x >= l.plotX && x <= l.plotX + l.plotW)
        ctx.fillRect(x, l.steps.y, 1, l.height - l.steps.y);
    }
  }
}

function drawBands(ctx, s) {
  const { layout: l, colors, bands } = s;
  const from = lastNotAfter(s.bandEnds, s.view.t0, 0, bands.length);
  for (let i = Math.max(0, from); i < bands.length && bands[i].start <= s.view.t1; i++) {
    const band = bands[i];
    const width = timeToX(s, band.end) - timeToX(s, band.start);
    if (width < 2)
      continue;
    const box = { y: l.bands.y + BAND * band.row, h: BAND - 1 };
    drawLabelled(ctx, s, band, box, band.layer % 2 ? colors.band : colors.band2, [band.name]);
    const x = Math.round(timeToX(s, band.start));
    ctx.fillStyle = colors.line;
    if (width > 24 && x >= l.plotX)
      ctx.fillRect(x, box.y, 1, l.height - box.y);
  }
}

// ---- tracks ----

// The mean of each pixel, as an area; `least` is what the full height stands for at least. Returns what
// it stands for.
function drawTrack(ctx, s, box, track, least, color) {
  const { layout: l, view: { t0, t1 } } = s;
  const step = (t1 - t0) / l.plotW;
  const means = Float64Array.from({ length: l.plotW }, (_, x) => trackMean(track, t0 + x * step, t0 + (x + 1) * step));
  const top = means.reduce((most, v) => Math.max(most, v), least);
  ctx.fillStyle = s.colors.lane;
  ctx.fillRect(l.plotX, box.y, l.plotW, box.h);
  ctx.fillStyle = color;
  ctx.beginPath();
  ctx.moveTo(l.plotX, box.y + box.h);
  for (let x = 0; x < l.plotW; x++) {
    const y = box.y + box.h - (box.h - 2) * (means[x] / top);
    ctx.lineTo(l.plotX + x, y);
    ctx.lineTo(l.plotX + x + 1, y);
  }
  ctx.lineTo(l.plotX + l.plotW, box.y + box.h);
  ctx.fill();
  return top;
}

// ---- arrows ----

const middle = (s, r) => s.layout.lanes[s.model.tiles.worker[r]].y + s.layout.lanes[s.model.tiles.worker[r]].h / 2;

// From the end of record a to the start of record b.
function drawArrow(ctx, s, a, b, color, width) {
  const { start, end } = s.model.tiles;
  const edge = (x) => Math.max(s.layout.plotX - 4000, Math.min(s.layout.plotX + s.layout.plotW + 4000, x));
  const [x0, y0, x1, y1] = [edge(timeToX(s, end[a])), middle(s, a), edge(timeToX(s, start[b])), middle(s, b)];
  const bend = Math.max(14, Math.min(90, Math.abs(x1 - x0) / 2));
  const lift = y0 === y1 && x1 - x0 > 8 ? s.layout.lanes[0].h * 0.7 : 0;
  ctx.strokeStyle = color;
  ctx.fillStyle = color;
  ctx.lineWidth = width;
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.bezierCurveTo(x0 + bend, y0 - lift, x1 - bend, y1 - lift, x1, y1);
  ctx.stroke();
  const slope = Math.atan2(lift, bend);
  ctx.save();
  ctx.translate(x1, y1);
  ctx.rotate(slope);
  ctx.beginPath();
  ctx.moveTo(0, 0);
  ctx.lineTo(-7, -3.5);
  ctx.lineTo(-7, 3.5);
  ctx.fill();
  ctx.restore();
}

const MAX_ARROWS = 400;

function drawSelection(ctx, s) {
  const r = s.selected.tile;
  if (r < 0)
    return;
  const { last } = s.model.tiles;
  ctx.globalAlpha = 0.9;
  for (const u of s.outputs.slice(0, MAX_ARROWS))
    drawArrow(ctx, s, r, u, s.colors.output, last[u] === r ? 2 : 1);
  for (const u of s.inputs.slice(0, MAX_ARROWS))
    drawArrow(ctx, s, u, r, s.colors.input, last[r] === u ? 2.5 : 1);
  ctx.globalAlpha = 1;
  outlineTile(ctx, s, r, s.colors.ink, 2.5);
}

function outlineBox(ctx, s, start, end, w, color, width) {
  const [x0, x1] = clipped(s, start, end);
  const lane = s.layout.lanes[w];
  if (x1 < s.layout.plotX || x0 > s.layout.plotX + s.layout.plotW)
    return;
  ctx.strokeStyle = color;
  ctx.lineWidth = width;
  ctx.strokeRect(x0 - 0.5, lane.y - 0.5, Math.max(2, x1 - x0), lane.h + 1);
}

const outlineTile = (ctx, s, r, color, width) =>
  outlineBox(ctx, s, s.model.tiles.start[r], s.model.tiles.end[r], s.model.tiles.worker[r], color, width);
const outlineGap = (ctx, s, g, color, width) =>
  outlineBox(ctx, s, s.model.gaps.start[g], s.model.gaps.end[g], s.model.gaps.worker[g], color, width);

// The path's records in order of time; a line from each to the next where that leaves it room.
function drawPath(ctx, s) {
  const { pathRecords: path, model: { tiles }, view: { t0, t1 } } = s;
  if (!s.showPath)
    return;
  const from = Math.max(0, lastNotAfter(s.pathStarts, t0, 0, path.length) - 1);
  const to = Math.min(path.length, lastNotAfter(s.pathStarts, t1, 0, path.length) + 2);
  if (to - from > s.layout.plotW / 4)
    return;
  for (let i = from; i < to; i++) {
    outlineTile(ctx, s, path[i], s.colors.path, 2);
    if (i + 1 < to && tiles.step[path[i]] === tiles.step[path[i + 1]])
      drawArrow(ctx, s, path[i], path[i + 1], s.colors.path, 2);
  }
}

// ---- the whole ----

const FONT = '10.5px ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace';
const LABEL_FONT = '12px system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif';

// Lines between the lanes of two ranks, whose workers stand side by side.
function drawRanks(ctx, { layout: l, model, colors }) {
  const { rankOf } = model.facts;
  ctx.fillStyle = colors.soft;
  l.lanes.forEach((lane, w) => {
    if (w && rankOf[w] !== rankOf[w - 1])
      ctx.fillRect(0, lane.y - 3, l.width, 1.5);
  });
}

function drawGutter(ctx, s, base, mostReady) {
  const { layout: l, colors, model } = s;
  const label = (box, text, more) => {
    const two = more && box.h >= 30;
    ctx.fillStyle = colors.ink;
    ctx.fillText(text, 10, box.y + box.h / 2 - (two ? 7 : 0));
    ctx.fillStyle = colors.soft;
    if (two)
      ctx.fillText(more, 10, box.y + box.h / 2 + 8);
  };
  if (base) {
    ctx.fillStyle = colors.soft;
    ctx.fillText(`${formatClock(base)} +`, 10, l.axis.y + 10);
  }
  ctx.font = LABEL_FONT;
  label(l.steps, 'steps');
  label(l.bands, 'layers');
  if (l.ready)
    label(l.ready, 'ready tiles', `scale 0–${formatNumber(mostReady)}`);
  label(l.busy, 'workers in tiles', `busy: ${formatNumber(model.sums.busyWorkers)} of ${model.facts.awake}`);
  if (l.lanes[0].h >= 12)
    l.lanes.forEach((lane, w) => label(lane, workerName(model, w), s.laneNotes[w]));
}

function prepare(canvas, width, height, dpr) {
  const [w, h] = [Math.round(width * dpr), Math.round(height * dpr)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.height = `${height}px`;
  }
  const ctx = canvas.getContext('2d');
  ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.textBaseline = 'middle';
  ctx.font = FONT;
  return ctx;
}

function drawTimeline(canvas, s) {
  const { layout: l, model, colors } = s;
  const ctx = prepare(canvas, l.width, l.height, s.dpr);
  ctx.save();
  ctx.beginPath();
  ctx.rect(l.plotX, 0, l.plotW, l.height);
  ctx.clip();
  const base = drawAxis(ctx, s);
  const mostReady = l.ready ? drawTrack(ctx, s, l.ready, model.tracks.ready, 1, colors.ready) : 0;
  drawTrack(ctx, s, l.busy, model.tracks.busy, model.facts.awake || model.nWorkers, colors.busy);
  drawLanes(ctx, s);
  drawBands(ctx, s);
  drawSteps(ctx, s);
  drawPath(ctx, s);
  drawSelection(ctx, s);
  drawHover(ctx, s);
  ctx.restore();
  drawRanks(ctx, s);
  drawGutter(ctx, s, base, mostReady);
}

function drawHover(ctx, s) {
  if (s.selected.gap >= 0)
    outlineGap(ctx, s, s.selected.gap, s.colors.ink, 2.5);
  if (s.hover?.what === 'tile')
    outlineTile(ctx, s, s.hover.index, s.colors.ink, 1.5);
  if (s.hover?.what === 'gap')
    outlineGap(ctx, s, s.hover.index, s.colors.ink, 1.5);
  if (s.dragRange) {
    const [x0, x1] = s.dragRange;
    ctx.fillStyle = s.colors.accent;
    ctx.globalAlpha = 0.18;
    ctx.fillRect(Math.min(x0, x1), 0, Math.abs(x1 - x0), s.layout.height);
    ctx.globalAlpha = 1;
  }
}

// What lies under a point: { what, index, time }.
function hitTest(s, x, y) {
  const { layout: l, model } = s;
  const time = xToTime(s, x);
  const inside = (box) => y >= box.y && y < box.y + box.h + 2;
  if (x < l.plotX || x > l.plotX + l.plotW)
    return { what: 'none', time };
  if (inside(l.axis))
    return { what: 'axis', time };
  if (inside(l.steps))
    return { what: 'step', index: model.steps.findIndex((p) => p.start <= time && time < p.end), time };
  for (const what of ['ready', 'busy'])
    if (l[what] && inside(l[what]))
      return { what, time };
  if (inside(l.bands))
    return { what: 'band', index: bandAt(s, time, Math.floor((y - l.bands.y) / BAND)), time };
  const w = l.lanes.findIndex(inside);
  return w < 0 ? { what: 'none', time } : hitLane(s, w, time);
}

const bandAt = (s, time, row) => s.bands.findIndex((b) => b.row === row && b.start <= time && time < b.end);

function hitLane(s, w, time) {
  const { tiles, gaps } = s.model;
  const near = (1.5 * (s.view.t1 - s.view.t0)) / s.layout.plotW;
  const at = (spans) => lastNotAfter(spans.start, time, spans.first[w], spans.first[w + 1]);
  const r = at(tiles);
  if (r >= tiles.first[w] && time <= tiles.end[r])
    return { what: 'tile', index: r, time };
  const g = at(gaps);
  if (g >= gaps.first[w] && time <= gaps.end[g] && gaps.end[g] - gaps.start[g] > near)
    return { what: 'gap', index: g, time };
  for (const close of [r, r + 1])
    if (close >= tiles.first[w] && close < tiles.first[w + 1] && tiles.start[close] - near <= time && time <= tiles.end[close] + near)
      return { what: 'tile', index: close, time };
  return g >= gaps.first[w] && time <= gaps.end[g] ? { what: 'gap', index: g, time } : { what: 'lane', index: w, time };
}

// ---- the minimap: all workers' columns over the whole run, and the window ----

const MAP_HEIGHT = 44;

function drawMapBase(s, width) {
  const { model } = s;
  const full = { ...s, view: { t0: model.begin, t1: model.end }, layout: { plotX: 0, plotW: width } };
  const columns = new Columns(Math.round(width * s.dpr), s.columnColors.length);
  const scale = (width * s.dpr) / (model.end - model.begin);
  for (let r = 0; r < model.tiles.n; r++)
    addTile(columns, s, r, (model.tiles.start[r] - model.begin) * scale, (model.tiles.end[r] - model.begin) * scale);
  const canvas = document.createElement('canvas');
  const ctx = prepare(canvas, width, MAP_HEIGHT, s.dpr);
  ctx.fillStyle = s.colors.lane;
  ctx.fillRect(0, 0, width, MAP_HEIGHT);
  paintColumns(ctx, columns, s.columnColors, { x: 0, y: 8, h: MAP_HEIGHT - 8 }, s.dpr, model.facts.awake || model.nWorkers);
  ctx.fillStyle = s.colors.soft;
  for (const step of model.steps)
    if (step.end > step.start)
      ctx.fillRect(timeToX(full, step.start), 0, 1, 6);
  return canvas;
}

function mapWindow(s, width) {
  const { model, view } = s;
  const x = (t) => ((t - model.begin) / (model.end - model.begin)) * width;
  return [x(view.t0), Math.max(x(view.t0) + 3, x(view.t1))];
}

function drawMap(canvas, s) {
  const width = canvas.clientWidth;
  if (!s.mapBase || s.mapBase.width !== Math.round(width * s.dpr))
    s.mapBase = drawMapBase(s, width);
  const ctx = prepare(canvas, width, MAP_HEIGHT, s.dpr);
  ctx.drawImage(s.mapBase, 0, 0, width, MAP_HEIGHT);
  const [x0, x1] = mapWindow(s, width);
  ctx.fillStyle = s.colors.page;
  ctx.globalAlpha = 0.62;
  ctx.fillRect(0, 0, x0, MAP_HEIGHT);
  ctx.fillRect(x1, 0, width - x1, MAP_HEIGHT);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = s.colors.accent;
  ctx.lineWidth = 2;
  ctx.strokeRect(x0 + 1, 1, x1 - x0 - 2 > 0 ? x1 - x0 - 2 : 1, MAP_HEIGHT - 2);
  ctx.fillStyle = s.colors.accent;
  for (const x of [x0, x1])
    ctx.fillRect(x - 3, MAP_HEIGHT / 2 - 8, 6, 16);
}
