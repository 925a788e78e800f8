// The page's behaviour: choosing a study, walking through its images, staying up to date.
// Tables come from the server as HTML; nothing here makes HTML out of data.
'use strict';

const at = id => document.getElementById(id);
const web = document.body.dataset.dicomweb;
// whole addresses: when the page was opened as http://user:password@host, relative ones would
// inherit the password, which browsers refuse to fetch
const home = location.origin;

async function get(address, accept) {
  const answer = await fetch(home + address, { headers: { Accept: accept } });
  if (answer.ok) return answer;
  let why = answer.statusText;
  try { why = (await answer.json()).Details || why; } catch { /* no JSON: the status has to do */ }
  throw new Error(why);
}

// What was put where, so that only what changed is put again.
const texts = new Map();
function put(id, text) {
  texts.set(id, text);
  at(id).innerHTML = text;
}

// ---- the viewer

const view = { study: '', series: '', places: [], at: 0, window: '' };
const value = (set, tag) => (set[tag] && set[tag].Value ? set[tag].Value[0] : undefined);

async function openStudy(uid) {
  view.study = uid;
  history.replaceState(null, '', '#' + uid);
  mark();
  try {
    const text = await (await get('/ui/study/' + encodeURIComponent(uid), 'text/html')).text();
    if (view.study !== uid) return;
    put('study', text);
    at('hint').hidden = true;
    const buttons = [...at('study').querySelectorAll('[data-series]')];
    const same = buttons.find(b => b.dataset.series === view.series);
    if (same) await openSeries(same, true);
    else if (buttons.length) await openSeries(buttons[0], false);
  } catch (error) {
    at('hint').textContent = error.message;
    at('hint').hidden = false;
    at('stage').hidden = true;
  }
}

// Places are pairs of an instance and a frame: a multi-frame object scrolls like a series.
async function openSeries(button, stay) {
  for (const other of at('study').querySelectorAll('[data-series]')) {
    other.setAttribute('aria-pressed', String(other === button));
  }
  view.series = button.dataset.series;
  // the presets are Hounsfield units
  const ct = button.dataset.modality === 'CT';
  at('windows').hidden = !ct;
  if (!ct) choose('');
  const base = `${web}/studies/${view.study}/series/${view.series}/instances`;
  const series = view.series;
  const sets = await (await get(base + '?includefield=00280008', 'application/dicom+json')).json();
  if (series !== view.series) return;
  const places = [];
  for (const set of sets) {
    const frames = Math.max(1, Number(value(set, '00280008')) || 1);
    const name = base + '/' + value(set, '00080018');
    for (let frame = 1; frame <= frames; frame++) {
      places.push({ name, frame, number: value(set, '00200013'), location: value(set, '00201041') });
    }
  }
  view.places = places;
  const slider = at('slice');
  slider.max = String(Math.max(1, places.length));
  // one picture: nothing to slide through
  slider.parentElement.hidden = places.length < 2;
  at('stage').hidden = places.length === 0;
  show(stay ? view.at : Math.floor(places.length / 2));
}

function address(place) {
  const window_ = view.window ? '?window=' + view.window : '';
  return `${place.name}/frames/${place.frame}/rendered${window_}`;
}

// While one picture is on its way further steps only move the goal: fast scrolling asks for what
// can be shown, not for everything between.
let loading = false;
let shown = '';

function show(index) {
  if (!view.places.length) return;
  view.at = Math.min(Math.max(index, 0), view.places.length - 1);
  at('slice').value = String(view.at + 1);
  at('position').textContent = `${view.at + 1} / ${view.places.length}`;
  if (!loading) load();
}

async function load() {
  loading = true;
  try {
    for (;;) {
      const place = view.places[view.at];
      const wanted = place ? address(place) : '';
      if (!wanted || wanted === shown) break;
      const image = new Image();
      image.src = home + wanted;
      try {
        await image.decode();
        at('image').src = image.src;
        at('image').alt = `Slice ${view.at + 1} of ${view.places.length}`;
        at('image').hidden = false;
        at('problem').hidden = true;
        at('over').textContent = caption(place, image);
      } catch {
        await explain(wanted);
      }
      shown = wanted;
    }
  } finally {
    loading = false;
  }
}

function caption(place, image) {
  const lines = [`${image.naturalWidth} × ${image.naturalHeight}`];
  if (place.number !== undefined) lines.unshift(`Image ${place.number}`);
  if (place.location !== undefined) lines.push(`Location ${Number(place.location).toFixed(1)} mm`);
  return lines.join(' · ');
}

