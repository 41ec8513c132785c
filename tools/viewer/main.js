// main.js - the state, what the user does to it, and when to draw.

const state = {
  model: null, view: null, layout: null, colors: null, dpr: 1,
  selected: { tile: -1, gap: -1 }, inputs: [], outputs: [], history: [],
  hover: null, dragRange: null,
  filter: null, // { group, keys }: of GROUPS
  search: { records: null, at: -1 }, // matches by start; null: no search
  showPath: false,
  lit: null, litGap: null, // 1: to be shown in full; null: all are
  table: { group: 'type', sort: 'total', descending: true },
  range: [-Infinity, Infinity], // that the table is of: the view, once it rests
  sums: new Map(), // rows of the table, by group, of the range
  stats: { load: 0, frames: [] }, // milliseconds
};

// ---- frames: at most one each time the screen is drawn, and none when nothing changes ----

const held = new Set(); // keys of movement that are down
let frameAsked = false;
let lastFrame = 0;
let glide = null; // { from, to, begin, time }: the view on its way

function askFrame() {
  if (!frameAsked)
    requestAnimationFrame(frame);
  frameAsked = true;
}

function frame(now) {
  frameAsked = false;
  moveByKeys(Math.min(50, now - lastFrame));
  moveByGlide(now);
  lastFrame = now;
  hoverAgain();
  const begin = performance.now();
  drawTimeline(byId('timeline'), state);
  drawMap(byId('minimap'), state);
  state.stats.frames.push(performance.now() - begin);
  if (state.stats.frames.length > 200)
    state.stats.frames.shift();
  if (held.size || glide)
    askFrame();
}

// ---- the view ----

const SHORTEST = 0.05; // µs on the screen

function setView(t0, t1) {
  const { begin, end } = state.model;
  const most = (end - begin) * 1.04;
  const span = Math.min(most, Math.max(SHORTEST, t1 - t0));
  const middleTime = Math.min(end, Math.max(begin, (t0 + t1) / 2));
  const from = Math.max(begin - most * 0.02, Math.min(end + most * 0.02 - span, middleTime - span / 2));
  state.view = { t0: from, t1: from + span };
  updateRange();
  askFrame();
}

const RANGE_WAIT = 150; // ms without a new view, until the table is of it
let rangeTimer = 0;

function updateRange() {
  clearTimeout(rangeTimer);
  rangeTimer = setTimeout(() => {
    const { t0, t1 } = state.view;
    if (t0 === state.range[0] && t1 === state.range[1])
      return;
    state.range = [t0, t1];
    state.sums.clear();
    fillTable(state, act);
  }, RANGE_WAIT);
}

function zoomAt(time, factor) {
  const { t0, t1 } = state.view;
  glide = null;
  setView(time - (time - t0) * factor, time + (t1 - time) * factor);
}

function pan(share) {
  const { t0, t1 } = state.view;
  glide = null;
  setView(t0 + share * (t1 - t0), t1 + share * (t1 - t0));
}

function glideTo(t0, t1) {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches)
    return setView(t0, t1);
  glide = { from: state.view, to: { t0, t1 }, begin: performance.now(), time: 180 };
  return askFrame();
}

function moveByGlide(now) {
  if (!glide)
    return;
  const { from, to, begin, time } = glide;
  const x = Math.min(1, Math.max(0, (now - begin) / time));
  const ease = x * x * (3 - 2 * x);
  if (x === 1)
    glide = null;
  setView(from.t0 + (to.t0 - from.t0) * ease, from.t1 + (to.t1 - from.t1) * ease);
}

const pointer = { x: -1, y: -1, clientX: 0, clientY: 0 }; // on the timeline; x < 0: elsewhere

function moveByKeys(ms) {
  const at = pointer.x >= state.layout.plotX ? xToTime(state, pointer.x) : (state.view.t0 + state.view.t1) / 2;
  if (held.has('w'))
    zoomAt(at, 0.996 ** ms);
  if (held.has('s'))
    zoomAt(at, 1.004 ** ms);
  if (held.has('a'))
    pan(-0.0011 * ms);
  if (held.has('d'))
    pan(0.0011 * ms);
}

// From `begin` to the end of the run, with a margin.
function wholeFrom(begin) {
  const margin = (state.model.end - begin) * 0.01;
  return [begin - margin, state.model.end + margin];
}

const fit = () => glideTo(...wholeFrom(state.model.begin));

