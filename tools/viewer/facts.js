// facts.js - what follows from a model: critical path, idle gaps with their culprits, tracks, sums.

// ---- critical path ----

// The longest chain of durations in one step over the plan's edges; joins take no time. Marks its
// records in onPath and returns its length.
function markPath(model, step, onPath) {
  const plan = model.plans[step.plan];
  const { start, end } = model.tiles;
  const upTo = new Float64Array(plan.nNodes); // the longest chain that ends where the node starts
  const from = new Int32Array(plan.nNodes).fill(-1);
  let longest = 0;
  let at = -1;
  for (const v of plan.order) {
    const r = step.record[v]; // undefined: a join
    const done = upTo[v] + (v < plan.n ? end[r] - start[r] : 0);
    if (done > longest) {
      longest = done;
      at = v;
    }
    for (let e = plan.first[v]; e < plan.first[v + 1]; e++)
      if (done > upTo[plan.next[e]]) {
        upTo[plan.next[e]] = done;
        from[plan.next[e]] = v;
      }
  }
  for (; at >= 0; at = from[at])
    if (at < plan.n)
      onPath[step.record[at]] = 1;
  return longest;
}

// Steps follow each other, so the run's path is its steps' paths, one after the other.
function criticalPath(model) {
  const onPath = new Uint8Array(model.tiles.n);
  for (const step of model.steps)
    step.path = markPath(model, step, onPath);
  return onPath;
}

// ---- tracks: a number that changes over time ----

// Counts +1 at each time of `up` and -1 at each of `down`; both sorted. integral[i] and zero[i] are
// the area under the count, and the time that it was 0, up to times[i].
function makeTrack(up, down) {
  const n = up.length + down.length;
  const track = { n, times: new Float64Array(n), values: new Int32Array(n), integral: new Float64Array(n),
    zero: new Float64Array(n), max: 0 };
  let [i, j, value] = [0, 0, 0];
  for (let k = 0; k < n; k++) {
    const rise = j === down.length || (i < up.length && up[i] <= down[j]);
    const t = rise ? up[i++] : down[j++];
    const since = k ? t - track.times[k - 1] : 0;
    track.integral[k] = (k ? track.integral[k - 1] : 0) + value * since;
    track.zero[k] = (k ? track.zero[k - 1] : 0) + (value === 0 ? since : 0);
    value += rise ? 1 : -1;
    track.times[k] = t;
    track.values[k] = value;
    track.max = Math.max(track.max, value);
  }
  return track;
}

// The last index with a[i] <= x, within [lo, hi); lo - 1 when there is none.
function lastNotAfter(a, x, lo, hi) {
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (a[mid] <= x)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo - 1;
}

function areaUpTo(track, t, area, isZero) {
  const k = lastNotAfter(track.times, t, 0, track.n);
  if (k < 0)
    return isZero ? t - (track.n ? track.times[0] : t) : 0;
  const v = isZero ? Number(track.values[k] === 0) : track.values[k];
  return area[k] + v * (t - track.times[k]);
}

const trackMean = (track, a, b) =>
  (b > a ? (areaUpTo(track, b, track.integral, false) - areaUpTo(track, a, track.integral, false)) / (b - a) : 0);
const trackZero = (track, a, b) => areaUpTo(track, b, track.zero, true) - areaUpTo(track, a, track.zero, true);

function makeTracks({ tiles }) {
  const starts = tiles.start.slice().sort();
  return {
    ready: makeTrack(tiles.ready.slice().sort(), starts),
    busy: makeTrack(starts, tiles.end.slice().sort()),
  };
}

// ---- idle gaps ----

const INPUT = 0;
const TAKING = 1;
const TAIL = 2;
const BETWEEN = 3;
const REASONS = [
  { name: 'waiting for an input', about: 'the tile that the worker ran next was not ready: the named tile was still to be written' },
  { name: 'taking up a ready tile', about: 'the next tile was ready, but not started: queues, waking up, other tiles first' },
  { name: 'nothing left in the step', about: 'the worker ran no further tile of the step and waited for its last one' },
  { name: 'between steps', about: 'outside the steps: sampling the next id, preparing the step' },
];
const GRAIN = 0.0005; // half of the file's grain: what is shorter is rounding

