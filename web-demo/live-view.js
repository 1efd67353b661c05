import { BlurControls } from './blur-controls.js';
import { Capture } from './capture.js';
import { LiveSender } from './live-sender.js';
import { LiveStream } from './live-stream.js';
import { RecipeList } from './recipe-list.js';
import { Screen } from './screen.js';
import { showFigures } from './stream-figures.js';
import { StreamViewer } from './stream-viewer.js';

const WATCHING = {
  waiting: ['quiet', 'Waiting'],
  connecting: ['busy', 'Connecting'],
  live: ['live', 'Live'],
  reconnecting: ['busy', 'Reconnecting'],
  refused: ['bad', 'Refused'],
  ended: ['quiet', 'Ended'],
};
const WAITING_TEXT = 'The blurred picture shows here as soon as something is sent.';
const ENCODER_TEXT = 'Send from OBS or ffmpeg with the lines below. What they send is shown blurred only.';
const OTHERS_TEXT = 'Another program is sending. What it sends is shown blurred only. To send from here would end it.';

/** The live half of the start page: what is sent on the left, what viewers see on the right, and what goes with it. */
export class LiveView {
  #parts;
  #say;
  #sender;
  #watched;
  #recipes;
  #controls;
  #stream = null;
  #viewer = null;
  /** Whether another program is meant to send. */
  #forEncoder = false;

  /**
   * @param parts the elements of the view by name
   * @param say tells screen readers something
   */
  constructor({ parts, say }) {
    this.#parts = parts;
    this.#say = say;
    this.#watched = new Screen(parts.watched);
    this.#sender = new LiveSender({
      screen: new Screen(parts.sent),
      onChange: (sending, label) => this.#sendingChanged(sending, label),
    });
    this.#recipes = new RecipeList({ root: parts.recipes, reveal: parts.reveal, say });
    this.#controls = new BlurControls({
      inputs: {
        style: parts.style,
        strength: parts.strength,
        margin: parts.margin,
        lookaheadFrames: parts.lookahead,
      },
      message: parts.controlsMessage,
    });
    parts.stop.addEventListener('click', () => this.#stop());
    parts.sound.addEventListener('click', () => this.#setMuted(!this.#watched.video.muted));
  }

  /** Sends the camera. */
  async camera() {
    this.#forEncoder = false;
    if (await this.#open()) await this.#sender.begin(this.#stream, (preview) => Capture.camera(preview));
  }

  /** Sends a video file, again and again. */
  async file(file) {
    this.#forEncoder = false;
    if (await this.#open()) await this.#sender.begin(this.#stream, (preview) => Capture.file(file, preview));
  }

  /** Sends nothing from here: a stream for OBS, ffmpeg and others. */
  async encoder() {
    if (!(await this.#open())) return;
    this.#forEncoder = true;
    this.#showEncoder(false);
    this.#recipes.openFirst();
  }

  /** Goes on with the stream from before a reload. @returns whether there is one */
  async restore() {
    const stream = await LiveStream.restore();
    if (!stream) return false;
    this.#begin(stream);
    this.#forEncoder = true;
    this.#showEncoder(false);
    return true;
  }

  /** Ends what this page sends and shows; the stream stays, for a reload to go on with. */
  close() {
    this.#sender.stop();
    this.#viewer?.stop();
    this.#viewer = null;
    this.#stream = null;
    this.#recipes.clear();
  }

  /** Ends the stream itself, for everybody. */
  async delete() {
    const stream = this.#stream;
    this.close();
    // Already gone, or not reached: the page has let go of it in any case.
    await stream?.delete().catch(() => {});
  }

  async #open() {
    if (this.#stream) return true;
    this.#sender.rest('Starting', 'Making a stream …');
    this.#watched.show('quiet', 'Waiting', WAITING_TEXT);
    try {
      this.#begin(await LiveStream.create());
      return true;
    } catch (error) {
      this.#sender.rest('Not started', error.message);
      this.#say(error.message);
      return false;
    }
  }

  #begin(stream) {
    this.#stream = stream;
    this.#parts.name.textContent = stream.id;
    this.#parts.figures.replaceChildren();
    this.#recipes.show(stream);
    this.#controls.show(stream);
    this.#setMuted(true);
    this.#viewer = new StreamViewer({
      id: stream.id,
      video: this.#watched.video,
      onState: (state, detail) => this.#watchingChanged(state, detail),
      onStats: (stats) => showFigures(this.#parts.figures, stats),
    });
    this.#viewer.start();
  }

  #showEncoder(live) {
    if (live) this.#sender.rest('Another program sends', OTHERS_TEXT);
    else this.#sender.rest('Not sending', ENCODER_TEXT);
  }

  #stop() {
    this.#sender.stop();
    this.#parts.again.focus();
  }

  #watchingChanged(state, detail) {
    const [colour, label] = WATCHING[state];
    const text = state === 'waiting' ? `${detail} ${WAITING_TEXT}`.trim() : detail || `${label} …`;
    if (state === 'waiting') this.#parts.figures.replaceChildren();
    if (this.#forEncoder && !this.#sender.sending) this.#showEncoder(state === 'live');
    const before = this.#parts.watched.querySelector('.screen-chip').textContent;
    this.#watched.show(colour, label, state === 'live' ? null : text);
    if (before !== label) this.#say(`Blurred stream: ${label}`);
  }

  #sendingChanged(sending, label) {
    this.#parts.stop.hidden = !sending;
    this.#parts.badge.hidden = !sending;
    this.#say(`Your picture: ${label}`);
  }

  #setMuted(muted) {
    this.#watched.video.muted = muted;
    this.#parts.sound.textContent = muted ? 'Sound on' : 'Sound off';
  }
}
