// facts.js - what follows from a model: idle gaps with their culprits, tracks, sums of a range. What the whole
// run comes to, the critical path and the reason of each gap stand in the page already (model.js).

// Marks the records of the critical paths.
function criticalPath(model) {
  const onPath = new Uint8Array(model.tiles.n);
  for (const { record, pathTiles } of model.steps)
    for (const tile of pathTiles)
      onPath[record[tile]] = 1;
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

const REASONS = [
  { name: 'waiting for an input', about: 'the tile that the worker ran next was not ready: the named tile was still to be written' },
  { name: 'late for a ready tile', about: 'the next tile was ready, but not started: queues, waking up, other tiles first' },
  { name: 'nothing left in the step', about: 'the worker ran no further tile of the step, until it left' },
  { name: 'preempted', about: 'the thread was not on a CPU for half of the gap or more, though awake or woken: other programs ran there' },
  { name: 'outside the step', about: 'the step ran, but the worker was not in it: it entered late, left early, or took no part' },
  { name: 'between steps', about: 'no step ran: sampling the next id, preparing the step' },
];
const GRAIN = 0.0005; // half of the file's grain: what is shorter is rounding

// Gaps, sorted by worker and start. There are at most two before each tile; in each step one at the end of the
// worker's span, one before and one behind it; and one before each step.
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

// Before a tile: until the awaited tile ended, the worker waited; then for itself.
function addGap(gaps, { tiles }, worker, from, r) {
  const [to, step, why] = [tiles.start[r], tiles.step[r], tiles.why[r]];
  const split = why === INPUT ? Math.max(from, to - tiles.late[r]) : to;
  gaps.add(worker, from, split, step, why, r, tiles.culprit[r]);
  gaps.add(worker, split, to, step, TAKING, r, -1);
}

// Of the worker's part of a step, span v; returns the first record after it.
function gapsOfSpan(gaps, model, w, v, first) {
  const { tiles, spans } = model;
  const step = spans.step[v];
  let at = spans.start[v];
  let r = first;
  for (; r < tiles.first[w + 1] && tiles.step[r] === step; r++) {
    addGap(gaps, model, w, at, r);
    at = tiles.end[r];
  }
  gaps.add(w, at, spans.end[v], step, spans.why[v] === PREEMPTED ? PREEMPTED : TAIL, -1, spans.culprit[v]);
  return r;
}

function gapsOfWorker(gaps, model, w) {
  const { tiles, spans, steps } = model;
  let [r, v] = [tiles.first[w], spans.first[w]];
  steps.forEach(({ start, end }, step) => {
    if (step > 0)
      gaps.add(w, steps[step - 1].end, start, -1, BETWEEN, -1, -1);
    const takesPart = v < spans.first[w + 1] && spans.step[v] === step;
    gaps.add(w, start, takesPart ? spans.start[v] : end, step, OUTSIDE, -1, -1);
    if (takesPart) {
      r = gapsOfSpan(gaps, model, w, v, r);
      gaps.add(w, spans.end[v++], end, step, OUTSIDE, -1, -1);
    }
  });
}

// How long of [from, to] a wait was without a CPU: a share of it; when it was asleep, its end, from the wake on.
function offIn(waits, k, from, to) {
  const [off, start, end] = [waits.preempted[k], waits.start[k], waits.end[k]];
  if (off === 0)
    return 0;
  return HOW[waits.how[k]] === 'parked' ? Math.max(0, to - Math.max(from, end - off)) : ((to - from) / (end - start)) * off;
}

// How long a gap was spent in which way: the wait slices that it overlaps, less its part of their preemption.
function fillHow(gaps, waits, nWorkers) {
  const into = HOW.map((name) => (gaps[name] = new Float32Array(gaps.n)));
  gaps.preempted = new Float32Array(gaps.n);
  gaps.woken = new Float32Array(gaps.n); // of that: it was asleep, and woken
  for (let w = 0, g = 0; w < nWorkers; w++) {
    let i = waits.first[w];
    for (; g < gaps.n && gaps.worker[g] === w; g++) {
      while (i < waits.first[w + 1] && waits.end[i] <= gaps.start[g])
        i++;
      for (let k = i; k < waits.first[w + 1] && waits.start[k] < gaps.end[g]; k++) {
        const [from, to] = [Math.max(waits.start[k], gaps.start[g]), Math.min(waits.end[k], gaps.end[g])];
        const off = offIn(waits, k, from, to);
        into[waits.how[k]][g] += Math.max(0, to - from) - off;
        gaps.preempted[g] += off;
        if (HOW[waits.how[k]] === 'parked')
          gaps.woken[g] += off;
      }
    }
  }
}

function findGaps(model) {
  const { awake } = model.facts;
  const gaps = new GapList(2 * model.tiles.n + 4 * model.steps.length * awake);
  for (let w = 0; w < awake; w++)
    gapsOfWorker(gaps, model, w);
  gaps.trim();
  gaps.first = rangesByWorker(gaps.worker, gaps.n, model.nWorkers);
  fillHow(gaps, model.waits, model.nWorkers);
  return gaps;
}

const wasWoken = (gaps, g) => 2 * gaps.woken[g] > gaps.preempted[g];

// Of several ranks a worker has a number among all.
const workerName = ({ facts: { rankOf } }, w) => (rankOf.length ? `rank ${rankOf[w]}, worker ${w}` : `worker ${w}`);
const workerOf = (model, r) => workerName(model, model.tiles.worker[r]);

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
    return `${who} took ${long} to start ${tileName(model, gaps.next[g])}, which was ready`
      + (2 * gaps.woken[g] > gaps.end[g] - gaps.start[g] ? `: it had been woken, and had no CPU for ${formatTime(gaps.woken[g])}` : '');
  case TAIL:
    return `${who} had nothing left in the step for ${long}${named && `: waited for ${named}`}`;
  case PREEMPTED:
    return wasWoken(gaps, g) ? `${who} had been woken, and had no CPU for ${formatTime(gaps.woken[g])} of ${long}`
      : `${who} was preempted for ${formatTime(gaps.preempted[g])} of ${long}`;
  case OUTSIDE:
    return outsideSentence(model, g, who, long);
  default:
    return `${who} was between steps for ${long}`;
  }
}