// Brings [start, end] into view, as near as the view is; nearer when it would be too narrow to see.
function reveal(start, end) {
  const { t0, t1 } = state.view;
  const wide = ((end - start) / (t1 - t0)) * state.layout.plotW >= 6;
  const span = wide ? t1 - t0 : Math.max(SHORTEST, (end - start) * 40);
  if (!wide || start < t0 || end > t1)
    glideTo((start + end) / 2 - span / 2, (start + end) / 2 + span / 2);
}

// ---- selection ----

function select(what, index) {
  state.selected = { tile: what === 'tile' ? index : -1, gap: what === 'gap' ? index : -1 };
  state.inputs = what === 'tile' ? neighbours(state.model, index, false) : [];
  state.outputs = what === 'tile' ? neighbours(state.model, index, true) : [];
  fillDetails(state, act);
  if (what === 'tile')
    announce(`${tileName(state.model, index)}, ${workerOf(state.model, index)}, ${formatTime(state.model.tiles.end[index] - state.model.tiles.start[index])}; ${state.inputs.length} inputs, ${state.outputs.length} consumers`);
  else if (what === 'gap')
    announce(gapSentence(state.model, index));
  askFrame();
}

function selection() {
  const { tile, gap } = state.selected;
  return tile >= 0 ? ['tile', tile] : gap >= 0 ? ['gap', gap] : null;
}

function jump(what, index) {
  const before = selection();
  if (before)
    state.history.push(before);
  show(what, index);
}

function show(what, index) {
  const spans = what === 'tile' ? state.model.tiles : state.model.gaps;
  select(what, index);
  reveal(spans.start[index], spans.end[index]);
  revealLane(spans.worker[index]);
}

function revealLane(w) {
  const box = byId('timeline-box');
  const lane = state.layout.lanes[w];
  if (lane.y < box.scrollTop || lane.y + lane.h > box.scrollTop + box.clientHeight)
    box.scrollTop = lane.y - box.clientHeight / 2;
}

function back() {
  const before = state.history.pop();
  if (before)
    show(...before);
}

function toLastInput() {
  const { tile, gap } = state.selected;
  const to = tile >= 0 ? state.model.tiles.last[tile] : gap >= 0 ? state.model.gaps.culprit[gap] : -1;
  if (to >= 0)
    jump('tile', to);
}

// Of the consumers, the first that waited for this tile; else the first.
function toConsumer() {
  const { tile, gap } = state.selected;
  const waited = state.outputs.find((u) => state.model.tiles.last[u] === tile);
  const to = tile >= 0 ? waited ?? state.outputs[0] : gap >= 0 ? state.model.gaps.next[gap] : -1;
  if (to >= 0)
    jump('tile', to);
}

function focusOn() {
  const now = selection();
  if (!now)
    return;
  const spans = now[0] === 'tile' ? state.model.tiles : state.model.gaps;
  const [start, end] = [spans.start[now[1]], spans.end[now[1]]];
  glideTo(start - (end - start) * 2, end + (end - start) * 2);
}

function nextWait(by) {
  const { worst } = state;
  const at = worst.indexOf(state.selected.gap);
  if (worst.length)
    jump('gap', worst[at < 0 ? 0 : (at + by + worst.length) % worst.length]);
}

// The first tile that can be seen, where the keyboard starts.
function firstVisible() {
  const { tiles } = state.model;
  for (let w = 0; w < state.model.nWorkers; w++) {
    const r = Math.max(tiles.first[w], lastNotAfter(tiles.start, state.view.t0, tiles.first[w], tiles.first[w + 1]) + 1);
    if (r < tiles.first[w + 1])
      return r;
  }
  return -1;
}

function stepAlong(by) {
  const { tiles } = state.model;
  const r = state.selected.tile;
  if (r < 0) {
    const first = firstVisible();
    return first >= 0 && show('tile', first);
  }
  const to = r + by;
  return to >= 0 && to < tiles.n && tiles.worker[to] === tiles.worker[r] && show('tile', to);
}

// To the nearest worker above or below that has a tile, at about the same time.
function stepAcross(by) {
  const { tiles, nWorkers } = state.model;
  const r = state.selected.tile;
  if (r < 0)
    return stepAlong(1);
  for (let w = tiles.worker[r] + by; w >= 0 && w < nWorkers; w += by)
    if (tiles.first[w] < tiles.first[w + 1])
      return show('tile', Math.max(tiles.first[w], lastNotAfter(tiles.start, tiles.start[r], tiles.first[w], tiles.first[w + 1])));
  return undefined;
}

