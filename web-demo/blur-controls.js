/** Changes are sent when the hand has rested this long. */
const REST_MS = 150;

/** The sliders of a stream's policy: how coarse, how far around a face, how far ahead it looks. */
export class BlurControls {
  #inputs;
  #message;
  #stream = null;
  #timer;

  /** @param inputs range inputs by the policy's field, each followed by its `<output>` */
  constructor({ inputs, message }) {
    this.#inputs = inputs;
    this.#message = message;
    for (const input of Object.values(inputs)) input.addEventListener('input', () => this.#changed(input));
  }

  show(stream) {
    this.#stream = stream;
    this.#message.textContent = '';
    this.#draw();
  }

  #draw() {
    for (const [field, input] of Object.entries(this.#inputs)) {
      input.value = String(this.#stream.policy[field]);
      describe(input);
    }
  }

  #changed(input) {
    describe(input);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(this.#stream), REST_MS);
  }

  async #send(stream) {
    const values = Object.entries(this.#inputs).map(([field, input]) => [field, Number(input.value)]);
    try {
      await stream.setPolicy(Object.fromEntries(values));
      this.#message.textContent = '';
    } catch (error) {
      this.#message.textContent = error.message;
      if (this.#stream === stream) this.#draw();
    }
  }
}

function describe(input) {
  const value = Number(input.value);
  const text = input.max === '1' ? `${Math.round(value * 100)}%` : `${value} ${value === 1 ? 'frame' : 'frames'}`;
  input.nextElementSibling.textContent = text;
  input.setAttribute('aria-valuetext', text);
}
