// The server's page, on the code of the trace viewer (tools/viewer: model.js, facts.js, draw.js, panes.js):
//   lanes.js  what /trace answers, as a model   texts.js  requests, and their texts
//   page.js   state, keyboard, and when to ask and to draw

const state = {
  model: null, view: null, layout: null, colors: null, columnColors: null, dpr: 1, strips: null, bands: [], bandEnds: [], laneNotes: [],
  selected: { tile: -1, gap: -1 }, hover: null, lit: null, litGap: null,
  steps: [], since: null, nWorkers: 0, slots: new Slots(),
  texts: [], // of the request that was made last
  writing: null, // what stops it
  held: false, // the steps on the screen stay
};

// ---- writing ----

function setWriting(controller) {
  state.writing = controller;
  byId('write').setAttribute('aria-disabled', String(Boolean(controller)));
  byId('stop').setAttribute('aria-disabled', String(!controller));
  byId('texts').setAttribute('aria-busy', String(Boolean(controller)));
}

function say(text) {
  byId('status').textContent = text;
  announce(text);
}

function endText(usage, began) {
  const seconds = (performance.now() - began) / 1000;
  const n = usage.completion_tokens;
  say(`${formatNumber(n)} tokens in ${formatNumber(seconds)} s, ${formatNumber(n / seconds)} a second`);
}

async function write() {
  if (state.writing)
    return;
  const controller = new AbortController();
  const began = performance.now();
  setWriting(controller);
  byId('error').textContent = '';
  byId('status').textContent = 'writing';
  lookSoon();
  try {
    endText(await writeTexts(readForm(), controller.signal, markTexts), began);
  } catch (e) {
    say(controller.signal.aborted ? 'stopped' : '');
    byId('error').textContent = controller.signal.aborted ? '' : e instanceof TypeError ? NEVER : e.message;
  }
  setWriting(null);
  if (!byId('key-field').hidden && byId('error').textContent.startsWith('401'))
    byId('key').focus();
}

function stop() {
  state.writing?.abort();
}

// The texts have the colours of their rows.
function markTexts(texts) {
  state.texts = texts;
  for (const text of texts)
    if (text.name)
      text.mark.style.background = state.colors.slots[state.slots.of(text.name)].css;
}

// ---- looking: a question after another, while the page can be seen ----

const [OFTEN, SELDOM] = [150, 600]; // ms
let timer = 0;
let looking = false;

function lookAfter(ms) {
  clearTimeout(timer);
  timer = setTimeout(look, ms);
}

const lookSoon = () => looking || lookAfter(0);

async function look() {
  if (looking || state.held || document.hidden)
    return;
  looking = true;
  let came = 0;
  try {
    const after = state.steps.length ? state.steps[state.steps.length - 1].number : 0;
    const response = await fetch(`trace?after=${after}`, { headers: headers(), cache: 'no-store' });
    byId('watching').textContent = response.ok ? '' : await refusalOf(response);
    if (response.ok)
      came = takeSteps(await response.json());
    if (response.ok && !byId('model-name').textContent)
      nameModel();
  } catch (e) {
    byId('watching').textContent = e instanceof TypeError ? NEVER : e.message;
  }
  looking = false;
  lookAfter(came || state.writing ? OFTEN : SELDOM);
}

async function nameModel() {
  const { data } = await (await fetch('v1/models', { headers: headers() })).json();
  byId('model-name').textContent = plainText(data[0].id);
}

// Returns how many are new. A server that was started again counts from 1.
function takeSteps(answer) {
  if (answer.since !== state.since)
    state.steps = [];
  state.since = answer.since;
  state.nWorkers = answer.workers;
  state.steps.push(...answer.steps.map(readStep));
  state.steps.splice(0, state.steps.length - MAX_STEPS);
  if (answer.steps.length && !state.held)
    showSteps();
  return answer.steps.length;
}

// ---- the lanes ----

function showSteps() {
  const steps = lastSteps(state.steps, Number(byId('shown').value));
  if (!steps.length)
    return;
  state.slots.keep(new Set([...steps.flatMap((s) => s.owners), ...state.texts.map((t) => t.name)]));
  state.model = liveModel(steps, state.nWorkers, state.slots);
  state.strips = state.model.strips;
  state.bands = layerBands(state.model);
  let latest = -Infinity;
  state.bandEnds = Float64Array.from(state.bands, (b) => (latest = Math.max(latest, b.end)));
  const { begin, end } = state.model;
  state.view = { t0: begin - (end - begin) * 0.005, t1: end + (end - begin) * 0.005 };
  state.laneNotes = state.model.busy.map((busy) => `busy ${formatShare(busy / state.model.took)}`);
  state.hover = null;
  showTip(null);
  fillTexts();
  fillSteps();
  updateSize();
}