// ---- what is lit: filter, search and critical path together ----

function filterTest() {
  const { filter, model } = state;
  if (!filter)
    return { tile: () => true, gap: () => true };
  const group = GROUPS[filter.group];
  if (group.of !== 'gaps')
    return { tile: (r) => filter.keys.has(group.key(model, r)), gap: () => false };
  const gap = (g) => filter.keys.has(group.key(model, g));
  return { tile: filter.group === 'culprit' ? (r) => filter.keys.has(opOf(model, r).roleIndex) : () => false, gap };
}

function updateLit() {
  const { model, filter, search, showPath } = state;
  const active = filter || search.records || showPath;
  state.lit = active ? new Uint8Array(model.tiles.n) : null;
  state.litGap = active ? new Uint8Array(model.gaps.n) : null;
  if (active) {
    const test = filterTest();
    for (let r = 0; r < model.tiles.n; r++)
      state.lit[r] = test.tile(r) && (!showPath || model.onPath[r]) ? 1 : 0;
    if (search.records)
      keepOnly(state.lit, search.records);
    for (let g = 0; g < model.gaps.n && !search.records && !showPath; g++)
      state.litGap[g] = test.gap(g) ? 1 : 0;
  }
  state.mapBase = null;
  askFrame();
}

function keepOnly(lit, records) {
  const keep = new Uint8Array(lit.length);
  for (const r of records)
    keep[r] = lit[r];
  lit.set(keep);
}

function setFilter(filter) {
  state.filter = filter && filter.keys.size ? filter : null;
  updateLit();
  fillLegend(state, act);
  fillTable(state, act);
}

// A chip or row is replaced when pressed; the focus stays where it was.
function toggleFilter(group, key) {
  const keys = new Set(state.filter?.group === group ? state.filter.keys : []);
  const chips = [...document.querySelectorAll('#legend button')];
  const at = chips.indexOf(document.activeElement);
  if (!keys.delete(key))
    keys.add(key);
  setFilter({ group, keys });
  if (at >= 0)
    document.querySelectorAll('#legend button')[at].focus();
  announce(state.filter ? `${keys.size} of ${GROUPS[group].title} shown` : 'all shown');
}

function togglePath() {
  state.showPath = !state.showPath;
  byId('path-toggle').setAttribute('aria-pressed', String(state.showPath));
  announce(state.showPath ? `critical path shown: ${formatNumber(state.model.sums.pathTiles)} tiles, ${formatTime(state.model.sums.span)}` : 'critical path off');
  updateLit();
}

// ---- search ----

// "fc", "h3.q", "matmul 3", and tiles as they are called: "h3.q tile 12 (worker 1)", "h3.q:12", also
// "h3.q tile 12 on worker 1". All words must be in the op's name or type.
function parseQuery(text) {
  const pattern = /^(.*?)(?:(?::|(?:^|\s+)tile\s+)(\d+))?(?:(?:^|\s+)\(?(?:on\s+)?worker\s+(\d+)\)?)?$/;
  const [, words, place, worker] = pattern.exec(text.trim().toLowerCase());
  const number = (digits) => (digits === undefined ? -1 : Number(digits));
  return { words: words.split(/\s+/).filter(Boolean), place: number(place), worker: number(worker) };
}

// An op may itself be called like a tile: its whole name finds it, too.
function findRecords(text) {
  const { model, byStart } = state;
  const { words, place, worker } = parseQuery(text);
  const whole = text.trim().toLowerCase();
  const has = ({ name, type }, word) => name.toLowerCase().includes(word) || type.toLowerCase().includes(word);
  const opFits = model.ops.map((op) => words.every((w) => has(op, w)));
  const isNamed = model.ops.map(({ name }) => name.toLowerCase() === whole);
  return byStart.filter((r) => isNamed[model.tiles.op[r]] || (opFits[model.tiles.op[r]]
    && (place < 0 || placeOf(model, r) === place) && (worker < 0 || model.tiles.worker[r] === worker)));
}

function search(text) {
  state.search = { records: text.trim() ? findRecords(text) : null, at: -1 };
  showCount();
  updateLit();
}

function showCount() {
  const { records, at } = state.search;
  byId('search-count').textContent = !records ? '' : at < 0 ? `${records.length} found` : `${at + 1} of ${records.length}`;
}

