// panes.js - everything that is DOM: header, legend, table, details, tooltip, help. Texts from the file go
// in as text nodes alone. What a button does is a function of main.js, which is given as `act`.

const byId = (id) => document.getElementById(id);

// An element with properties (and aria-* or data-* attributes) and children.
function el(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key.includes('-') || key === 'role' || key === 'scope')
      e.setAttribute(key, value);
    else
      e[key] = value;
  }
  e.append(...children.filter((c) => c !== null));
  return e;
}

const button = (text, onclick, props = {}) => el('button', { type: 'button', onclick, ...props }, text);
const facts = (rows) => rows.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]);

function swatch(color, className = 'swatch') {
  const e = el('span', { className, 'aria-hidden': 'true' });
  e.style.background = color;
  return e;
}

function announce(text) {
  byId('live').textContent = text;
}

const darkWanted = () => {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
};

// ---- header ----

// What each word means, as docs/formats/trace-format.md has it.
const WORDS = {
  'wall time': 'from the start of the first step to the end of the last',
  'in steps': 'the time of the steps that evaluate tokens, added up; all figures but loading are of these steps',
  work: 'time of all tiles of these steps, without preemption',
  'critical path': 'the span: of each step the longest chain of tiles over the plan\'s edges, by time without preemption; added up',
  parallelism: 'work / critical path: so many workers could be busy if none ever waited for anything else',
  'workers busy': 'work / time in steps: so many workers were in a tile, and on a CPU, on average',
  loading: 'time of the tiles that fill weights from a file, in all steps, without preemption',
  limits: 'what the machine can do was measured after the run',
};

function beyondText({ sums: { beyond }, table }) {
  const rate = (x) => `${formatNumber(100 * x)} %`;
  const name = table.roles[beyond.group];
  return beyond.certain ? `${name} computes at ${rate(beyond.fma)} of them: measured beside other work`
    : `${name} reads at ${rate(beyond.read)} of them: from caches, or measured beside other work`;
}

function runFacts(model) {
  const { facts: f, sums } = model;
  const rows = [
    ['model', f.model || '—'],
    ['workers', f.awake && f.awake < model.nWorkers ? `${model.nWorkers}, ${f.awake} awake` : String(model.nWorkers)],
    ['schedule', f.sched || '—'],
    ['instructions', f.isa || '—'],
    ['wall time', formatTime(sums.elapsed)],
    ['in steps', formatTime(sums.wall)],
    ['steps', formatNumber(sums.steps)],
    ['tiles', formatNumber(sums.tiles)],
    ['work', formatTime(sums.work)],
    ['critical path', sums.wall > 0 ? `${formatTime(sums.span)}, ${formatShare(sums.span / sums.wall)} of the steps` : '—'],
    ['parallelism', formatNumber(sums.parallelism)],
    ['workers busy', `${formatNumber(sums.busyWorkers)} of ${f.awake}`],
    ['loading', sums.loadTiles ? `${formatTime(sums.loading)} in tiles, ${formatShare(sums.loading / (sums.all || 1))} of all tile time` : '—'],
  ];
  if (f.dropped > 0)
    rows.push(['not recorded', `${formatNumber(f.dropped)} tiles`]);
  if (sums.beyond)
    rows.push(['limits', beyondText(model)]);
  return rows;
}

function fillHeader(model) {
  byId('model-name').textContent = model.facts.command;
  byId('model-name').title = model.facts.whole;
  byId('facts').replaceChildren(...runFacts(model).map((row) => el('div', { title: WORDS[row[0]] ?? '' }, ...facts([row]))));
}

// ---- legend ----

const MAX_LEGEND = 24;

// A button that shows only its tiles or gaps; several can be on.
function legendButton(s, act, group, key, color, name, about) {
  const on = s.filter?.group === group && s.filter.keys.has(key);
  return el('button', {
    type: 'button', 'aria-pressed': String(on), title: about, className: 'chip', onclick: () => act.toggleFilter(group, key),
  }, swatch(color), name);
}