async function explain(wanted) {
  let why = 'The image cannot be shown.';
  try { await get(wanted, 'image/png'); } catch (error) { why = error.message; }
  at('image').hidden = true;
  at('over').textContent = '';
  at('problem').textContent = 'Not shown: ' + why + '.';
  at('problem').hidden = false;
}

function choose(window_) {
  view.window = window_;
  for (const button of at('windows').children) {
    button.setAttribute('aria-pressed', String(button.dataset.window === window_));
  }
}

function mark() {
  for (const row of at('studies').querySelectorAll('[data-study]')) {
    row.setAttribute('aria-selected', String(row.dataset.study === view.study));
  }
}

at('studies').addEventListener('click', event => {
  const row = event.target.closest('[data-study]');
  if (row) openStudy(row.dataset.study);
});
at('study').addEventListener('click', event => {
  const button = event.target.closest('[data-series]');
  if (button) openSeries(button, false).catch(error => { at('hint').textContent = error.message; at('hint').hidden = false; });
});
at('slice').addEventListener('input', () => show(Number(at('slice').value) - 1));
at('frame').addEventListener('wheel', event => {
  if (view.places.length < 2) return;
  event.preventDefault();
  show(view.at + Math.sign(event.deltaY));
}, { passive: false });
at('frame').addEventListener('keydown', event => {
  const steps = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
  if (!(event.key in steps)) return;
  event.preventDefault();
  const to = view.at + steps[event.key];
  show(to === Infinity ? view.places.length - 1 : to === -Infinity ? 0 : to);
});
at('windows').addEventListener('click', event => {
  if (event.target.dataset.window === undefined) return;
  choose(event.target.dataset.window);
  show(view.at);
});

// ---- the lists

function filter() {
  const words = at('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of at('studies').querySelectorAll('[data-study]')) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every(word => text.includes(word));
  }
}
at('filter').addEventListener('input', filter);

async function refresh(id) {
  const text = await (await get('/ui/' + id, 'text/html')).text();
  const place = at(id);
  if (texts.get(id) === text) return;
  const focused = place.contains(document.activeElement)
    && document.activeElement.closest('[data-study]');
  const top = place.scrollTop;
  put(id, text);
  place.scrollTop = top;
  if (id !== 'studies') return;
  filter();
  mark();
  if (focused) {
    const again = place.querySelector(`[data-study="${CSS.escape(focused.dataset.study)}"] .open`);
    if (again) again.focus();
  }
}

// What happens makes the lists new, at most once a second.
let due = false;
function soon() {
  if (due) return;
  due = true;
  setTimeout(async () => {
    due = false;
    try {
      await Promise.all(['worklist', 'studies', 'events'].map(refresh));
      const first = at('studies').querySelector('[data-study]');
      if (view.study) await grown();
      else if (first) await openStudy(first.dataset.study);
    } catch { /* the follower below notices that the server is gone */ }
  }, 1000);
}

// Images that arrive in the open study join it.
async function grown() {
  const button = at('study').querySelector('[data-series][aria-pressed="true"]');
  const uid = view.study;
  const text = await (await get('/ui/study/' + encodeURIComponent(uid), 'text/html')).text();
  if (uid !== view.study || !button || texts.get('study') === text) return;
  put('study', text);
  const same = at('study').querySelector(`[data-series="${CSS.escape(view.series)}"]`);
  if (same) await openSeries(same, true);
}

function live(on, text) {
  at('live').className = 'live ' + (on ? 'on' : 'off');
  at('live').textContent = text;
}

// One long answer, a line for each event. When it ends, the server went away: try again.
async function follow() {
  for (;;) {
    try {
      const answer = await get('/pacslab/events?follow=true&limit=1', 'application/x-ndjson');
      live(true, 'live');
      soon();
      const reader = answer.body.getReader();
      for (;;) {
        const { done } = await reader.read();
        if (done) break;
        soon();
      }
    } catch { /* told below */ }
    live(false, 'no connection; trying again');
    await new Promise(resolve => setTimeout(resolve, 2000));
  }
}

const first = location.hash.slice(1);
const rows = [...at('studies').querySelectorAll('[data-study]')];
if (rows.some(row => row.dataset.study === first)) openStudy(first);
else if (rows.length) openStudy(rows[0].dataset.study);
follow();