function nextMatch(by) {
  const { records, at } = state.search;
  if (!records?.length)
    return;
  state.search.at = at < 0 ? (by > 0 ? firstMatchInView(records) : records.length - 1) : (at + by + records.length) % records.length;
  showCount();
  jump('tile', records[state.search.at]);
}

function firstMatchInView(records) {
  const at = records.findIndex((r) => state.model.tiles.start[r] >= state.view.t0);
  return Math.max(0, at);
}

// ---- table ----

function sortBy(key) {
  const { table } = state;
  table.descending = table.sort === key ? !table.descending : key !== 'name';
  table.sort = key;
  fillTable(state, act);
}

function showGroup(group) {
  const { table } = state;
  table.group = group;
  table.sort = group === 'layer' || group === 'worker' || group === 'step' ? 'name' : 'total';
  table.descending = table.sort !== 'name';
  fillTabs(state, act);
  fillTable(state, act);
  byId('tabs').querySelector('[aria-pressed=true]').focus();
}

const act = { toggleFilter, sortBy, showGroup, jump, focusOn, toLastInput, toConsumer, back, nextWait };

// ---- theme and size ----

function updateColors() {
  const roles = rolesOf(state.model);
  state.colors = { ...makeColors(roleColors(roles, darkWanted()), darkWanted()), roles };
  state.columnColors = columnColors(state.colors);
  state.slotOfOp = Int32Array.from(state.model.ops, (op) => state.colors.roles[op.roleIndex].slot);
  state.mapBase = null;
  fillLegend(state, act);
  fillTable(state, act);
  fillDetails(state, act);
  askFrame();
}

function toggleTheme() {
  document.documentElement.dataset.theme = darkWanted() ? 'light' : 'dark';
  updateColors();
}

function updateSize() {
  const box = byId('timeline-box');
  const rows = state.bands.reduce((most, b) => Math.max(most, b.row + 1), 1);
  const height = Math.max(260, Math.round(innerHeight * 0.52));
  state.dpr = Math.min(3, Math.max(1, devicePixelRatio || 1));
  state.layout = makeLayout(box.clientWidth, height, state.model.nWorkers, rows, ['ready', 'busy']);
  box.style.maxHeight = `${height}px`;
  state.mapBase = null;
  askFrame();
}

// ---- pointer on the timeline ----

function place(canvas, e) {
  const box = canvas.getBoundingClientRect();
  return { x: e.clientX - box.left, y: e.clientY - box.top };
}

let drag = null; // { x, y, view, range, moved }

function timelineDown(e) {
  if (e.button !== 0)
    return;
  const at = place(e.currentTarget, e);
  e.currentTarget.setPointerCapture(e.pointerId);
  drag = { ...at, view: state.view, range: e.shiftKey || at.y < AXIS, moved: false, scroll: byId('timeline-box').scrollTop, clientY: e.clientY };
}

function timelineMove(e) {
  const at = place(e.currentTarget, e);
  Object.assign(pointer, at, { clientX: e.clientX, clientY: e.clientY });
  if (!drag) {
    hover();
    return;
  }
  drag.moved ||= Math.abs(at.x - drag.x) > 3 || Math.abs(e.clientY - drag.clientY) > 6;
  if (!drag.moved)
    return;
  showTip(null);
  glide = null;
  if (drag.range) {
    state.dragRange = [drag.x, at.x];
    askFrame();
    return;
  }
  const { t0, t1 } = drag.view;
  const by = ((drag.x - at.x) / state.layout.plotW) * (t1 - t0);
  byId('timeline-box').scrollTop = drag.scroll - (e.clientY - drag.clientY);
  setView(t0 + by, t1 + by);
}

function timelineUp(e) {
  const was = drag;
  drag = null;
  if (!was)
    return;
  if (!was.moved)
    clickAt(place(e.currentTarget, e));
  else if (was.range && state.dragRange) {
    const [a, b] = state.dragRange.map((x) => xToTime(state, x)).sort((p, q) => p - q);
    glideTo(a, b);
  }
  state.dragRange = null;
  askFrame();
}

function hover() {
  const hit = hitTest(state, pointer.x, pointer.y);
  const same = state.hover && hit.what === state.hover.what && hit.index === state.hover.index;
  state.hover = hit;
  state.hoverView = state.view;
  showTip(describe(state, hit), pointer.clientX, pointer.clientY);
  if (!same)
    askFrame();
}