function fillLegend(s, act) {
  const { colors, model } = s;
  const types = new Map();
  const named = colors.roles.map((role, i) => ({ ...role, i })).filter((role) => role.slot >= 0).sort((a, b) => a.slot - b.slot);
  const computing = named.filter((role) => !role.loads);
  computing.slice(0, MAX_LEGEND).forEach((role) => {
    if (!types.has(role.type))
      types.set(role.type, []);
    types.get(role.type).push(legendButton(s, act, 'role', role.i, colors.slots[role.slot].css, role.name, `${role.type}: show only ${role.name}`));
  });
  const groups = [...types].map(([type, chips]) => el('span', { className: 'group', role: 'group', 'aria-label': type },
    chips.length > 1 || computing.find((r) => r.type === type).name !== type ? el('span', { className: 'type' }, type) : null, ...chips));
  const rest = computing.length - MAX_LEGEND;
  if (rest > 0)
    groups.push(el('span', { className: 'group' }, `and ${rest} more`));
  const loading = named.find((role) => role.loads);
  if (loading)
    groups.push(el('span', { className: 'group', role: 'group', 'aria-label': 'loading' },
      legendButton(s, act, 'loads', 1, colors.slots[loading.slot].css, 'loading', 'show only tiles that fill weights from a file')));
  if (model.tiles.n)
    groups.push(el('span', { className: 'group', role: 'group', 'aria-label': 'idle' }, el('span', { className: 'type' }, 'idle'),
      ...REASONS.slice(0, BETWEEN).map((reason, i) => legendButton(s, act, 'idle', i, colors.reasons[i].css, reason.name, reason.about)),
      el('span', { className: 'note' }, 'plain: awake · hatched: parked · dark strip: preempted for that share')));
  byId('legend').replaceChildren(...groups);
}

// ---- table ----

const MAX_ROWS = 400;
const number = (format) => (x) => (x === null ? '—' : format(x));
const states = (suffix, text) => [
  { key: `queue${suffix}`, title: 'Queue', text, about: 'at work on counts and queues' },
  { key: `spinning${suffix}`, title: 'Spinning', text, about: 'polling the queues without finding a tile' },
  { key: `parked${suffix}`, title: 'Parked', text, about: 'asleep' },
];
const COLUMNS = {
  tiles: [
    { key: 'count', title: 'Tiles', text: number(formatNumber) },
    { key: 'total', title: 'Total', text: number(formatTime), about: 'time of tiles without preemption, of all workers, added up' },
    { key: 'share', title: 'Share', text: number(formatShare), bar: true, about: 'of all time in tiles' },
    { key: 'mean', title: 'Mean', text: number(formatTime), about: 'without preemption' },
    { key: 'max', title: 'Longest', text: number(formatTime), jump: true, about: 'without preemption' },
    { key: 'pathShare', title: 'On path', text: number(formatShare), about: 'of the time of the critical path' },
    { key: 'gbps', title: 'GB/s', text: number(formatNumber), about: 'bytes by the op\'s cost function, over time in one worker' },
    { key: 'ofRead', title: 'of reading', text: number(formatShare), about: 'if all awake workers went at this rate: of what this machine was measured to read; above 100 % comes from caches' },
    { key: 'gflops', title: 'GFLOP/s', text: number(formatNumber), about: 'over time in one worker' },
    { key: 'ofFma', title: 'of FMA', text: number(formatShare), about: 'if all awake workers went at this rate: of what this machine was measured to multiply and add' },
  ],
  gaps: [
    { key: 'count', title: 'Gaps', text: number(formatNumber) },
    { key: 'total', title: 'Total', text: number(formatTime), about: 'time of workers, added up' },
    { key: 'share', title: 'Share', text: number(formatShare), bar: true, about: 'of all gaps in this table' },
    { key: 'mean', title: 'Mean', text: number(formatTime) },
    { key: 'max', title: 'Longest', text: number(formatTime), jump: true },
    ...states('', number(formatTime)),
  ],
  workers: [
    { key: 'count', title: 'Tiles', text: number(formatNumber) },
    { key: 'total', title: 'Busy', text: number(formatTime), about: 'in tiles, without preemption' },
    { key: 'totalOfWall', title: 'Busy %', text: number(formatShare), bar: true, about: 'of the time in steps' },
    { key: 'max', title: 'Longest', text: number(formatTime), jump: true, about: 'the longest tile' },
    ...states('OfWall', number(formatShare)),
    { key: 'preemptedOfWall', title: 'Preempted', text: number(formatShare), about: 'not on a CPU, in tiles and between them' },
    { key: 'outsideOfWall', title: 'Outside', text: number(formatShare), about: 'the step ran, but the worker was not in it' },
  ],
};

