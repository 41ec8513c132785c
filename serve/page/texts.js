// texts.js - asks the server, and puts the texts on the page. What comes from it, or from the user, goes in as text.

const NEVER = 'The server does not answer.';

function headers() {
  const key = byId('key').value;
  return key ? { Authorization: `Bearer ${key}` } : {};
}

// What an answer that is none says; where it asks for a key there is a place for one.
async function refusalOf(response) {
  const { error } = await response.json().catch(() => ({}));
  if (response.status === 401)
    byId('key-field').hidden = false;
  return `${response.status}: ${error?.message ?? response.statusText}`;
}

// ---- a stream of server-sent events ----

// Calls each(object) for each event, until [DONE]. A stream that ends without it throws, as one does that says why.
async function readEvents(response, each) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = '';;) {
    const { value, done } = await reader.read();
    if (done)
      throw new Error('The connection ended before the text did.');
    const events = (text + value).split('\n\n');
    text = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, '');
      if (data === '[DONE]')
        return;
      const object = JSON.parse(data);
      if (object.error)
        throw new Error(object.error.message);
      each(object);
    }
  }
}

// ---- a request ----

// As JSON. The seed's digits go as they are: a number of JavaScript has fewer.
function bodyOf(request) {
  const { seed, ...rest } = request;
  return `${JSON.stringify({ ...rest, stream: true, stream_options: { include_usage: true } }).slice(0, -1)},"seed":${seed}}`;
}

function readForm() {
  const number = (id) => Number(byId(id).value);
  return {
    prompt: byId('prompt').value, max_tokens: number('tokens'), n: number('texts-wanted'), temperature: number('temperature'),
    top_p: number('top-p'), seed: byId('seed').value || String(Math.floor(Math.random() * 2 ** 32)),
  };
}

// A place for text i of the request.
function addText(request, i) {
  const mark = swatch('transparent');
  const written = document.createTextNode('');
  const body = el('p', { className: 'text' }, el('span', { className: 'prompt' }, request.prompt), written);
  const seed = /^\d+$/.test(request.seed) ? BigInt(request.seed) + BigInt(i) : request.seed;
  byId('texts').append(el('article', { 'aria-label': `Text ${i + 1}` },
    el('h3', {}, mark, `text ${i + 1} of ${request.n}, seed ${seed}`), body));
  return {
    mark, name: null, // as lanes.js calls it, once it is known
    waiting: '',
    show() {
      const atEnd = body.scrollTop + body.clientHeight > body.scrollHeight - 20;
      written.appendData(this.waiting);
      this.waiting = '';
      if (atEnd)
        body.scrollTop = body.scrollHeight;
    },
  };
}

// Writes the texts of a request, what has come meanwhile once a frame, as a token may come each millisecond, and calls
// came(texts) then. Returns the usage.
async function writeTexts(request, signal, came) {
  const response = await fetch('v1/completions', { method: 'POST', signal, body: bodyOf(request), headers: { ...headers(), 'Content-Type': 'application/json' } });
  if (!response.ok)
    throw new Error(await refusalOf(response));
  byId('texts').replaceChildren();
  const texts = Array.from({ length: request.n }, (_, i) => addText(request, i));
  let usage = null, frame = 0;
  const show = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    texts.forEach((t) => t.show());
    came(texts);
  };
  try {
    await readEvents(response, ({ id, choices, usage: sum }) => {
      for (const { index, text } of choices) {
        texts[index].name = textName(parseInt(id.slice('cmpl-'.length), 16), index);
        texts[index].waiting += text;
      }
      usage = sum ?? usage;
      frame ||= requestAnimationFrame(show);
    });
  } finally {
    show();
  }
  return usage;
}