// Gaps, sorted by worker and start. There are at most two before each tile, one before and one at the end
// of each span.
class GapList {
  constructor(most) {
    this.n = 0;
    this.start = new Float64Array(most);
    this.end = new Float64Array(most);
    for (const key of ['worker', 'step', 'why', 'next', 'culprit'])
      this[key] = new Int32Array(most);
  }

  add(worker, start, end, step, why, next, culprit) {
    if (end - start <= GRAIN)
      return;
    const g = this.n++;
    this.worker[g] = worker;
    this.start[g] = start;
    this.end[g] = end;
    this.step[g] = step;
    this.why[g] = why;
    this.next[g] = next;
    this.culprit[g] = culprit;
  }

  trim() {
    for (const key of ['start', 'end', 'worker', 'step', 'why', 'next', 'culprit'])
      this[key] = this[key].subarray(0, this.n);
  }
}

// Before a tile: until it was ready, the worker waited for its last input; then for itself.
function addGap(gaps, model, worker, from, to, step, next) {
  const { ready, last } = model.tiles;
  const split = Math.min(to, Math.max(from, ready[next]));
  gaps.add(worker, from, split, step, INPUT, next, last[next]);
  gaps.add(worker, split, to, step, TAKING, next, -1);
}

// The record of each step that ended last.
function lastOfSteps({ tiles, steps }) {
  const last = new Int32Array(steps.length).fill(-1);
  for (let r = 0; r < tiles.n; r++) {
    const s = tiles.step[r];
    if (last[s] < 0 || tiles.end[r] > tiles.end[last[s]])
      last[s] = r;
  }
  return last;
}

function gapsOfWorker(gaps, model, w, lastOf) {
  const { tiles, spans } = model;
  let r = tiles.first[w];
  let before = -1;
  for (let s = spans.first[w]; s < spans.first[w + 1]; s++) {
    const step = spans.step[s];
    let at = spans.start[s];
    if (before >= 0)
      gaps.add(w, before, at, -1, BETWEEN, -1, -1);
    for (; r < tiles.first[w + 1] && tiles.start[r] < spans.end[s]; r++) {
      if (tiles.start[r] > at)
        addGap(gaps, model, w, at, tiles.start[r], step, r);
      at = Math.max(at, tiles.end[r]);
    }
    gaps.add(w, at, spans.end[s], step, TAIL, -1, lastOf[step]);
    before = Math.max(at, spans.end[s]);
  }
}

// How long a gap was spent in which way: the wait slices that it overlaps, and its share of their preemption.
function fillHow(gaps, waits, nWorkers) {
  const into = HOW.map((name) => (gaps[name] = new Float32Array(gaps.n)));
  gaps.preempted = new Float32Array(gaps.n);
  for (let w = 0, g = 0; w < nWorkers; w++) {
    let i = waits.first[w];
    for (; g < gaps.n && gaps.worker[g] === w; g++) {
      while (i < waits.first[w + 1] && waits.end[i] <= gaps.start[g])
        i++;
      for (let k = i; k < waits.first[w + 1] && waits.start[k] < gaps.end[g]; k++) {
        const inGap = Math.max(0, Math.min(waits.end[k], gaps.end[g]) - Math.max(waits.start[k], gaps.start[g]));
        into[waits.how[k]][g] += inGap;
        if (waits.preempted[k] > 0)
          gaps.preempted[g] += (inGap / (waits.end[k] - waits.start[k])) * waits.preempted[k];
      }
    }
  }
}

function findGaps(model) {
  const gaps = new GapList(2 * (model.tiles.n + model.spans.n));
  const lastOf = lastOfSteps(model);
  for (let w = 0; w < model.nWorkers; w++)
    gapsOfWorker(gaps, model, w, lastOf);
  gaps.trim();
  gaps.first = rangesByWorker(gaps.worker, gaps.n, model.nWorkers);
  fillHow(gaps, model.waits, model.nWorkers);
  return gaps;
}

const workerOf = (model, r) => `worker ${model.tiles.worker[r]}`;