const CAPTIONS = {
  tiles: 'Tick rows to show only their tiles. Rates are of one worker; “of reading” and “of FMA” compare all awake workers at that rate with the machine\'s measured limits.',
  gaps: 'Tick rows to show only these gaps. A gap is a time in which a worker ran no tile.',
  workers: 'Tick rows to show only their tiles. Shares are of the time in steps.',
};

// What the sums are of: the range in view, or all of the run where all its steps that count are in view.
function rangeText({ model, range }) {
  const { rows, wall } = addUp(model, GROUPS.worker, range);
  const work = rows.reduce((sum, row) => sum + row.total, 0);
  const path = rows.reduce((sum, row) => sum + row.path, 0);
  const whole = model.steps.every((step) => !step.counts || (step.start >= range[0] && step.end <= range[1]));
  const what = whole ? 'The whole run' : `In view, from ${formatClock(Math.max(range[0], model.begin))} on`;
  return `${what}: ${formatTime(wall)} in steps, work ${formatTime(work)}, ${formatNumber(wall > 0 ? work / wall : 0)} of ${model.facts.awake} workers busy, critical path ${formatTime(path)}.`;
}

function tableRows(s) {
  const { group, sort, descending } = s.table;
  if (!s.sums.has(group))
    s.sums.set(group, addUp(s.model, GROUPS[group], s.range).rows);
  const value = (row) => (sort === 'name' ? row.key : row[sort] ?? -1);
  const rows = s.sums.get(group).slice().sort((a, b) => value(a) - value(b));
  return descending ? rows.reverse() : rows;
}

function headCell(s, act, { key, title, about = '' }) {
  const sorted = s.table.sort === key;
  const order = sorted ? (s.table.descending ? 'descending' : 'ascending') : 'none';
  return el('th', { scope: 'col', 'aria-sort': order, title: about },
    button(`${title}${sorted ? (s.table.descending ? ' ▾' : ' ▴') : ''}`, () => act.sortBy(key), { 'data-key': key }));
}

function rowColor(s, group, key) {
  const { colors, model } = s;
  if (group === 'idle')
    return colors.reasons[key].css;
  const role = { role: key, culprit: key, op: group === 'op' ? model.ops[key].roleIndex : -1 }[group]
    ?? (group === 'type' ? colors.roles.findIndex((r) => r.typeIndex === key) : -1);
  return colors.slots[colors.roles[role]?.slot]?.css ?? null;
}

function valueCell(s, act, row, column) {
  const text = column.text(row[column.key]);
  const cell = el('td');
  if (column.jump && row.worst >= 0)
    cell.append(button(text, () => act.jump(GROUPS[s.table.group].of === 'gaps' ? 'gap' : 'tile', row.worst),
      { className: 'link', 'aria-label': `${text}: go to the longest of ${row.name}` }));
  else
    cell.append(text);
  if (column.bar) {
    const bar = el('span', { className: 'bar', 'aria-hidden': 'true' });
    bar.style.width = `${Math.round(row[column.key] * 56)}px`;
    cell.prepend(bar);
  }
  return cell;
}

function bodyRow(s, act, row) {
  const { group } = s.table;
  const on = s.filter?.group === group && s.filter.keys.has(row.key);
  const color = rowColor(s, group, row.key);
  const box = el('input', { type: 'checkbox', checked: on, onchange: () => act.toggleFilter(group, row.key) });
  const name = el('label', {}, box, color ? swatch(color) : null, el('span', {}, row.name));
  return el('tr', { className: on ? 'on' : '' }, el('th', { scope: 'row' }, name),
    ...COLUMNS[GROUPS[group].of].map((column) => valueCell(s, act, row, column)));
}

