// lanes.js - what /trace answers (serve/lanes.h) as a model that the viewer's code draws. Here a slot is a colour of a
// text, and a tile has strips: one for each text that it has rows of, as high as its share of them.

const MAX_STEPS = 32; // that the page keeps
const APART = 100000; // µs between two steps that are not shown together
const COUNT = 7; // numbers of a tile

// ---- colours: the texts that can be seen have different ones, as long as there are enough ----

const HUES = [250, 45, 165, 340, 105, 290, 205, 20];
const SLOTS = 2 * HUES.length;

const textColors = (dark) => Array.from({ length: SLOTS }, (_, i) =>
  `oklch(${(dark ? 0.74 : 0.8) - (i < HUES.length ? 0 : 0.17)} 0.12 ${HUES[i % HUES.length]})`);

class Slots {
  constructor() {
    this.byText = new Map();
  }

  // The slot of a text, which keeps it until it is let go.
  of(text) {
    if (!this.byText.has(text)) {
      const used = new Set(this.byText.values());
      const free = Array.from({ length: SLOTS }, (_, i) => i).find((i) => !used.has(i));
      this.byText.set(text, free ?? this.byText.size % SLOTS);
    }
    return this.byText.get(text);
  }

  // Only these texts keep theirs.
  keep(texts) {
    for (const text of this.byText.keys())
      if (!texts.has(text))
        this.byText.delete(text);
  }
}

// ---- a step ----

const textName = (request, index) => `${request}.${index}`;

// Whose each row is: names of texts.
function ownersOf(raw) {
  const owners = [];
  for (let i = 0; i < raw.texts.length; i += 3)
    for (let k = 0; k < raw.texts[i + 2]; k++)
      owners.push(textName(raw.texts[i], raw.texts[i + 1]));
  return owners;
}

// Which of its op's tiles each one is, in the order of the plan.
function placesOf({ tiles }, n) {
  const byPlan = Array.from({ length: n }, (_, k) => k).sort((a, b) => tiles[COUNT * a + 2] - tiles[COUNT * b + 2]);
  const places = new Int32Array(n);
  const count = new Map();
  for (const k of byPlan) {
    const op = tiles[COUNT * k + 1];
    places[k] = count.get(op) ?? 0;
    count.set(op, places[k] + 1);
  }
  return places;
}

// How many rows of its step each op has: an output has all of them, or the last ones.
function rowsOfOps({ tiles, ops }, n) {
  const rows = new Int32Array(ops.length);
  for (let k = 0; k < n; k++)
    rows[tiles[COUNT * k + 1]] = Math.max(rows[tiles[COUNT * k + 1]], tiles[COUNT * k + 4]);
  return rows;
}

function readStep(raw) {
  const n = raw.tiles.length / COUNT;
  const owners = ownersOf(raw);
  const [start, end] = [raw.start / 1000, (raw.start + raw.took) / 1000];
  const count = owners.length === 1 ? '1 row' : `${owners.length} rows`;
  return { number: raw.step, raw, n, owners, start, end, place: placesOf(raw, n), rowsOf: rowsOfOps(raw, n), label: `step ${raw.step}: ${count}`, short: count };
}

// The newest steps, at most `most`, that follow each other.
function lastSteps(steps, most) {
  let from = steps.length - 1;
  while (from > 0 && steps.length - from < most && steps[from - 1].number === steps[from].number - 1
    && steps[from].start - steps[from - 1].end < APART)
    from--;
  return steps.slice(Math.max(0, from));
}

// ---- several steps ----

const roleOf = (name) => name.replace(/^h\d+\./, '');

// Strips of rows r0 ... r1 - 1 of an op: [[slot, share], ...]; texts side by side of one colour are one.
function stripsOfRows(step, op, r0, r1, slots) {
  const first = step.owners.length - step.rowsOf[op];
  const strips = [];
  for (let r = r0; r < r1; r++) {
    const slot = slots.of(step.owners[first + r]);
    const last = strips[strips.length - 1];
    if (last?.[0] === slot)
      last[1] += 1 / (r1 - r0);
    else
      strips.push([slot, 1 / (r1 - r0)]);
  }
  return strips;
}

// Fills in step i's tiles of worker w, from record r on; returns the next record.
function addTiles(model, i, w, r, slots) {
  const { tiles, strips } = model;
  const step = model.steps[i];
  const { raw } = step;
  for (let k = step.at, at = raw.start; k < step.n && raw.tiles[COUNT * k] === w; k++, r++) {
    const [, op, , r0, r1, wait, took] = raw.tiles.slice(COUNT * k, COUNT * (k + 1));
    const key = `${op} ${r0} ${r1}`;
    if (!step.strips.has(key))
      step.strips.set(key, stripsOfRows(step, op, r0, r1, slots));
    tiles.start[r] = (at + wait) / 1000;
    tiles.end[r] = (at += wait + took) / 1000;
    tiles.worker[r] = w;
    tiles.step[r] = i;
    tiles.tile[r] = k;
    tiles.op[r] = step.ops[op];
    tiles.rows[2 * r] = r0;
    tiles.rows[2 * r + 1] = r1;
    strips[r] = step.strips.get(key);
    step.busy[w] += took / 1000;
    step.at = k + 1;
  }
  return r;
}

// The model of some steps, at least one, of so many workers.
function liveModel(steps, nWorkers, slots) {
  const ops = [];
  const byName = new Map();
  const indexOf = ([name, type, layer]) => {
    if (!byName.has(name))
      byName.set(name, ops.push({ name: plainText(name), type: plainText(type), role: plainText(roleOf(name)), layer, loads: false }) - 1);
    return byName.get(name);
  };
  const n = steps.reduce((sum, step) => sum + step.n, 0);
  const none = newSpans(0, ['preempted'], ['why']);
  const model = {
    ops, nWorkers, facts: { awake: nWorkers, rankOf: [] }, strips: new Array(n),
    steps: steps.map((step, i) => ({ ...step, plan: i, at: 0, strips: new Map(), busy: new Float64Array(nWorkers), ops: step.raw.ops.map(indexOf) })),
    plans: steps.map(({ place }) => ({ place })),
    tiles: { ...newSpans(n, ['preempted'], ['step', 'tile', 'op']), rows: new Int32Array(2 * n) },
    gaps: { ...none, first: new Int32Array(nWorkers + 1) },
  };
  for (let w = 0, r = 0; w < nWorkers; w++)
    for (let i = 0; i < steps.length; i++)
      r = addTiles(model, i, w, r, slots);
  model.tiles.first = rangesByWorker(model.tiles.worker, n, nWorkers);
  const starts = model.tiles.start.slice().sort();
  model.tracks = { busy: makeTrack(starts, model.tiles.end.slice().sort()) };
  model.took = steps.reduce((sum, step) => sum + step.end - step.start, 0);
  model.busy = Array.from({ length: nWorkers }, (_, w) => model.steps.reduce((sum, step) => sum + step.busy[w], 0));
  model.sums = { busyWorkers: model.busy.reduce((sum, t) => sum + t, 0) / model.took };
  return Object.assign(model, timeRange(model));
}