function nameOf(text) {
  const i = state.texts.findIndex((t) => t.name === text);
  return i < 0 ? `another request's ${text}` : `text ${i + 1}`;
}

function fillTexts() {
  const texts = [...new Set(state.model.steps.flatMap((s) => s.owners))];
  byId('legend').replaceChildren(...texts.map((text) => el('span', { className: 'chip' }, swatch(state.colors.slots[state.slots.of(text)].css), nameOf(text))));
  markTexts(state.texts);
}

function fillSteps() {
  const { steps, nWorkers } = state.model;
  const table = byId('table');
  const row = (s) => [formatTime(s.end - s.start), String(s.owners.length), String(new Set(s.owners).size), formatNumber(s.n),
    formatShare(s.busy.reduce((sum, t) => sum + t, 0) / nWorkers / (s.end - s.start))];
  table.caption.textContent = `The steps above, the last one first; ${nWorkers} workers.`;
  table.tHead.replaceChildren(el('tr', {}, ...['Step', 'Took', 'Rows', 'Texts', 'Tiles', 'Workers busy'].map((text) => el('th', { scope: 'col' }, text))));
  table.tBodies[0].replaceChildren(...steps.toReversed().map((s) => el('tr', {}, el('th', { scope: 'row' }, String(s.number)), ...row(s).map((text) => el('td', {}, text)))));
}

function updateSize() {
  if (!state.model)
    return;
  const rows = state.bands.reduce((most, b) => Math.max(most, b.row + 1), state.bandRows ?? 1);
  state.bandRows = rows; // so that what is below does not jump
  state.dpr = Math.min(3, Math.max(1, devicePixelRatio || 1));
  state.layout = makeLayout(byId('lanes-box').clientWidth, 420, state.nWorkers, rows, ['busy']);
  askFrame();
}

function updateColors() {
  const colors = textColors(darkWanted());
  state.colors = makeColors(colors, darkWanted());
  state.columnColors = columnColors(state.colors);
  if (state.model)
    fillTexts();
  markTexts(state.texts);
  askFrame();
}

let frameAsked = false;

function askFrame() {
  if (!frameAsked)
    requestAnimationFrame(() => {
      frameAsked = false;
      if (state.model)
        drawTimeline(byId('lanes'), state);
    });
  frameAsked = true;
}

// ---- pointer and keyboard ----

function describeTile(r) {
  const { tiles, steps } = state.model;
  const op = opOf(state.model, r);
  const step = steps[tiles.step[r]];
  const [r0, r1] = [tiles.rows[2 * r], tiles.rows[2 * r + 1]];
  const first = step.owners.length - step.rowsOf[step.ops.indexOf(tiles.op[r])];
  const texts = [...new Set(step.owners.slice(first + r0, first + r1))].map(nameOf);
  return {
    title: tileName(state.model, r),
    rows: [['type', op.layer < 0 ? op.type : `${op.type}, layer ${op.layer}`], ['took', formatTime(tiles.end[r] - tiles.start[r])],
      ['ran on', workerOf(state.model, r)], ['step', step.label], ['rows', `${formatRange(first + r0, first + r1)}: ${plainText(texts.join(', '))}`]],
  };
}

function hover(e) {
  if (!state.model)
    return;
  const box = byId('lanes').getBoundingClientRect();
  const hit = hitTest(state, e.clientX - box.left, e.clientY - box.top);
  state.hover = hit;
  showTip(hit.what === 'tile' ? describeTile(hit.index) : null, e.clientX, e.clientY);
  askFrame();
}

function leave() {
  state.hover = null;
  showTip(null);
  askFrame();
}

function hold() {
  state.held = !state.held;
  byId('hold').setAttribute('aria-pressed', String(state.held));
  if (!state.held)
    lookAfter(0);
}

function keyDown(e) {
  if (e.key === 'Escape' && state.writing) {
    e.preventDefault();
    stop();
  } else if (e.key === 'Enter' && (e.ctrlKey || e.metaKey) && !e.isComposing) {
    e.preventDefault();
    byId('ask').requestSubmit();
  }
}

function toggleTheme() {
  document.documentElement.dataset.theme = darkWanted() ? 'light' : 'dark';
  updateColors();
}

function start() {
  byId('ask').addEventListener('submit', (e) => {
    e.preventDefault();
    write();
  });
  byId('stop').addEventListener('click', stop);
  byId('hold').addEventListener('click', hold);
  byId('theme').addEventListener('click', toggleTheme);
  byId('shown').addEventListener('change', showSteps);
  byId('key').addEventListener('change', lookSoon);
  byId('lanes').addEventListener('pointermove', hover);
  byId('lanes').addEventListener('pointerleave', leave);
  addEventListener('keydown', keyDown);
  document.addEventListener('visibilitychange', lookSoon);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', updateColors);
  new ResizeObserver(updateSize).observe(byId('lanes-box'));
  updateColors();
  look();
}

start();
