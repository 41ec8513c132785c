// make_trace.mjs - synthetic traces in the format of docs/formats/trace-format.md, for the viewer's tests.
//   node make_trace.mjs [--tiles N] [--layers L] [--workers W] [--rows T] [--seed S] > FILE
// The same arguments give the same bytes. A plan of GPT-2's ops is run by a list scheduler with
// random durations, so that slices nest, `ready` <= `ts`, and `last` is the input written last.
import { pathToFileURL } from 'node:url';

const us = (t) => Math.round(t * 1000) / 1000;

// xorshift32: uniform numbers in [0, 1).
function random(seed) {
  let x = seed >>> 0 || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

// What a plan is built from: ops are added with the ops that they read, tiles are cut at once.
class PlanBuilder {
  constructor(rows, workers) {
    this.plan = { rows, ops: [], tiles: [], joins: 0, next: [] };
    this.workers = workers;
    this.first = [];
    this.reads = [];
  }

  op(name, type, layer, cols, cut, reads, rows = this.plan.rows, rowCut = 16) {
    const { plan } = this;
    const op = plan.ops.length;
    plan.ops.push({ name, type, ...(type === 'load' && { loads: true }), layer, out: name, rows, cols });
    this.first.push(plan.tiles.length);
    this.reads.push(reads);
    for (let r = 0; r < rows; r += rowCut)
      for (let c = 0; c < cols; c += cut) {
        const box = [r, Math.min(r + rowCut, rows), c, Math.min(c + cut, cols)];
        plan.tiles.push([op, ...box, rows > 1 ? (r / rowCut) % this.workers : (c / cut) % this.workers]);
      }
    return op;
  }

  tilesOf(op) {
    const end = op + 1 < this.first.length ? this.first[op + 1] : this.plan.tiles.length;
    return Array.from({ length: end - this.first[op] }, (_, i) => this.first[op] + i);
  }

  // The tiles of op `from` that tile t waits for: those of its rows; a head's own columns.
  inputs(t, from) {
    const [, r0, r1, c0, c1] = this.plan.tiles[t];
    const attention = this.plan.ops[this.plan.tiles[t][0]].type === 'attention';
    return this.tilesOf(from).filter((u) => {
      const [, s0, s1, d0, d1] = this.plan.tiles[u];
      return (attention ? s0 < r1 : s0 < r1 && r0 < s1) && (!attention || (d0 < c1 && c0 < d1));
    });
  }

  // Edges of all tiles; a dense set of them goes through a join. The last join is `end`.
  finish() {
    const { plan } = this;
    const next = plan.tiles.map(() => []);
    const joins = [];
    const byInputs = new Map();
    plan.tiles.forEach(([op], t) => {
      for (const from of this.reads[op]) {
        const inputs = this.inputs(t, from);
        if (inputs.length < 4) {
          inputs.forEach((u) => next[u].push(t));
          continue;
        }
        const key = inputs.join();
        if (!byInputs.has(key)) {
          byInputs.set(key, joins.length);
          inputs.forEach((u) => next[u].push(plan.tiles.length + joins.length));
          joins.push([]);
        }
        joins[byInputs.get(key)].push(t);
      }
    });
    const end = plan.tiles.length + joins.length;
    next.forEach((list) => list.length || list.push(end));
    plan.joins = joins.length + 1;
    plan.next = [...next, ...joins, []];
    return plan;
  }
}

export function gptPlan(rows, layers, workers, channels = 768, vocab = 50257) {
  const b = new PlanBuilder(rows, workers);
  const row = rows > 1 ? 16 : 1;
  const op = (name, type, layer, cols, cut, reads, r = rows) => b.op(name, type, layer, cols, cut, reads, r, row);
  let x = op('embed', 'embed', -1, channels, channels, []);
  for (let l = 0; l < layers; l++) {
    const name = (s) => `h${l}.${s}`;
    const ln1 = op(name('ln1'), 'layernorm', l, channels, channels, [x]);
    const qkv = ['q', 'k', 'v'].map((s) => op(name(s), 'matmul', l, channels, 128, [ln1]));
    const attention = op(name('attention'), 'attention', l, channels, 64, qkv);
    const proj = op(name('proj'), 'matmul', l, channels, 64, [attention, x]);
    const ln2 = op(name('ln2'), 'layernorm', l, channels, channels, [proj]);
    const fc = op(name('fc'), 'matmul', l, 4 * channels, 128, [ln2]);
    x = op(name('fcproj'), 'matmul', l, channels, 32, [fc, proj]);
  }
  const lnf = op('lnf', 'layernorm', -1, channels, channels, [x], 1);
  b.op('logits', 'logits', -1, vocab, 1024, [lnf], 1, 1);
  return b.finish();
}

export function loadPlan(layers, workers, channels = 768) {
  const b = new PlanBuilder(channels, workers);
  for (let l = 0; l < layers; l++)
    for (const [s, k] of [['q', 1], ['k', 1], ['v', 1], ['proj', 1], ['fc', 4], ['fcproj', 4]])
      b.op(`h${l}.${s}_weight`, 'load', l, channels, channels, [], k * channels, 384);
  return b.finish();
}

const RATES = { matmul: 9, logits: 9, layernorm: 3, embed: 5, attention: 4, load: 2 }; // GB/s of one worker

const loadsOnly = (plan) => plan.ops.every((op) => op.loads);

function cost(plan, tile, past) {
  const [op, r0, r1, c0, c1] = plan.tiles[tile];
  const { type, loads, rows } = plan.ops[op];
  const [h, w] = [r1 - r0, c1 - c0];
  if (type === 'matmul' || type === 'logits')
    return { bytes: 4 * (768 * w + h * 768 + h * w), flops: 2 * 768 * h * w };
  if (type === 'attention')
    return { bytes: 8 * w * (past + rows) * Math.max(1, h / 8), flops: 4 * w * h * (past + rows) };
  return { bytes: 8 * h * w, flops: loads ? 0 : 8 * h * w };
}

// Runs steps of plans and writes the events.
class Recorder {
  constructor({ workers, seed, edges = true }) {
    this.random = random(seed);
    this.workers = workers;
    this.edges = edges;
    this.events = [];
    this.plans = [];
    this.steps = [];
    this.id = 0;
    this.name('process_name', 0, 'dagpt');
    for (let w = 0; w < workers; w++)
      this.name('thread_name', w, `worker ${w}`);
  }

  name(what, tid, name) {
    this.events.push({ name: what, ph: 'M', pid: 1, tid, args: { name } });
  }

  slice(cat, name, tid, ts, end, args) {
    this.events.push({ name, cat, ph: 'X', pid: 1, tid, ts: us(ts), dur: us(us(end) - us(ts)), args });
  }

  wait(w, from, to, step) {
    if (to - from < 0.05)
      return;
    const spun = Math.min(to, from + 50);
    this.slice('wait', to - from < 0.6 ? 'queue' : 'spinning', w, from, spun, spun - from > 20 ? { step, preempted: 10 } : { step });
    if (spun < to)
      this.slice('wait', 'parked', w, spun, to, { step });
  }

  duration(plan, tile, past) {
    const { bytes } = cost(plan, tile, past);
    const slow = this.random() < 0.004 ? 4 : 1;
    return slow * (0.6 + (bytes / 1000 / RATES[plan.ops[plan.tiles[tile][0]].type]) * (0.8 + 0.5 * this.random()));
  }

  // One step from time t; returns its end. The home worker takes a tile where it is free in time.
  step(planIndex, past, t) {
    const plan = this.plans[planIndex];
    const step = this.steps.length;
    const n = plan.tiles.length;
    const waits = new Int32Array(plan.next.length);
    plan.next.forEach((list) => list.forEach((u) => waits[u]++));
    const free = new Float64Array(this.workers).fill(t + 1);
    for (let w = 0; w < this.workers; w++)
      free[w] += this.random();
    const ready = new Float64Array(plan.next.length).fill(t);
    const last = new Int32Array(plan.next.length).fill(-1);
    const run = [];
    const pool = [];
    const starts = free.slice();
    for (let i = 0; i < n; i++)
      if (!waits[i])
        pool.push(i);
    const finish = (node, at, by) => {
      for (const u of plan.next[node]) {
        if (at >= ready[u]) {
          ready[u] = at;
          last[u] = by;
        }
        if (--waits[u] === 0) {
          if (u < n)
            pool.push(u);
          else
            finish(u, ready[u], last[u]);
        }
      }
    };
    const running = []; // [end, tile], by end
    while (pool.length || running.length) {
      let w = 0;
      for (let v = 1; v < this.workers; v++)
        if (free[v] < free[w])
          w = v;
      // What ended before the free worker looks may have made more tiles ready.
      if (running.length && (!pool.length || running[0][0] <= free[w])) {
        const [end, tile] = running.shift();
        finish(tile, end, tile);
        continue;
      }
      let pick = pool.findIndex((i) => plan.tiles[i][5] === w);
      if (pick < 0)
        pick = 0;
      const [tile] = pool.splice(pick, 1);
      const start = Math.max(free[w], ready[tile]) + 0.1 + 0.4 * this.random() + (ready[tile] - free[w] > 50 ? 30 : 0);
      const end = start + this.duration(plan, tile, past);
      run.push([w, tile, start, end]);
      free[w] = end;
      let at = running.length;
      while (at > 0 && running[at - 1][0] > end)
        at--;
      running.splice(at, 0, [end, tile]);
    }
    const stepEnd = Math.max(...free) + 1;
    this.steps.push({ plan: planIndex, past, rows: loadsOnly(plan) ? 0 : plan.rows, start: us(t), end: us(stepEnd) });
    this.write(plan, step, run, { t, stepEnd, starts, ready, last, past });
    return stepEnd;
  }

  write(plan, step, run, { t, stepEnd, starts, ready, last, past }) {
    const label = loadsOnly(plan) ? 'load' : `step ${step}`;
    const at = starts.slice();
    const places = new Map();
    for (let w = 0; w < this.workers; w++)
      this.slice('step', label, w, starts[w], stepEnd, { step, cpu: us((stepEnd - starts[w]) * 0.9), preemptions: w % 2 });
    for (const [w, tile, start, end] of run) {
      const op = plan.ops[plan.tiles[tile][0]];
      const args = {
        step, tile, type: op.type, layer: op.layer, box: plan.tiles[tile].slice(1, 5), ready: us(ready[tile]),
        last: last[tile] < 0 ? null : last[tile], ...cost(plan, tile, past),
      };
      if (this.random() < 0.01)
        args.preempted = us((end - start) / 2);
      this.wait(w, at[w], start, step);
      this.slice('tile', op.name, w, start, end, args);
      if (this.edges && last[tile] >= 0)
        this.arrow(places.get(last[tile]), [w, start]);
      places.set(tile, [w, start]);
      at[w] = end;
    }
    for (let w = 0; w < this.workers; w++)
      this.wait(w, at[w], stepEnd, step);
    this.counters(run, ready, t, stepEnd);
  }

  arrow([w, start], [v, to]) {
    const id = this.id++;
    this.events.push({ name: 'edge', cat: 'edge', ph: 's', pid: 1, tid: w, ts: us(start), id });
    this.events.push({ name: 'edge', cat: 'edge', ph: 'f', bp: 'e', pid: 1, tid: v, ts: us(to), id });
  }

  counters(run, ready, t, stepEnd) {
    const changes = [];
    for (const [, tile, start, end] of run)
      changes.push([ready[tile], 1, 0], [start, -1, 1], [end, 0, -1]);
    changes.sort((a, b) => a[0] - b[0]);
    let tiles = 0;
    let workers = 0;
    for (const [ts, d, e] of changes) {
      tiles += d;
      workers += e;
      if (d)
        this.events.push({ name: 'ready tiles', ph: 'C', pid: 1, tid: 0, ts: us(ts), args: { tiles } });
      if (e)
        this.events.push({ name: 'workers not waiting', ph: 'C', pid: 1, tid: 0, ts: us(ts), args: { workers } });
    }
  }

  trace() {
    return {
      displayTimeUnit: 'ns',
      dagpt: {
        version: 2, program: 'dagpt 0.1.0', command: 'synthetic',
        model: { name: 'synthetic', positions: 1024, vocab: 50257, layers: 12, heads: 12, channels: 768 },
        machine: { cpus: 4, isa: 'avx2', limits: [{ workers: 4, read_gbps: 34.1, fma_gflops: 233 }] },
        workers: this.workers, awake: this.workers, sched: 'dataflow', overhead_ns: 61, dropped: 0,
        plans: this.plans, steps: this.steps,
      },
      traceEvents: this.events,
    };
  }
}

// A load, a prompt and then tokens, until there are at least `tiles` tiles.
export function makeTrace({ tiles = 3000, layers = 12, workers = 4, rows = 48, seed = 1 } = {}) {
  const r = new Recorder({ workers, seed });
  r.plans.push(loadPlan(layers, workers), gptPlan(rows, layers, workers), gptPlan(1, layers, workers));
  let t = r.step(0, 0, 0) + 400;
  t = r.step(1, 0, t) + 60;
  let count = r.plans[0].tiles.length + r.plans[1].tiles.length;
  for (let past = rows; count < tiles; past++) {
    t = r.step(2, past, t) + 40 + 30 * r.random();
    count += r.plans[2].tiles.length;
  }
  return r.trace();
}

export function emptyTrace() {
  const t = new Recorder({ workers: 4, seed: 1 }).trace();
  t.dagpt.plans = [];
  t.dagpt.model = { name: '' };
  t.dagpt.machine = { cpus: 2, isa: 'scalar', limits: [] };
  return t;
}

// Everything that could break out of a page or trip a reader, in a trace that is none the less well formed:
// markup and escapes in every name, names that JavaScript's objects have, events of no known kind.
export function hostileTrace() {
  const bad = [
    '</script><script>window.hacked=1</script>', '<!--<script>', '<img src=x onerror="window.hacked=2">',
    '\u202egnp.exe', '"\'`${window.hacked=3}\\', '&lt;b&gt;', '__proto__', 'constructor', '\u0000\u001b[31m\n\r\t',
    'x'.repeat(63), '\ud83d\ude00\u2028\u2029', '', '%s%n', 'javascript:window.hacked=4',
  ];
  const t = makeTrace({ tiles: 900, layers: 3, rows: 20, seed: 7 });
  const name = (i) => bad[i % bad.length];
  t.dagpt.model.name = bad[0] + bad[2];
  t.dagpt.command = bad.join(' ') + 'x'.repeat(5000);
  t.dagpt.sched = bad[2];
  t.dagpt.program = bad[1];
  t.dagpt.machine.isa = bad[2];
  for (const plan of t.dagpt.plans)
    plan.ops.forEach((op, i) => {
      op.name = name(i);
      op.type = i % 2 ? op.type : name(i + 2).slice(0, 31); // longer ones are refused, as names of over 63 bytes are
      op.out = name(i + 1);
    });
  let i = 0;
  for (const e of t.traceEvents)
    if (e.ph === 'M')
      e.args.name = name(i++);
    else if (e.cat === 'tile')
      e.name = i++ % 5 ? e.name : name(i);
  t.traceEvents.push({}, { ph: 'Z', cat: bad[0], name: {} }, { ph: 'X', cat: bad[1], name: bad[2], args: {} });
  return t;
}

function options(argv) {
  const o = {};
  for (let i = 0; i < argv.length; i += 2) {
    if (!/^--(tiles|layers|workers|rows|seed)$/.test(argv[i]) || !(Number(argv[i + 1]) > 0))
      throw new Error(`unknown option '${argv[i]} ${argv[i + 1]}'`);
    o[argv[i].slice(2)] = Number(argv[i + 1]);
  }
  return o;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  process.stdout.write(JSON.stringify(makeTrace(options(process.argv.slice(2)))));