function fillTable(s, act) {
  const { of, title } = GROUPS[s.table.group];
  const rows = tableRows(s);
  const table = byId('table');
  const focus = table.contains(document.activeElement) ? focusPath(table) : null;
  byId('range').textContent = rangeText(s);
  table.caption.textContent = CAPTIONS[of] + (rows.length > MAX_ROWS ? ` The first ${MAX_ROWS} of ${rows.length} rows are shown.` : '');
  table.tHead.replaceChildren(el('tr', {}, headCell(s, act, { key: 'name', title }), ...COLUMNS[of].map((c) => headCell(s, act, c))));
  table.tBodies[0].replaceChildren(...rows.slice(0, MAX_ROWS).map((row) => bodyRow(s, act, row)));
  if (!rows.length)
    table.tBodies[0].append(el('tr', {}, el('td', { colSpan: COLUMNS[of].length + 1 }, of === 'gaps' ? 'No gaps.' : 'No tiles.')));
  byId('clear-filter').hidden = !s.filter;
  if (focus)
    table.rows[focus.row]?.cells[focus.cell]?.querySelector('input, button')?.focus();
}

// Which cell has the focus: the rows are made anew when something changes.
function focusPath(table) {
  const cell = document.activeElement.closest('th, td');
  return { row: [...table.rows].indexOf(cell.parentElement), cell: cell.cellIndex };
}

function fillTabs(s, act) {
  byId('tabs').replaceChildren(...Object.entries(GROUPS).map(([group, { title }]) =>
    button(title, () => act.showGroup(group), { 'aria-pressed': String(s.table.group === group), 'data-group': group })));
}

// ---- facts of one thing: for the tooltip and the details ----

function tileFacts(s, r) {
  const { tiles, steps, facts: { overhead } } = s.model;
  const op = opOf(s.model, r);
  const plan = planOf(s.model, r);
  const time = tiles.end[r] - tiles.start[r];
  const onCpu = time - tiles.preempted[r];
  const last = tiles.last[r];
  const t = tiles.tile[r];
  const [r0, r1, c0, c1] = plan.box.subarray(4 * t, 4 * t + 4);
  const rows = [
    ['type', op.layer < 0 ? op.type : `${op.type}, layer ${op.layer}`],
    ['took', formatTime(time) + (overhead > 0 && time < 20 * overhead ? ` (recording it: about ${formatTime(overhead)})` : '')],
    ['started', formatClock(tiles.start[r])],
    ['ready', tiles.start[r] - tiles.ready[r] < GRAIN ? 'when it started' : `${formatTime(tiles.start[r] - tiles.ready[r])} before it started`],
    ['last input', last < 0 ? 'none' : `${tileName(s.model, last)} (${workerOf(s.model, last)})`],
    ['writes', `row ${formatRange(r0, r1)}, column ${formatRange(c0, c1)}`],
    ['ran on', `${workerOf(s.model, r)}${plan.home[t] !== tiles.worker[r] ? `, at home on worker ${plan.home[t]}` : ''}`],
    ['step', `${steps[tiles.step[r]].label}, its plan\'s tile ${t} of ${plan.n}`],
    ['moves', `${formatBytes(tiles.bytes[r])}${onCpu > 0 ? `, ${formatNumber(tiles.bytes[r] / onCpu / 1000)} GB/s` : ''}`],
    ['computes', `${formatNumber(tiles.flops[r])} flop${onCpu > 0 ? `, ${formatNumber(tiles.flops[r] / onCpu / 1000)} GFLOP/s` : ''}`],
  ];
  if (tiles.preempted[r] > 0)
    rows.push(['preempted', `for ${formatTime(tiles.preempted[r])} of it`]);
  if (s.model.onPath[r])
    rows.push(['critical path', 'yes']);
  return rows;
}

