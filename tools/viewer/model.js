'use strict';
// The viewer of dagpt's traces (docs/formats/trace-format.md), in five parts that are joined in this order:
//   model.js  the page's numbers to typed arrays   facts.js  what follows from them: gaps, tracks, ranges
//   draw.js   layout and the two canvases          panes.js  legend, table, details: the DOM
//   main.js   state, pointer and keyboard
// Times are microseconds. A tile that ran is a record: an index into the arrays of model.tiles, which
// are sorted by worker and start. Numbers and indices can be relied on: `dagpt trace` refuses a file in
// which they are wrong. Names can be anything, and go into the page as text alone.

const MAX_NAME = 120;

// A name that shows as what it is: control and direction characters as escapes, at a bounded length.
function plainText(s, most = MAX_NAME) {
  const cut = s.length > most ? `${s.slice(0, most)}… and ${s.length - most} more characters` : s;
  return cut.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function readFacts(raw) {
  return {
    command: plainText(raw.command), whole: plainText(raw.command, Infinity), model: plainText(raw.model), sched: plainText(raw.sched), isa: plainText(raw.isa),
    readGbps: raw.read_gbps, fmaGflops: raw.fma_gflops, // 0: not measured
    rankOf: (raw.ranks || []).flatMap((workers, rank) => Array(workers).fill(rank)), // of each worker; []: one process
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

// Ops of all plans, each once by name, type and group, so that an op has one row in the table. A role is an op's
// name without the layer, "fc" of "h3.fc", as `dagpt trace` groups them.
class OpTable {
  constructor(groups) {
    this.ops = [];
    this.byKey = new Map();
    this.types = new Names();
    this.roles = groups.map(([name]) => plainText(name) || '(no name)');
  }

  // The index of an op.
  add(rawName, rawType, layer, loads, group) {
    const key = JSON.stringify([rawName, rawType, group]); // by the layer, too
    const known = this.byKey.get(key);
    if (known !== undefined)
      return known;
    const name = plainText(rawName) || '(no name)';
    const type = plainText(rawType) || '(no type)';
    this.ops.push({
      name, type, layer, role: this.roles[group], loads: loads === 1, typeIndex: this.types.index(type), roleIndex: group,
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
  return Object.assign(edges, reverseEdges(edges));
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

function readSteps(list, plans) {
  const steps = [];
  for (let i = 0; i < list.length; i += 6) {
    const [plan, past, rows, start, end, counts] = list.slice(i, i + 6);
    const kind = plans[plan].loads ? 'load' : rows > 1 ? 'prompt' : rows ? 'token' : 'empty';
    const positions = kind === 'prompt' ? [past, past + rows - 1] : [past];
    steps.push({
      plan, short: String(past), kind, counts: counts === 1, start: start / 1000, end: end / 1000,
      label: rows ? `${kind} ${positions.join('–')}` : kind,
      title: `step ${steps.length}: ${{ load: 'loading the weights', prompt: `prompt, positions ${positions.join(' to ')}`,
        token: `one token, position ${past}`, empty: 'no tokens' }[kind]}`,
      record: new Int32Array(plans[plan].n), // of each tile of its plan
    });
  }
  return steps;
}

// Each step's critical path: its length, and its tiles.
function readPaths(list, steps) {
  let i = 0;
  for (const step of steps) {
    const n = list[i + 1];
    step.path = list[i] / 1000;
    step.pathTiles = list.slice(i + 2, i + 2 + n);
    i += 2 + n;
  }
}

// What the whole run comes to; times in µs. The page adds up nothing of this itself.
const TIMES = ['wall', 'elapsed', 'work', 'span', 'scheduler', 'loadWall', 'loading', 'all'];

function readSums(raw) {
  const sums = { ...raw.sums, busy: raw.busy.map((ns) => ns / 1000) };
  for (const key of TIMES)
    sums[key] /= 1000;
  const ratio = (a, b) => (b > 0 ? a / b : 0);
  return Object.assign(sums, { parallelism: ratio(sums.work, sums.span), busyWorkers: ratio(sums.work, sums.wall) });
}

const HOW = ['queue', 'spinning', 'parked']; // kinds of slices, less 1

// Why a worker ran no tile; the first five as the page's numbers have them.
const [INPUT, TAKING, TAIL, PREEMPTED, OUTSIDE, BETWEEN] = [0, 1, 2, 3, 4, 5];

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
// All are sorted by worker and start, as the list is. `why`, `culprit` and `late` are of the gap before a
// tile, and at the end of a span.
function readVisits(raw, model) {
  const list = raw.visits;
  const tiles = newSpans(raw.n_tiles, ['ready', 'bytes', 'flops', 'preempted', 'late'], ['step', 'tile', 'op', 'last', 'why', 'culprit']);
  const waits = newSpans(raw.n_waits, ['preempted'], ['how', 'step']);
  const spans = newSpans(raw.n_visits, ['cpu', 'preemptions'], ['step', 'why', 'culprit']);
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
        waits.step[w] = step;
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
      tiles.last[r] = list[i + 2] ? tile - list[i + 2] : -1; // the tile; linkTiles() makes it the record
      tiles.bytes[r] = list[i + 3];
      tiles.flops[r] = list[i + 4];
      tiles.preempted[r] = off;
      i = readGap(list, i + 5, tiles, r);
      if (tiles.why[r++] === INPUT)
        tiles.late[r - 1] = list[i++] / 1000;
    }
    i = readGap(list, i, spans, v);
  }
  return { tiles, waits, spans };
}

// Why, and the culprit, a tile for now; returns where the list goes on.
function readGap(list, i, into, index) {
  into.why[index] = list[i];
  const named = list[i] === INPUT || list[i] === TAIL;
  into.culprit[index] = named ? list[i + 1] - 1 : -1;
  return i + (named ? 2 : 1);
}

// Tiles become records, which are known when all have been read.
function linkTiles(spans, keys, steps) {
  for (const key of keys)
    for (let i = 0; i < spans.n; i++)
      if (spans[key][i] >= 0)
        spans[key][i] = steps[spans.step[i]].record[spans[key][i]];
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

// All slices lie in a step, and steps are in order.
function timeRange({ steps }) {
  const [begin, end] = steps.length ? [steps[0].start, steps[steps.length - 1].end] : [0, 0];
  return begin < end ? { begin, end } : { begin, end: begin + 1 };
}

// The model of the numbers that tools/trace/trace_html.c puts into the page.
function readModel(json) {
  const raw = JSON.parse(json);
  const table = new OpTable(raw.groups);
  const plans = raw.plans.map((p) => readPlan(p, table));
  const model = { facts: readFacts(raw), sums: readSums(raw), table, ops: table.ops, plans, steps: readSteps(raw.steps, plans) };
  readPaths(raw.paths, model.steps);
  Object.assign(model, readVisits(raw, model), { nWorkers: Math.max(raw.workers, raw.awake) });
  linkTiles(model.tiles, ['last', 'culprit'], model.steps);
  linkTiles(model.spans, ['culprit'], model.steps);
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