// The answer to "why was this worker idle?", as one sentence.
function gapSentence(model, g) {
  const { gaps } = model;
  const who = `worker ${gaps.worker[g]}`;
  const long = formatTime(gaps.end[g] - gaps.start[g]);
  const culprit = gaps.culprit[g];
  const named = culprit < 0 ? '' : `${tileName(model, culprit)} (${workerOf(model, culprit)})`;
  switch (gaps.why[g]) {
  case INPUT:
    return `${who} waited ${long} for ${named || 'an input that the trace does not name'}`;
  case TAKING:
    return `${who} took ${long} to start ${tileName(model, gaps.next[g])}, which was ready`;
  case TAIL:
    return `${who} had nothing left in the step: ${long} until ${named ? `${named} ended it` : 'its end'}`;
  default:
    return `${who} was between steps for ${long}`;
  }
}

// ---- sums for the table ----

// Rows with a key; `tiles` rows add up tiles, `gaps` rows add up gaps.
const GROUPS = {
  type: { title: 'Op type', of: 'tiles', key: (m, r) => opOf(m, r).typeIndex, name: (m, k) => m.table.types.list[k] },
  role: { title: 'Op', of: 'tiles', key: (m, r) => opOf(m, r).roleIndex, name: (m, k) => m.table.roles.list[k] },
  op: { title: 'Op by layer', of: 'tiles', key: (m, r) => m.tiles.op[r], name: (m, k) => m.ops[k].name },
  layer: { title: 'Layer', of: 'tiles', key: (m, r) => opOf(m, r).layer, name: (m, k) => (k < 0 ? 'outside the blocks' : `layer ${k}`) },
  worker: { title: 'Worker', of: 'tiles', key: (m, r) => m.tiles.worker[r], name: (m, k) => `worker ${k}` },
  step: { title: 'Step', of: 'tiles', key: (m, r) => m.tiles.step[r], name: (m, k) => `${k}: ${m.steps[k].label}` },
  idle: { title: 'Idle: why', of: 'gaps', key: (m, g) => m.gaps.why[g], name: (m, k) => REASONS[k].name },
  culprit: { title: 'Idle: waited for', of: 'gaps', key: (m, g) => culpritKey(m, g), name: (m, k) => m.table.roles.list[k] },
};

// The op that a worker waited for, over all layers; undefined: the gap waits for no tile.
function culpritKey(model, g) {
  const culprit = model.gaps.culprit[g];
  return culprit < 0 ? undefined : opOf(model, culprit).roleIndex;
}

function newRow(model, group, key) {
  return { key, name: group.name(model, key), count: 0, total: 0, max: 0, bytes: 0, flops: 0, spinning: 0, parked: 0,
    queue: 0, worst: -1 };
}

function addUp(model, group) {
  const rows = new Map();
  const s = model[group.of];
  for (let i = 0; i < s.n; i++) {
    const key = group.key(model, i);
    if (key === undefined)
      continue;
    let row = rows.get(key);
    if (!row)
      rows.set(key, (row = newRow(model, group, key)));
    const time = s.end[i] - s.start[i];
    row.count++;
    row.total += time;
    if (time >= row.max) {
      row.max = time;
      row.worst = i;
    }
    for (const what of group.of === 'tiles' ? ['bytes', 'flops'] : HOW)
      row[what] += s[what][i];
  }
  return finishRows(model, [...rows.values()]);
}

// bytes / µs / 1000 is GB/s. "Of limit": what all awake workers would reach at this rate, of what the
// machine was measured to reach.
function finishRows(model, rows) {
  const { readGbps, fmaGflops, awake } = model.facts;
  const all = rows.reduce((sum, row) => sum + row.total, 0);
  for (const row of rows) {
    row.mean = row.total / row.count;
    row.share = all > 0 ? row.total / all : 0;
    row.gbps = row.total > 0 ? row.bytes / row.total / 1000 : 0;
    row.gflops = row.total > 0 ? row.flops / row.total / 1000 : 0;
    row.ofRead = readGbps > 0 ? (row.gbps * Math.max(1, awake)) / readGbps : null;
    row.ofFma = fmaGflops > 0 ? (row.gflops * Math.max(1, awake)) / fmaGflops : null;
  }
  return rows;
}

// The longest gaps that a tile is to blame for, longest first.
function worstGaps(model, n) {
  const { gaps } = model;
  const worst = [];
  for (let g = 0; g < gaps.n; g++) {
    if (gaps.why[g] !== INPUT || gaps.culprit[g] < 0)
      continue;
    const long = gaps.end[g] - gaps.start[g];
    if (worst.length === n && long <= worst[n - 1][0])
      continue;
    worst.push([long, g]);
    worst.sort((a, b) => b[0] - a[0]);
    worst.length = Math.min(n, worst.length);
  }
  return worst.map(([, g]) => g);
}