function gapFacts(s, g) {
  const { gaps, tracks, steps } = s.model;
  const [start, end] = [gaps.start[g], gaps.end[g]];
  const rows = [['why', REASONS[gaps.why[g]].name], ['took', formatTime(end - start)], ['started', formatClock(start)]];
  const how = HOW.filter((h) => gaps[h][g] > GRAIN).map((h) => `${h} ${formatTime(gaps[h][g])}`);
  if (how.length)
    rows.push(['spent', how.join(', ')]);
  if (gaps.preempted[g] > 0)
    rows.push([wasWoken(gaps, g) ? 'woken, no CPU' : 'preempted', `for ${formatTime(gaps.preempted[g])} of it`]);
  if (gaps.next[g] >= 0)
    rows.push(['ran next', tileName(s.model, gaps.next[g])]);
  if (gaps.why[g] === INPUT)
    rows.push(['no tile ready', `${formatShare(trackZero(tracks.ready, start, end) / (end - start))} of the time, on any worker`]);
  if (gaps.step[g] >= 0)
    rows.push(['step', steps[gaps.step[g]].label]);
  return rows;
}

function stepFacts(s, i) {
  const step = s.model.steps[i];
  const { spans, tiles } = s.model;
  const work = step.record.reduce((sum, r) => sum + tiles.end[r] - tiles.start[r] - tiles.preempted[r], 0);
  let [inside, cpu, preemptions] = [0, 0, 0];
  for (let v = 0; v < spans.n; v++)
    if (spans.step[v] === i) {
      inside += spans.end[v] - spans.start[v];
      cpu += spans.cpu[v];
      preemptions += spans.preemptions[v];
    }
  return [['took', formatTime(step.end - step.start)], ['started', formatClock(step.start)],
    ['critical path', `${formatTime(step.path)}, ${formatShare(step.path / (step.end - step.start || 1))}`],
    ['workers busy', `${formatNumber(work / (step.end - step.start || 1))} on average`],
    ['on a CPU', `${formatShare(cpu / (inside || 1))} of the workers' time in it`],
    ['preemptions', formatNumber(preemptions)]];
}

// Title, sentence and facts of what is under the pointer; null: nothing to say.
function describe(s, hit) {
  const { model } = s;
  const { what, index, time } = hit;
  if (what === 'tile')
    return { title: tileName(model, index), rows: tileFacts(s, index) };
  if (what === 'gap')
    return { title: gapSentence(model, index), rows: gapFacts(s, index) };
  if (what === 'step' && index >= 0)
    return { title: model.steps[index].title, rows: stepFacts(s, index) };
  if (what === 'band' && index >= 0) {
    const b = s.bands[index];
    return { title: b.layer < 0 ? b.name : `layer ${b.layer}`, rows: [['from first to last tile', formatTime(b.end - b.start)], ['step', model.steps[b.step].label]] };
  }
  if (what === 'ready' || what === 'busy') {
    const half = (s.view.t1 - s.view.t0) / s.layout.plotW / 2;
    const mean = trackMean(model.tracks[what], time - half, time + half);
    return { title: what === 'ready' ? 'Tiles ready, not yet started' : 'Workers in a tile', rows: [['mean over this pixel', formatNumber(mean)], ['most in the run', String(model.tracks[what].max)]] };
  }
  return null;
}

// `about`: as describe() says it.
function showTip(about, x, y) {
  const tip = byId('tip');
  tip.hidden = !about;
  if (!about)
    return;
  tip.replaceChildren(el('b', {}, about.title), el('dl', {}, ...facts(about.rows)));
  const { offsetWidth: w, offsetHeight: h } = tip;
  tip.style.left = `${Math.max(4, x + 16 + w > innerWidth ? x - w - 12 : x + 16)}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 16, innerHeight - h - 6))}px`;
}

// ---- details ----

const MAX_LIST = 60;

function tileButton(s, act, r, note = '') {
  const { tiles } = s.model;
  return el('li', {}, el('button', { type: 'button', className: 'item', onclick: () => act.jump('tile', r) },
    swatch(s.colors.slots[slotOf(s, r)].css), el('span', {}, tileName(s.model, r)),
    el('small', {}, `worker ${tiles.worker[r]} · ${formatTime(tiles.end[r] - tiles.start[r])}${note}`)));
}

function tileList(s, act, title, className, records, note) {
  const items = records.slice(0, MAX_LIST).map((r) => tileButton(s, act, r, note(r)));
  if (records.length > MAX_LIST)
    items.push(el('li', {}, `and ${records.length - MAX_LIST} more`));
  return el('section', { className }, el('h3', {}, `${title} (${records.length})`),
    records.length ? el('ul', {}, ...items) : el('p', {}, 'none'));
}

