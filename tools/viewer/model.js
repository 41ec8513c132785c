'use strict';
// The viewer of dagpt's traces (docs/formats/trace-format.md), in five parts that are joined in this order:
//   model.js  the page's numbers to typed arrays   facts.js  what follows from them: paths, gaps, sums
//   draw.js   layout and the two canvases          panes.js  legend, table, details: the DOM
//   main.js   state, pointer and keyboard
// Times are microseconds. A tile that ran is a record: an index into the arrays of model.tiles, which
// are sorted by worker and start. Numbers and indices can be relied on: `dagpt trace` refuses a file in
// which they are wrong. Names can be anything, and go into the page as text alone.

const MAX_NAME = 120;

// A name that shows as what it is: control and direction characters as escapes, at a bounded length.
function plainText(s) {
  const cut = s.length > MAX_NAME ? `${s.slice(0, MAX_NAME)}…` : s;
  return cut.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function readFacts(raw) {
  return {
    command: plainText(raw.command), model: plainText(raw.model), sched: plainText(raw.sched), isa: plainText(raw.isa),
    readGbps: raw.read_gbps, fmaGflops: raw.fma_gflops, // 0: not measured
    workers: raw.workers, awake: raw.awake, overhead: raw.overhead_ns / 1000, dropped: raw.dropped,
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

// Ops of all plans, each once by name and type, so that an op has one row in the table.
class OpTable {
  constructor() {
    this.ops = [];
    this.byKey = new Map();
    this.types = new Names();
    this.roles = new Names();
  }

  // The index of an op; its role is its name without the layer: "fc" of "h3.fc".
  add(rawName, rawType, layer, loads) {
    const key = JSON.stringify([rawName, rawType]);
    const known = this.byKey.get(key);
    if (known !== undefined)
      return known;
    const name = plainText(rawName) || '(no name)';
    const type = plainText(rawType) || '(no type)';
    const role = name.startsWith(`h${layer}.`) ? name.slice(name.indexOf('.') + 1) : name;
    this.ops.push({
      name, type, layer, role, loads: loads === 1,
      typeIndex: this.types.index(type),
      roleIndex: this.roles.index(loads === 1 ? 'load' : role),
    });
    this.byKey.set(key, this.ops.length - 1);
    return this.ops.length - 1;
  }
}

function readPlan(raw, table) {
  const ops = raw.ops.map((op) => table.add(...op));
  const n = raw.tiles.length / 6;
  const plan = {
    loads: raw.loads === 1, n,
    op: new Int32Array(n), // of each tile, in table.ops
    place: new Int32Array(n), // which of its op's tiles it is
    box: new Int32Array(4 * n),
    home: new Int32Array(n),
  };
  const count = new Int32Array(ops.length);
  for (let t = 0, i = 0; t < n; t++, i += 6) {
    const op = raw.tiles[i];
    plan.op[t] = ops[op];
    plan.place[t] = count[op]++;
    for (let k = 0; k < 4; k++)
      plan.box[4 * t + k] = raw.tiles[i + 1 + k];
    plan.home[t] = raw.tiles[i + 5];
  }
  return Object.assign(plan, readEdges(raw.next));
}

// Compressed rows: the successors of node v are next[first[v] ... first[v + 1] - 1].
function readEdges(list) {
  const first = [0];
  const next = [];
  for (let i = 0; i < list.length; i += 1 + list[i]) {
    for (let k = 1; k <= list[i]; k++)
      next.push(list[i + k]);
    first.push(next.length);
  }
  const edges = { nNodes: first.length - 1, first: Int32Array.from(first), next: Int32Array.from(next) };
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

// Kahn's algorithm: joins come after the tiles that they follow, which their numbers do not.
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
  return order;
}

function readSteps(list, plans) {
  const steps = [];
  for (let i = 0; i < list.length; i += 5) {
    const [plan, past, rows, start, end] = list.slice(i, i + 5);
    const kind = plans[plan].loads ? 'load' : rows > 1 ? 'prompt' : rows ? 'token' : 'empty';
    const positions = kind === 'prompt' ? [past, past + rows - 1] : [past];
    steps.push({
      plan, past, kind, start: start / 1000, end: end / 1000,
      label: rows ? `${kind} ${positions.join('–')}` : kind,
      title: `step ${steps.length}: ${{ load: 'loading the weights', prompt: `prompt, positions ${positions.join(' to ')}`,
        token: `one token, position ${past}`, empty: 'no tokens' }[kind]}`,
      record: new Int32Array(plans[plan].n), // of each tile of its plan
    });
  }
  return steps;
}

const HOW = ['queue', 'spinning', 'parked']; // kinds of slices, less 1


// Arrays of n: numbers of the given names, then indices.
function newSpans(n, numbers, indices) {
  const spans = { n, start: new Float64Array(n), end: new Float64Array(n), worker: new Int16Array(n) };
  for (const name of numbers)
    spans[name] = new Float64Array(n);
  for (const name of indices)
    spans[name] = new Int32Array(n);
  return spans;
}

// Slices as typed arrays: tiles; waits, which have an index in HOW; and spans, the workers' parts of steps.
// All are sorted by worker and start, as the list is.
function readVisits(raw, model) {
  const list = raw.visits;
  const tiles = newSpans(raw.n_tiles, ['ready', 'bytes', 'flops', 'preempted'], ['step', 'tile', 'op', 'last']);
  const waits = newSpans(raw.n_waits, ['preempted'], ['how']);
  const spans = newSpans(raw.n_visits, ['cpu', 'preemptions'], ['step']);
  for (let v = 0, i = 0, r = 0, w = 0; v < spans.n; v++) {
    const [worker, step, enter, took, cpu, preemptions, n] = list.slice(i, i + 7);
    const { record, plan } = model.steps[step];
    const { op } = model.plans[plan];
    spans.start[v] = enter / 1000;
    spans.end[v] = (enter + took) / 1000;
    spans.worker[v] = worker;
    spans.step[v] = step;
    spans.cpu[v] = cpu / 1000;
    spans.preemptions[v] = preemptions;
    i += 7;
    for (let k = 0, at = enter, tile = 0; k < n; k++) {
      const kind = list[i];
      const start = at + list[i + 1];
      const off = list[i + 3] / 1000;
      at = start + list[i + 2];
      i += 4;
      if (kind) {
        waits.start[w] = start / 1000;
        waits.end[w] = at / 1000;
        waits.worker[w] = worker;
        waits.preempted[w] = off;
        waits.how[w++] = kind - 1;
        continue;
      }
      tile += list[i];
      record[tile] = r;
      tiles.start[r] = start / 1000;
      tiles.end[r] = at / 1000;
      tiles.ready[r] = (start - list[i + 1]) / 1000;
      tiles.worker[r] = worker;
      tiles.step[r] = step;
      tiles.tile[r] = tile;
      tiles.op[r] = op[tile];
      tiles.last[r] = list[i + 2] ? tile - list[i + 2] : -1; // the tile; linkLast() makes it the record
      tiles.bytes[r] = list[i + 3];
      tiles.flops[r] = list[i + 4];
      tiles.preempted[r++] = off;
      i += 5;
    }
  }
  return { tiles, waits, spans };
}

// The record of the tile that wrote a record's last input; known when all records are.
function linkLast({ tiles, steps }) {
  for (let r = 0; r < tiles.n; r++)
    if (tiles.last[r] >= 0)
      tiles.last[r] = steps[tiles.step[r]].record[tiles.last[r]];
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

// The records of all workers by start. Each worker's are in order: merging them takes a tenth of the time
// of a sort with a function that compares.
function mergeByStart({ tiles: { n, first, start }, nWorkers }) {
  const merged = new Int32Array(n);
  const at = first.slice(0, nWorkers);
  for (let i = 0; i < n; i++) {
    let least = -1;
    for (let w = 0; w < nWorkers; w++)
      if (at[w] < first[w + 1] && (least < 0 || start[at[w]] < start[at[least]]))
        least = w;
    merged[i] = at[least]++;
  }
  return merged;
}

// All slices lie in a span.
function timeRange(model) {
  let [begin, end] = [Infinity, -Infinity];
  for (let i = 0; i < model.spans.n; i++) {
    begin = Math.min(begin, model.spans.start[i]);
    end = Math.max(end, model.spans.end[i]);
  }
  return begin < end ? { begin, end } : { begin: 0, end: 1 };
}

// The model of the numbers that tools/trace/trace_html.c puts into the page.
function readModel(json) {
  const raw = JSON.parse(json);
  const table = new OpTable();
  const plans = raw.plans.map((p) => readPlan(p, table));
  const model = { facts: readFacts(raw), table, ops: table.ops, plans, steps: readSteps(raw.steps, plans) };
  Object.assign(model, readVisits(raw, model), { nWorkers: Math.max(raw.workers, raw.awake) });
  linkLast(model);
  for (const s of [model.tiles, model.spans, model.waits])
    s.first = rangesByWorker(s.worker, s.n, model.nWorkers);
  return Object.assign(model, timeRange(model));
}

// ---- what a record is called, and its neighbours in the plan ----

const opOf = (model, r) => model.ops[model.tiles.op[r]];
const planOf = (model, r) => model.plans[model.steps[model.tiles.step[r]].plan];
const placeOf = (model, r) => planOf(model, r).place[model.tiles.tile[r]];
const tileName = (model, r) => `${opOf(model, r).name} tile ${placeOf(model, r)}`;

// The records that r waits for (forward: false) or that wait for r, joins passed through, by start.
function neighbours(model, r, forward) {
  const plan = planOf(model, r);
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
      else
        found.push(record[u]);
    }
  }
  return found.sort((a, b) => model.tiles.start[a] - model.tiles.start[b]);
}
