// The start page. Its file half takes a clip, uploads it, follows its blurring, and plays both versions in step; its live
// half is LiveView's.
import { ClipJob } from './clip-job.js';
import { LiveView } from './live-view.js';
import { PairPlayer } from './pair-player.js';

const element = (id) => document.getElementById(id);
const views = ['empty', 'busy', 'failed', 'done', 'live'];
const player = new PairPlayer({
  leader: element('blurred'),
  follower: element('original'),
  play: element('play'),
  seek: element('seek'),
  clock: element('clock'),
  note: element('original-note'),
});

const live = new LiveView({
  say,
  parts: {
    sent: element('sent'),
    badge: element('sent-badge'),
    watched: element('watched'),
    name: element('live-name'),
    figures: element('live-figures'),
    stop: element('live-stop'),
    again: element('again-camera'),
    sound: element('live-sound'),
    recipes: element('live-recipes'),
    reveal: element('live-reveal'),
    style: element('blur-style'),
    strength: element('blur-strength'),
    margin: element('blur-margin'),
    lookahead: element('blur-lookahead'),
    controlsMessage: element('blur-message'),
  },
});

/** The clip on the page: at most one. */
let job = null;
/** The page's own address of the file that the user chose; it is never sent back by the server. */
let originalUrl = null;

function show(view) {
  for (const name of views) element(name).hidden = name !== view;
  element('page').dataset.view = view;
}

function say(text) {
  if (element('status').textContent !== text) element('status').textContent = text;
}

async function begin(file) {
  leaveClip();
  const mine = new ClipJob(file);
  job = mine;
  element('clip-name').textContent = file.name;
  showProgress({ stage: 'Uploading', percent: 0, detail: '' });
  show('busy');
  say('Uploading');
  element('cancel').focus();
  try {
    const result = await mine.run((progress) => job === mine && showProgress(progress));
    if (job === mine) showResult(file, mine, result);
  } catch (error) {
    if (job === mine) showFailure(error);
  }
}

function showProgress({ stage, percent, detail }) {
  if (element('stage').textContent !== stage) say(stage);
  element('stage').textContent = stage;
  element('percent').textContent = percent === null ? '' : `${percent}%`;
  if (percent === null) element('progress').removeAttribute('value');
  else element('progress').value = percent;
  element('detail').textContent = detail;
}

function showResult(file, mine, { faces, coveredWhole }) {
  originalUrl = URL.createObjectURL(file);
  player.load(mine.outputUrl, originalUrl);
  const found = faces === 0 ? 'no face found' : faces === 1 ? '1 face covered' : `${faces} faces covered`;
  const whole = coveredWhole > 0 ? `, ${coveredWhole} frames covered whole` : '';
  element('done-title').textContent = `Done: ${found}${whole}`;
  element('download').href = mine.outputUrl;
  element('download').download = `${file.name.replace(/\.[^.]*$/, '')}-blurred.mp4`;
  show('done');
  say(element('done-title').textContent);
  element('play').focus({ preventScroll: true });
}

function showFailure(error) {
  leaveClip();
  element('failed-message').textContent = error.message;
  show('failed');
  element('retry').focus();
}

/** Lets go of the clip: its job is stopped and its files are erased on the server. */
function leaveClip() {
  job?.erase();
  job = null;
  player.unload();
  if (originalUrl) URL.revokeObjectURL(originalUrl);
  originalUrl = null;
}

/** @param focus what the keyboard goes on from: the way in that was taken before */
function startOver(focus = 'file') {
  leaveClip();
  element('file').value = '';
  show('empty');
  say('');
  element(focus).focus();
}

function take(files) {
  if (files.length > 0) begin(files[0]);
}

function showLive() {
  show('live');
  element('live-title').focus({ preventScroll: true });
}

function leaveLive() {
  live.delete();
  startOver('live-camera');
}

for (const id of ['live-camera', 'again-camera']) {
  element(id).addEventListener('click', () => {
    showLive();
    live.camera();
  });
}
for (const id of ['live-file', 'again-file']) {
  element(id).addEventListener('change', ({ target }) => {
    const [file] = target.files;
    if (!file) return;
    showLive();
    live.file(file);
    // The same file chosen again is a change, too.
    target.value = '';
  });
}
element('live-encoder').addEventListener('click', () => {
  showLive();
  live.encoder();
});
element('live-delete').addEventListener('click', leaveLive);

element('file').addEventListener('change', (event) => take(event.target.files));
for (const id of ['cancel', 'retry', 'another']) element(id).addEventListener('click', () => startOver());

// A file dropped beside the zone must not make the browser leave the page.
const acceptsDrop = () => !element('empty').hidden;
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  event.dataTransfer.dropEffect = acceptsDrop() ? 'copy' : 'none';
  element('drop').classList.toggle('over', acceptsDrop());
});
document.addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) element('drop').classList.remove('over');
});
document.addEventListener('drop', (event) => {
  event.preventDefault();
  element('drop').classList.remove('over');
  if (acceptsDrop()) take(event.dataTransfer.files);
});

window.addEventListener('beforeunload', (event) => {
  if (!element('busy').hidden) event.preventDefault();
});
window.addEventListener('pagehide', () => {
  leaveClip();
  live.close();
});
window.addEventListener('pageshow', async (event) => {
  if (event.persisted) startOver();
  if (await live.restore()) showLive();
});
