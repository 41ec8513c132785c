'use strict';
// The viewer of dagpt's traces (docs/trace-format.md), in five parts that are joined in this order:
//   model.js  the file's JSON to typed arrays      facts.js  what follows from them: paths, gaps, sums
//   draw.js   layout and the two canvases          panes.js  legend, table, details: the DOM
//   main.js   state, pointer and keyboard
// Times are microseconds. A tile that ran is a record: an index into the arrays of model.tiles, which
// are sorted by worker and start. Nothing in the file is trusted: an index is checked before it is
// used, a number that is none is 0, and names go into the page as text alone.

const MAX_WORKERS = 1024;
const MAX_NAME = 120;

const finite = (x, otherwise = 0) => (typeof x === 'number' && Number.isFinite(x) ? x : otherwise);
const indexBelow = (x, n) => (Number.isInteger(x) && x >= 0 && x < n ? x : -1);
const listOf = (x) => (Array.isArray(x) ? x : []);
const objectOf = (x) => (x && typeof x === 'object' && !Array.isArray(x) ? x : {});

// A name that shows as what it is: control and direction characters as escapes, at a bounded length.
function plainText(x) {
  const s = typeof x === 'string' ? x : x === null || x === undefined ? '' : typeof x === 'number' ? String(x) : '?';
  const cut = s.length > MAX_NAME ? `${s.slice(0, MAX_NAME)}…` : s;
  return cut.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function readFacts(d) {
  const machine = objectOf(d.machine);
  return {
    program: plainText(d.program),
    command: plainText(d.command),
    model: plainText(objectOf(d.model).name),
    layers: finite(objectOf(d.model).layers),
    cpus: finite(machine.cpus),
    isa: plainText(machine.isa),
    readGbps: finite(machine.read_gbps), // 0: not measured
    fmaGflops: finite(machine.fma_gflops),
    workers: Math.min(MAX_WORKERS, Math.max(0, Math.floor(finite(d.workers)))),
    awake: finite(d.awake),
    sched: plainText(d.sched),
    overhead: finite(d.overhead_ns) / 1000,
    dropped: finite(d.dropped),
  };
}

// Names and their indices, each name once.
class Names {
  constructor() {
    this.list = [];
    this.indices = new Map();
  }

  index(name) {
    if (!this.indices.has(name))
      this.indices.set(name, this.list.push(name) - 1);
    return this.indices.get(name);
  }
}

// Ops of all plans, each once by name and kind, so that an op has one row in the table.
class OpTable {
  constructor() {
    this.ops = [];
    this.byKey = new Map();
    this.kinds = new Names();
    this.roles = new Names();
  }

  // The index of an op; its role is its name without the layer: "fc" of "h3.fc".
  add(rawName, rawKind, rawLayer) {
    const key = JSON.stringify([rawName, rawKind]);
    const known = this.byKey.get(key);
    if (known !== undefined)
      return known;
    const name = plainText(rawName) || '(no name)';
    const kind = plainText(rawKind) || '(no kind)';
    const layer = Number.isInteger(rawLayer) && rawLayer >= 0 ? rawLayer : -1;
    const role = name.startsWith(`h${layer}.`) ? name.slice(name.indexOf('.') + 1) : name;
    this.ops.push({
      name, kind, layer, role,
      kindIndex: this.kinds.index(kind),
      roleIndex: this.roles.index(kind === 'load' ? 'load' : role),
    });
    this.byKey.set(key, this.ops.length - 1);
    return this.ops.length - 1;
  }
}

function readPlan(raw, table) {
  const p = objectOf(raw);
  const ops = listOf(p.ops).map((o) => {
    const { name, op, layer } = objectOf(o);
    return table.add(name, op, layer);
  });
  const tiles = listOf(p.tiles);
  const n = tiles.length;
  const plan = {
    kind: plainText(p.kind), rows: finite(p.rows), n,
    op: new Int32Array(n).fill(-1), // of each tile, in table.ops
    place: new Int32Array(n), // which of its op's tiles it is
    box: new Int32Array(4 * n),
    home: new Int32Array(n).fill(-1),
  };
  const count = new Int32Array(ops.length);
  tiles.forEach((tile, t) => {
    const [op, ...rest] = listOf(tile);
    const o = indexBelow(op, ops.length);
    if (o >= 0) {
      plan.op[t] = ops[o];
      plan.place[t] = count[o]++;
    }
    for (let i = 0; i < 4; i++)
      plan.box[4 * t + i] = finite(rest[i]);
    plan.home[t] = finite(rest[4], -1);
  });
  return Object.assign(plan, readEdges(listOf(p.next), n));
}

// Compressed rows: the successors of node v are next[first[v] ... first[v + 1] - 1].
function readEdges(next, nTiles) {
  const nNodes = Math.max(nTiles, next.length);
  const first = new Int32Array(nNodes + 1);
  const flat = [];
  for (let v = 0; v < nNodes; v++) {
    for (const u of listOf(next[v]))
      if (indexBelow(u, nNodes) >= 0)
        flat.push(u);
    first[v + 1] = flat.length;
  }
  const edges = { nNodes, first, next: Int32Array.from(flat) };
  return Object.assign(edges, reverseEdges(edges), { order: topologicalOrder(edges) });
}

function reverseEdges({ nNodes, first, next }) {
  const prevFirst = new Int32Array(nNodes + 1);
  for (const u of next)
    prevFirst[u + 1]++;
  for (let v = 0; v < nNodes; v++)
    prevFirst[v + 1] += prevFirst[v];
  const at = prevFirst.slice(0, nNodes);
  const prev = new Int32Array(next.length);
  for (let v = 0; v < nNodes; v++)
    for (let e = first[v]; e < first[v + 1]; e++)
      prev[at[next[e]]++] = v;
  return { prevFirst, prev };
}

// Kahn's algorithm; nodes on a cycle, which no plan of dagpt has, are left out.
function topologicalOrder({ nNodes, first, next }) {
  const waits = new Int32Array(nNodes);
  for (const u of next)
    waits[u]++;
  const order = new Int32Array(nNodes);
  let n = 0;
  for (let v = 0; v < nNodes; v++)
    if (!waits[v])
      order[n++] = v;
  for (let i = 0; i < n; i++)
    for (let e = first[order[i]]; e < first[order[i] + 1]; e++)
      if (--waits[next[e]] === 0)
        order[n++] = next[e];
  return order.subarray(0, n);
}

function readStep(raw, i, plans) {
  const s = objectOf(raw);
  const plan = indexBelow(s.plan, plans.length);
  const start = finite(s.start);
  const step = {
    plan, past: finite(s.past), rows: finite(s.rows), start, end: Math.max(start, finite(s.end)),
    record: new Int32Array(plan < 0 ? 0 : plans[plan].n).fill(-1), // of each tile of its plan
  };
  step.kind = plan >= 0 && plans[plan].kind === 'load' ? 'load' : step.rows > 1 ? 'prompt' : 'token';
  step.label = step.kind === 'load' ? 'load'
    : step.kind === 'prompt' ? `prompt ${step.past}–${step.past + step.rows - 1}` : `token ${step.past}`;
  step.title = `step ${i}: ${step.kind === 'load' ? 'loading the weights'
    : step.kind === 'prompt' ? `prompt, positions ${step.past} to ${step.past + step.rows - 1}`
      : `one token, position ${step.past}`}`;
  return step;
}

// Slices by category, each a list of events that have a worker and a time.
function sortEvents(events) {
  const by = { tile: [], wait: [], step: [], skipped: 0 };
  for (const e of events) {
    if (!e || e.ph !== 'X' || !(e.cat === 'tile' || e.cat === 'wait' || e.cat === 'step'))
      continue;
    if (indexBelow(e.tid, MAX_WORKERS) < 0 || !Number.isFinite(e.ts) || !(e.dur >= 0) || !Number.isFinite(e.dur))
      by.skipped++;
    else
      by[e.cat].push(e);
  }
  const inOrder = (a, b) => a.tid - b.tid || a.ts - b.ts || a.dur - b.dur;
  by.tile.sort(inOrder);
  by.wait.sort(inOrder);
  by.step.sort(inOrder);
  return by;
}

function newTiles(n) {
  const f64 = () => new Float64Array(n);
  const i32 = () => new Int32Array(n);
  return {
    n, start: f64(), end: f64(), ready: f64(), bytes: f64(), flops: f64(), preempted: new Float32Array(n),
    worker: new Int16Array(n), step: i32(), tile: i32(), op: i32(), last: i32(),
  };
}

function readTile(t, i, e, model) {
  const args = objectOf(e.args);
  const step = indexBelow(args.step, model.steps.length);
  const plan = step < 0 ? -1 : model.steps[step].plan;
  const tile = plan < 0 ? -1 : indexBelow(args.tile, model.plans[plan].n);
  const known = tile < 0 ? -1 : model.plans[plan].op[tile];
  t.start[i] = e.ts;
  t.end[i] = e.ts + e.dur;
  t.ready[i] = Math.min(e.ts, finite(args.ready, e.ts));
  t.bytes[i] = Math.max(0, finite(args.bytes));
  t.flops[i] = Math.max(0, finite(args.flops));
  t.preempted[i] = Math.min(e.dur, Math.max(0, finite(args.preempted)));
  t.worker[i] = e.tid;
  t.step[i] = step;
  t.tile[i] = tile;
  t.op[i] = known >= 0 ? known : model.table.add(e.name, args.op, args.layer);
  if (tile >= 0)
    model.steps[step].record[tile] = i;
}

// The record of the tile that wrote a record's last input; known when all records are.
function linkLast(tiles, events, model) {
  for (let i = 0; i < tiles.n; i++) {
    const last = tiles.step[i] < 0 ? -1 : objectOf(events[i].args).last;
    const { record } = tiles.step[i] < 0 ? { record: [] } : model.steps[tiles.step[i]];
    tiles.last[i] = indexBelow(last, record.length) < 0 ? -1 : record[last];
  }
}

const HOW = ['spinning', 'parked', 'queue'];

function readSpans(events, how) {
  const n = events.length;
  const s = { n, start: new Float64Array(n), end: new Float64Array(n), worker: new Int16Array(n), tag: new Int32Array(n) };
  events.forEach((e, i) => {
    s.start[i] = e.ts;
    s.end[i] = e.ts + e.dur;
    s.worker[i] = e.tid;
    s.tag[i] = how(e);
  });
  return s;
}

// first[w] ... first[w + 1] - 1 are the entries of worker w in arrays that are sorted by worker.
function rangesByWorker(worker, n, nWorkers) {
  const first = new Int32Array(nWorkers + 1);
  for (let i = 0; i < n; i++)
    first[worker[i] + 1]++;
  for (let w = 0; w < nWorkers; w++)
    first[w + 1] += first[w];
  return first;
}

function timeRange(model) {
  let [begin, end] = [Infinity, -Infinity];
  for (const s of [model.tiles, model.spans, model.waits])
    for (let i = 0; i < s.n; i++) {
      begin = Math.min(begin, s.start[i]);
      end = Math.max(end, s.end[i]);
    }
  return begin < end ? { begin, end } : { begin: 0, end: 1 };
}

// Throws an Error with a text for the reader when `json` is no trace.
function readModel(json) {
  const raw = JSON.parse(json);
  if (!raw || !Array.isArray(raw.traceEvents))
    throw new Error('the file has no traceEvents');
  const d = objectOf(raw.dagpt);
  const table = new OpTable();
  const plans = listOf(d.plans).map((p) => readPlan(p, table));
  const steps = listOf(d.steps).map((s, i) => readStep(s, i, plans));
  const model = { facts: readFacts(d), table, ops: table.ops, plans, steps };
  const by = sortEvents(raw.traceEvents);
  const tiles = newTiles(by.tile.length);
  by.tile.forEach((e, i) => readTile(tiles, i, e, model));
  linkLast(tiles, by.tile, model);
  model.tiles = tiles;
  model.spans = readSpans(by.step, (e) => indexBelow(objectOf(e.args).step, steps.length));
  model.waits = readSpans(by.wait, (e) => HOW.indexOf(e.name));
  model.skipped = by.skipped;
  const top = (s) => (s.n ? s.worker[s.n - 1] + 1 : 0);
  model.nWorkers = Math.max(1, model.facts.workers, top(tiles), top(model.spans), top(model.waits));
  for (const s of [tiles, model.spans, model.waits])
    s.first = rangesByWorker(s.worker, s.n, model.nWorkers);
  return Object.assign(model, timeRange(model));
}

// ---- what a record is called, and its neighbours in the plan ----

const opOf = (model, r) => model.ops[model.tiles.op[r]];
const planOf = (model, r) => (model.tiles.tile[r] < 0 ? null : model.plans[model.steps[model.tiles.step[r]].plan]);

function tileName(model, r) {
  const plan = planOf(model, r);
  return plan ? `${opOf(model, r).name} tile ${plan.place[model.tiles.tile[r]]}` : opOf(model, r).name;
}

// The records that r waits for (forward: false) or that wait for r, joins passed through, by start.
function neighbours(model, r, forward) {
  const plan = planOf(model, r);
  if (!plan)
    return [];
  const first = forward ? plan.first : plan.prevFirst;
  const edges = forward ? plan.next : plan.prev;
  const { record } = model.steps[model.tiles.step[r]];
  const seen = new Set();
  const found = [];
  const todo = [model.tiles.tile[r]];
  while (todo.length) {
    const v = todo.pop();
    for (let e = first[v]; e < first[v + 1]; e++) {
      const u = edges[e];
      if (seen.has(u))
        continue;
      seen.add(u);
      if (u >= plan.n)
        todo.push(u);
      else if (record[u] >= 0)
        found.push(record[u]);
    }
  }
  return found.sort((a, b) => model.tiles.start[a] - model.tiles.start[b]);
}
