// The page that only watches: `/embed/ID`, and `#token=…` where viewers need one. What stands behind the # is not sent to
// servers.
import { Screen } from './screen.js';
import { StreamViewer } from './stream-viewer.js';

const WORDS = {
  waiting: ['quiet', 'Waiting', 'The stream is not live. It starts here by itself.'],
  connecting: ['busy', 'Connecting', 'Connecting …'],
  live: ['live', 'Live', ''],
  reconnecting: ['busy', 'Reconnecting', 'Trying again.'],
  refused: ['bad', 'Not shown', ''],
  ended: ['quiet', 'Ended', 'This stream has ended.'],
};

const element = (id) => document.getElementById(id);
const id = /^\/embed\/([^/]+)$/.exec(location.pathname)?.[1];
const token = new URLSearchParams(location.hash.slice(1)).get('token');
const screen = new Screen(element('watched'));
const { video } = screen;

function show(state, detail) {
  const [colour, label, text] = WORDS[state];
  screen.show(colour, label, state === 'live' ? null : `${detail} ${text}`.trim());
}

function setMuted(muted) {
  video.muted = muted;
  element('sound').textContent = muted ? 'Sound on' : 'Sound off';
}

function begin() {
  document.title = `${id} · FaceBlur`;
  screen.title = id;
  const viewer = new StreamViewer({ id, video, token, onState: show });
  viewer.start();
  addEventListener('pagehide', () => viewer.stop());
  addEventListener('pageshow', (event) => event.persisted && location.reload());
}

element('sound').addEventListener('click', () => setMuted(!video.muted));
element('full').addEventListener('click', () =>
  element('watched')
    .requestFullscreen()
    .catch(() => {}),
);
element('full').hidden = !document.fullscreenEnabled;
if (id && /^[a-z0-9-]{1,64}$/i.test(id)) begin();
else show('refused', 'This address names no stream.');