// When the view has moved under a pointer that rests, something else lies there.
function hoverAgain() {
  if (pointer.x >= 0 && !drag && state.hover && state.hoverView !== state.view)
    hover();
}

// The same when the lanes were scrolled.
function timelineScroll() {
  if (pointer.x < 0 || drag)
    return;
  pointer.y = pointer.clientY - byId('timeline').getBoundingClientRect().top;
  hover();
}

function clickAt(at) {
  const hit = hitTest(state, at.x, at.y);
  if (hit.what === 'tile' || hit.what === 'gap') {
    const before = selection();
    if (before)
      state.history.push(before);
    select(hit.what, hit.index);
  } else if (hit.what === 'step' && hit.index >= 0) {
    zoomAround(state.model.steps[hit.index]);
  } else if (hit.what === 'band' && hit.index >= 0) {
    zoomAround(state.bands[hit.index]);
  } else {
    select('none', -1);
  }
}

const zoomAround = ({ start, end }) => glideTo(start - (end - start) * 0.03, end + (end - start) * 0.03);

function timelineLeave() {
  pointer.x = -1;
  state.hover = null;
  showTip(null);
  askFrame();
}

function timelineWheel(e) {
  e.preventDefault();
  const unit = e.deltaMode === 1 ? 16 : e.deltaMode === 2 ? 200 : 1;
  const at = place(e.currentTarget, e);
  if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY))
    pan((((e.deltaX || e.deltaY) * unit) / state.layout.plotW));
  else
    zoomAt(xToTime(state, Math.max(state.layout.plotX, at.x)), 1.0018 ** (e.deltaY * unit));
}

// ---- pointer on the minimap: the window is moved, its edges too; elsewhere a new one is drawn ----

let mapDrag = null; // { what: 'move', 'left', 'right' or 'new', from, view }

function mapTime(e) {
  const box = byId('minimap').getBoundingClientRect();
  return state.model.begin + ((e.clientX - box.left) / box.width) * (state.model.end - state.model.begin);
}

function mapPart(e) {
  const map = byId('minimap');
  const x = e.clientX - map.getBoundingClientRect().left;
  const [x0, x1] = mapWindow(state, map.clientWidth);
  const whole = x0 <= 1 && x1 >= map.clientWidth - 1;
  if (Math.abs(x - x0) < 6)
    return 'left';
  if (Math.abs(x - x1) < 6)
    return 'right';
  return x > x0 && x < x1 && !whole ? 'move' : 'new';
}

function mapDown(e) {
  e.currentTarget.setPointerCapture(e.pointerId);
  mapDrag = { what: mapPart(e), from: mapTime(e), view: state.view };
  glide = null;
}

function mapMove(e) {
  if (!mapDrag) {
    e.currentTarget.style.cursor = { move: 'grab', new: 'crosshair' }[mapPart(e)] ?? 'ew-resize';
    return;
  }
  const { what, from, view: { t0, t1 } } = mapDrag;
  const t = mapTime(e);
  if (what === 'move')
    setView(t0 + t - from, t1 + t - from);
  else if (what === 'left')
    setView(Math.min(t, t1 - SHORTEST), t1);
  else if (what === 'right')
    setView(t0, Math.max(t, t0 + SHORTEST));
  else if (Math.abs(t - from) > (state.model.end - state.model.begin) / 500)
    setView(Math.min(t, from), Math.max(t, from));
}

// A click without a drag centres the view.
function mapUp(e) {
  const was = mapDrag;
  mapDrag = null;
  if (!was || was.what !== 'new' || state.view !== was.view)
    return;
  const half = (state.view.t1 - state.view.t0) / 2;
  glideTo(mapTime(e) - half, mapTime(e) + half);
}

// ---- keyboard ----

const TIMELINE_KEYS = {
  ArrowLeft: () => stepAlong(-1), ArrowRight: () => stepAlong(1), ArrowUp: () => stepAcross(-1), ArrowDown: () => stepAcross(1),
  Enter: focusOn, Home: () => glideTo(state.model.begin, state.model.begin + state.view.t1 - state.view.t0),
  End: () => glideTo(state.model.end - (state.view.t1 - state.view.t0), state.model.end),
};

const PAGE_KEYS = {
  '[': toLastInput, ']': toConsumer, Backspace: back, f: focusOn, g: () => nextWait(1), G: () => nextWait(-1), 0: fit,
  c: togglePath, t: toggleTheme, '?': () => byId('help').showModal(), '/': () => byId('search').focus(), Escape: clearAll,
};