function outsideSentence({ gaps, steps }, g, who, long) {
  const step = steps[gaps.step[g]];
  if (gaps.start[g] > step.start)
    return `${who} left step ${gaps.step[g]} ${long} before its end`;
  return gaps.end[g] < step.end ? `${who} entered step ${gaps.step[g]} late: ${long} after it began`
    : `${who} took no part in step ${gaps.step[g]} (${long})`;
}

// ---- sums of a range of time, for the table ----
//
// They are of the steps that evaluate tokens, unless there are none in the range; of what reaches into it, the
// part inside. Time of a tile is without preemption. Over the whole run these are the figures of `dagpt trace`.

// Rows with a key; `tiles` and `workers` rows add up tiles, `gaps` rows add up gaps.
const GROUPS = {
  type: { title: 'Op type', of: 'tiles', key: (m, r) => opOf(m, r).typeIndex, name: (m, k) => m.table.types.list[k] },
  role: { title: 'Op', of: 'tiles', key: (m, r) => opOf(m, r).roleIndex, name: (m, k) => m.table.roles[k] },
  op: { title: 'Op by layer', of: 'tiles', key: (m, r) => m.tiles.op[r], name: (m, k) => m.ops[k].name },
  loads: { title: 'Loading', of: 'tiles', key: (m, r) => Number(opOf(m, r).loads), name: (m, k) => (k ? 'fills a weight from a file' : 'computes') },
  layer: { title: 'Layer', of: 'tiles', key: (m, r) => opOf(m, r).layer, name: (m, k) => (k < 0 ? 'outside the blocks' : `layer ${k}`) },
  worker: { title: 'Worker', of: 'workers', key: (m, r) => m.tiles.worker[r], name: (m, k) => workerName(m, k) },
  step: { title: 'Step', of: 'tiles', key: (m, r) => m.tiles.step[r], name: (m, k) => `${k}: ${m.steps[k].label}` },
  idle: { title: 'Idle: why', of: 'gaps', key: (m, g) => m.gaps.why[g], name: (m, k) => REASONS[k].name },
  culprit: { title: 'Idle: waited for', of: 'gaps', key: (m, g) => culpritKey(m, g), name: (m, k) => m.table.roles[k] },
};

// The op that a worker waited for, over all layers; undefined: the gap waits for no tile.
function culpritKey(model, g) {
  const culprit = model.gaps.culprit[g];
  return culprit < 0 ? undefined : opOf(model, culprit).roleIndex;
}

function newRow(model, group, key) {
  return { key, name: group.name(model, key), count: 0, total: 0, max: 0, bytes: 0, flops: 0, path: 0, spinning: 0, parked: 0,
    queue: 0, preempted: 0, outside: 0, worst: -1 };
}

