import { WhipPublisher } from './whip-publisher.js';

const STATES = {
  connecting: ['busy', 'Connecting'],
  live: ['live', 'Sending'],
  reconnecting: ['busy', 'Reconnecting'],
  refused: ['bad', 'Refused'],
  ended: ['quiet', 'Stopped'],
};

/** The left half of the live view: what this page sends, if anything. */
export class LiveSender {
  #screen;
  #onChange;
  #capture = null;
  #publisher = null;
  /** Changes with everything that is begun or stopped, so that what comes late is seen to. */
  #turn = 0;

  /** @param onChange is told whether something is being sent, and a word for it */
  constructor({ screen, onChange }) {
    this.#screen = screen;
    this.#onChange = onChange;
  }

  get sending() {
    return this.#publisher !== null;
  }

  /** Sends what `open(preview)` captures. Never throws: what goes wrong is said on the screen. */
  async begin(stream, open) {
    this.#end();
    const turn = ++this.#turn;
    this.#screen.show('busy', 'Starting', 'Starting …');
    try {
      const capture = await open(this.#screen.video);
      if (turn !== this.#turn) return capture.close();
      this.#capture = capture;
    } catch (error) {
      if (turn === this.#turn) this.#over('bad', 'Not started', error.message);
      return;
    }
    this.#screen.title = this.#capture.title;
    this.#screen.detail = this.#capture.note;
    this.#capture.onLost(() => turn === this.#turn && this.stop('The camera was disconnected.'));
    this.#publisher = new WhipPublisher({
      endpoint: stream.whipPath,
      key: stream.key,
      media: this.#capture.media,
      replaced: () => isPublishedByOthers(stream),
      onState: (state, detail) => turn === this.#turn && this.#follow(state, detail),
    });
    this.#publisher.start();
  }

  /** Nothing leaves from here any more, and the camera is off. */
  stop(text = 'Stopped. Nothing is sent from here.') {
    this.#over('quiet', 'Stopped', text);
  }

  /** Says that this page does not send, and what may be done. */
  rest(label, text) {
    this.#screen.title = 'Your picture';
    this.#over('quiet', label, text);
  }

  #follow(state, detail) {
    const [colour, label] = STATES[state];
    if (state === 'ended' || state === 'refused') return this.#over(colour, label, detail);
    this.#screen.show(colour, label, null);
    this.#screen.detail = state === 'reconnecting' ? `${detail} Trying again.` : this.#capture.note;
    this.#onChange(true, label);
  }

  #over(colour, label, text) {
    this.#turn += 1;
    this.#end();
    this.#screen.show(colour, label, text);
    this.#screen.detail = '';
    this.#onChange(false, label);
  }

  #end() {
    this.#publisher?.stop();
    this.#capture?.close();
    this.#publisher = null;
    this.#capture = null;
  }
}

/** We were dismissed: is that because another publisher took the stream over? */
async function isPublishedByOthers(stream) {
  const { state } = await stream.now();
  return state === 'live' || state === 'starting';
}