function tileDetails(s, act, r) {
  const { last } = s.model.tiles;
  return [
    el('h2', {}, swatch(s.colors.slots[slotOf(s, r)].css), tileName(s.model, r)),
    el('div', { className: 'row' }, button('Zoom to it', () => act.focusOn(), { title: 'f' }),
      button('Last input', () => act.toLastInput(), { title: '[', disabled: last[r] < 0 }),
      button('First consumer', () => act.toConsumer(), { title: ']', disabled: !s.outputs.length }),
      button('Back', () => act.back(), { title: 'Backspace', disabled: !s.history.length })),
    el('dl', {}, ...facts(tileFacts(s, r))),
    tileList(s, act, 'Inputs', 'inputs', s.inputs, (u) => (last[r] === u ? ' · written last' : '')),
    tileList(s, act, 'Consumers', 'outputs', s.outputs, (u) => (last[u] === r ? ' · waited for this' : '')),
  ];
}

function gapDetails(s, act, g) {
  const { gaps } = s.model;
  const jumps = [];
  if (gaps.culprit[g] >= 0)
    jumps.push(tileButton(s, act, gaps.culprit[g], ' · waited for'));
  if (gaps.next[g] >= 0)
    jumps.push(tileButton(s, act, gaps.next[g], ' · ran next'));
  return [
    el('h2', {}, gapSentence(s.model, g)),
    el('div', { className: 'row' }, button('Zoom to it', () => act.focusOn(), { title: 'f' }),
      button('Next long wait', () => act.nextWait(1), { title: 'g' }),
      button('Back', () => act.back(), { title: 'Backspace', disabled: !s.history.length })),
    el('dl', {}, ...facts(gapFacts(s, g))),
    el('ul', {}, ...jumps),
  ];
}

function overview(s, act) {
  const items = s.worst.slice(0, 12).map((g) => el('li', {},
    el('button', { type: 'button', className: 'item', onclick: () => act.jump('gap', g) },
      swatch(s.colors.reasons[INPUT].css), el('span', {}, gapSentence(s.model, g)))));
  return [
    el('h2', {}, 'Why was a worker idle?'),
    el('p', {}, items.length ? 'The longest waits for a tile. Choose one, hover over any gap, or press g.' : 'No worker waited for a tile.'),
    el('ul', {}, ...items),
    el('p', { className: 'note' }, 'Click a tile to see what it waited for and who waited for it.'),
  ];
}

function fillDetails(s, act) {
  const { tile, gap } = s.selected;
  const pane = byId('details');
  const inside = pane.contains(document.activeElement);
  pane.replaceChildren(...(tile >= 0 ? tileDetails(s, act, tile) : gap >= 0 ? gapDetails(s, act, gap) : overview(s, act)));
  pane.scrollTop = 0;
  if (inside)
    pane.querySelector('button:not(:disabled)')?.focus();
}

// ---- help ----

const KEYS = [
  ['W S', 'zoom in and out at the pointer'], ['A D', 'move left and right'], ['wheel', 'zoom; with Shift move'],
  ['drag', 'move; on the axis, or with Shift, choose a range to zoom to'], ['← →', 'previous and next tile of the worker'],
  ['↑ ↓', 'the tile of the worker above or below'], ['[', 'to the input that was written last'],
  [']', 'to the consumer that started first'], ['Backspace', 'back to the tile before'], ['F', 'zoom to the selection'],
  ['G  Shift+G', 'next and previous of the longest waits'], ['0', 'the whole run'], ['C', 'critical path'],
  ['/', 'search; Enter for the next match, Shift+Enter for the one before'], ['T', 'light or dark'],
  ['Esc', 'clear selection, search and filter'], ['?', 'this list'],
];

function fillHelp() {
  const rows = KEYS.map(([key, what]) => el('tr', {}, el('th', { scope: 'row' }, ...key.split(/ +/).map((k) => el('kbd', {}, k))), el('td', {}, what)));
  const help = byId('help');
  help.replaceChildren(el('h2', { id: 'help-title' }, 'Keys'), el('table', {}, el('tbody', {}, ...rows)),
    button('Close', () => help.close()));
}
