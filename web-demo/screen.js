/** A picture with its title, its state in a word, and what is to be said where there is no picture. */
export class Screen {
  video;
  #root;
  #title;
  #chip;
  #cover;
  #coverText;
  #detail;

  constructor(root) {
    this.#root = root;
    const part = (name) => root.querySelector(`.screen-${name}`);
    this.video = root.querySelector('video');
    this.#title = part('title');
    this.#chip = part('chip');
    this.#cover = part('cover');
    this.#coverText = part('cover-text');
    this.#detail = part('detail');
    // The box takes the picture's own shape, so that no bars are drawn around it.
    this.video.addEventListener('resize', () => this.#fit());
    this.video.addEventListener('loadedmetadata', () => this.#fit());
  }

  set title(text) {
    this.#title.textContent = text;
  }

  /** Said under the picture. */
  set detail(text) {
    this.#detail.textContent = text;
  }

  /**
   * @param state 'live' | 'busy' | 'quiet' | 'bad': its colour
   * @param label the state in a word or two
   * @param text what covers the picture; null to show the picture
   */
  show(state, label, text) {
    this.#root.dataset.state = state;
    if (this.#chip.textContent !== label) this.#chip.textContent = label;
    this.#cover.hidden = text === null;
    this.#coverText.textContent = text ?? '';
  }

  #fit() {
    const { videoWidth, videoHeight } = this.video;
    if (videoWidth > 0) this.video.style.aspectRatio = `${videoWidth} / ${videoHeight}`;
  }
}