function clearAll() {
  state.hover = null;
  showTip(null);
  byId('search').value = '';
  search('');
  setFilter(null);
  select('none', -1);
}

function keyDown(e) {
  if (e.ctrlKey || e.altKey || e.metaKey || byId('help').open || e.target.matches('input[type=search]'))
    return;
  const key = e.key.length === 1 && e.key !== 'G' ? e.key.toLowerCase() : e.key;
  const onTimeline = e.target === byId('timeline') || e.target === document.body;
  const action = (onTimeline && TIMELINE_KEYS[key]) || PAGE_KEYS[key];
  if ('wasd'.includes(key) && key.length === 1) {
    if (!held.size)
      lastFrame = performance.now();
    held.add(key);
    askFrame();
  } else if (action) {
    e.preventDefault();
    action();
  }
}

function searchKey(e) {
  if (e.key === 'Enter')
    nextMatch(e.shiftKey ? -1 : 1);
  else if (e.key === 'Escape') {
    clearAll();
    byId('timeline').focus();
  }
}

function listen() {
  const timeline = byId('timeline');
  const map = byId('minimap');
  timeline.addEventListener('pointerdown', timelineDown);
  timeline.addEventListener('pointermove', timelineMove);
  timeline.addEventListener('pointerup', timelineUp);
  timeline.addEventListener('pointercancel', () => { drag = null; state.dragRange = null; });
  timeline.addEventListener('pointerleave', timelineLeave);
  timeline.addEventListener('dblclick', focusOn);
  timeline.addEventListener('wheel', timelineWheel, { passive: false });
  byId('timeline-box').addEventListener('scroll', timelineScroll);
  map.addEventListener('pointerdown', mapDown);
  map.addEventListener('pointermove', mapMove);
  map.addEventListener('pointerup', mapUp);
  map.addEventListener('pointercancel', () => { mapDrag = null; });
  addEventListener('keydown', keyDown);
  addEventListener('keyup', (e) => held.delete(e.key.toLowerCase()));
  addEventListener('blur', () => held.clear());
  byId('search').addEventListener('input', (e) => search(e.target.value));
  byId('search').addEventListener('keydown', searchKey);
  byId('search-next').addEventListener('click', () => nextMatch(1));
  byId('search-prev').addEventListener('click', () => nextMatch(-1));
  byId('path-toggle').addEventListener('click', togglePath);
  byId('fit').addEventListener('click', fit);
  byId('theme').addEventListener('click', toggleTheme);
  byId('help-open').addEventListener('click', () => byId('help').showModal());
  byId('clear-filter').addEventListener('click', () => setFilter(null));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', updateColors);
  new ResizeObserver(updateSize).observe(byId('timeline-box'));
  addEventListener('resize', updateSize);
}

// ---- start ----

function derive(model) {
  model.onPath = criticalPath(model);
  model.gaps = findGaps(model);
  model.tracks = makeTracks(model);
  const { tiles } = model;
  state.model = model;
  state.byStart = mergeByStart(model);
  state.pathRecords = state.byStart.filter((r) => model.onPath[r]);
  state.pathStarts = Float64Array.from(state.pathRecords, (r) => tiles.start[r]);
  state.bands = layerBands(model);
  let latest = -Infinity;
  state.bandEnds = Float64Array.from(state.bands, (b) => (latest = Math.max(latest, b.end)));
  state.worst = worstGaps(model, 50);
  state.laneNotes = Array.from({ length: model.nWorkers }, (_, w) => {
    const busy = model.sums.busy[w];
    return busy > 0 ? `busy ${formatShare(busy / model.sums.wall)}` : w < model.facts.awake ? 'no tiles' : 'not awake';
  });
}

function start() {
  const begin = performance.now();
  const source = byId('trace');
  derive(readModel(source.textContent));
  source.remove(); // its memory is not needed twice
  const { model } = state;
  fillHeader(model);
  fillTabs(state, act);
  fillHelp();
  updateSize();
  setView(...wholeFrom(model.steps.find((s) => s.counts && s.end > s.start)?.start ?? model.begin)); // steps that only load are on the minimap
  updateColors();
  listen();
  byId('message').hidden = model.tiles.n > 0;
  frame(performance.now());
  state.stats.load = performance.now() - begin;
}

// Lets the browser show the page before a large trace is read.
requestAnimationFrame(() => setTimeout(start));