// Which steps the sums of [t0, t1] are of, and how long these are within it.
function countedSteps({ steps }, t0, t1) {
  const inside = steps.map((s) => s.end >= t0 && s.start <= t1);
  const evaluates = steps.some((s, i) => inside[i] && s.kind !== 'load');
  const counts = steps.map((s, i) => inside[i] && (s.kind !== 'load' || !evaluates));
  return { counts, wall: steps.reduce((sum, s, i) => sum + (counts[i] ? Math.min(s.end, t1) - Math.max(s.start, t0) : 0), 0) };
}

// The share of [start, end] that is inside [t0, t1].
function shareInside(start, end, t0, t1) {
  if (start >= t0 && end <= t1)
    return 1;
  return Math.max(0, Math.min(end, t1) - Math.max(start, t0)) / (end - start);
}

// Calls each(i, share) for what reaches into the range; `counts` of step -1, between steps, is undefined.
function eachInside(spans, nWorkers, counts, [t0, t1], each) {
  for (let w = 0; w < nWorkers; w++) {
    const [lo, hi] = [spans.first[w], spans.first[w + 1]];
    for (let i = Math.max(lo, lastNotAfter(spans.start, t0, lo, hi)); i < hi && spans.start[i] <= t1; i++) {
      const share = counts[spans.step[i]] === false ? 0 : shareInside(spans.start[i], spans.end[i], t0, t1);
      if (share > 0)
        each(i, share);
    }
  }
}

// All rows of a group, and what the range comes to.
function addUp(model, group, range) {
  const rows = new Map();
  const isGaps = group.of === 'gaps';
  const s = isGaps ? model.gaps : model.tiles;
  const { counts, wall } = countedSteps(model, ...range);
  const rowOf = (key) => {
    if (!rows.has(key))
      rows.set(key, newRow(model, group, key));
    return rows.get(key);
  };
  eachInside(s, model.nWorkers, counts, range, (i, share) => {
    const key = group.key(model, i);
    if (key === undefined)
      return;
    const time = s.end[i] - s.start[i] - (isGaps ? 0 : s.preempted[i]);
    const row = rowOf(key);
    row.count++;
    row.total += share * time;
    if (time >= row.max) {
      row.max = time;
      row.worst = i;
    }
    for (const what of isGaps ? HOW : ['bytes', 'flops', 'preempted'])
      row[what] += share * s[what][i];
    if (!isGaps && model.onPath[i])
      row.path += share * time;
  });
  if (group.of === 'workers')
    addStates(model, counts, range, wall, rowOf);
  return { rows: finishRows(model, [...rows.values()], wall), wall };
}

// What workers did beside their tiles; `outside` is what is left of the steps' time.
function addStates(model, counts, range, wall, rowOf) {
  const { waits, facts: { awake } } = model;
  for (let w = 0; w < awake; w++)
    rowOf(w);
  eachInside(waits, model.nWorkers, counts, range, (i, share) => {
    const row = rowOf(waits.worker[i]);
    row[HOW[waits.how[i]]] += share * (waits.end[i] - waits.start[i] - waits.preempted[i]);
    row.preempted += share * waits.preempted[i];
  });
  for (let w = 0; w < awake; w++) {
    const row = rowOf(w);
    const left = wall - row.total - row.preempted - row.queue - row.spinning - row.parked;
    row.outside = left > GRAIN ? left : 0;
  }
}

// bytes / µs / 1000 is GB/s. "Of limit": what all awake workers would reach at this rate, of what the
// machine was measured to reach.
function finishRows(model, rows, wall) {
  const { readGbps, fmaGflops, awake } = model.facts;
  const all = rows.reduce((sum, row) => sum + row.total, 0);
  const path = rows.reduce((sum, row) => sum + row.path, 0);
  for (const row of rows) {
    row.mean = row.count ? row.total / row.count : 0;
    row.share = all > 0 ? row.total / all : 0;
    row.pathShare = path > 0 ? row.path / path : 0;
    row.gbps = row.total > 0 ? row.bytes / row.total / 1000 : 0;
    row.gflops = row.total > 0 ? row.flops / row.total / 1000 : 0;
    row.ofRead = readGbps > 0 ? (row.gbps * Math.max(1, awake)) / readGbps : null;
    row.ofFma = fmaGflops > 0 ? (row.gflops * Math.max(1, awake)) / fmaGflops : null;
    for (const state of ['total', ...HOW, 'preempted', 'outside'])
      row[`${state}OfWall`] = wall > 0 ? row[state] / wall : 0;
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