// Parallelism and path are those of the steps that compute; loading, where there is some, stands alone.
function summary(model) {
  const { tiles, steps } = model;
  const loading = steps.some((s) => s.kind !== 'load') ? steps.filter((s) => s.kind === 'load') : [];
  const counted = new Set(steps.filter((s) => !loading.includes(s)));
  const sum = (some, value) => some.reduce((total, s) => total + value(s), 0);
  const sums = {
    loadTime: sum(loading, (s) => s.end - s.start),
    stepTime: sum([...counted], (s) => s.end - s.start),
    path: sum([...counted], (s) => s.path),
    wall: model.end - model.begin, nSteps: counted.size,
    begin: Math.min(model.end, ...[...counted].filter((s) => s.end > s.start).map((s) => s.start)),
    busy: new Float64Array(model.nWorkers), // in tiles, of each worker
  };
  for (let r = 0; r < tiles.n; r++)
    if (counted.has(steps[tiles.step[r]]))
      sums.busy[tiles.worker[r]] += tiles.end[r] - tiles.start[r];
  sums.parallelism = sums.stepTime > 0 ? sums.busy.reduce((a, b) => a + b, 0) / sums.stepTime : 0;
  return sums;
}

// Bands of layers, or of the ops outside them, in each step: from the first start to the last end. Bands
// that overlap, as in a prompt, go into rows of their own, at most three.
function layerBands(model) {
  const { tiles } = model;
  const byKey = new Map();
  for (let r = 0; r < tiles.n; r++) {
    const op = opOf(model, r);
    if (op.loads)
      continue;
    const key = `${tiles.step[r]} ${op.layer < 0 ? op.name : op.layer}`;
    const band = byKey.get(key);
    if (!band) {
      byKey.set(key, { start: tiles.start[r], end: tiles.end[r], layer: op.layer, row: 0, step: tiles.step[r],
        name: op.layer < 0 ? op.name : `h${op.layer}` });
    } else {
      band.start = Math.min(band.start, tiles.start[r]);
      band.end = Math.max(band.end, tiles.end[r]);
    }
  }
  const bands = [...byKey.values()].sort((a, b) => a.start - b.start);
  const free = [-Infinity, -Infinity, -Infinity];
  for (const band of bands) {
    const row = free.findIndex((t) => t <= band.start + GRAIN);
    band.row = row < 0 ? free.indexOf(Math.min(...free)) : row;
    free[band.row] = Math.max(free[band.row], band.end);
  }
  return bands;
}

// ---- numbers as text ----

function formatTime(us) {
  const a = Math.abs(us);
  if (a < 1)
    return `${Math.round(us * 1000)} ns`;
  const [x, unit] = a < 1e3 ? [us, 'µs'] : a < 1e6 ? [us / 1e3, 'ms'] : [us / 1e6, 's'];
  return `${formatNumber(x)} ${unit}`;
}

// A point in time: its digits down to the nanosecond, so that neighbours differ.
function formatClock(us) {
  const [x, unit, digits] = us < 1e3 ? [us, 'µs', 3] : us < 1e6 ? [us / 1e3, 'ms', 6] : [us / 1e6, 's', 9];
  return `${x.toLocaleString('en', { maximumFractionDigits: digits })} ${unit}`;
}

const formatRange = (a, b) => (b - a === 1 ? String(a) : `${a}–${b - 1}`);

function formatNumber(x) {
  const a = Math.abs(x);
  return a >= 1e15 ? x.toExponential(2) : x.toLocaleString('en', { maximumFractionDigits: a < 10 ? 2 : a < 100 ? 1 : 0 });
}

function formatBytes(b) {
  const [x, unit] = b < 1e3 ? [b, 'B'] : b < 1e6 ? [b / 1e3, 'kB'] : b < 1e9 ? [b / 1e6, 'MB'] : [b / 1e9, 'GB'];
  return `${formatNumber(x)} ${unit}`;
}

const formatShare = (x) => `${formatNumber(100 * x)} %`;
