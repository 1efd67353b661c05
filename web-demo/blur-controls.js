/** Changes are sent when the hand has rested this long. */
const REST_MS = 150;

/** The controls of a stream's policy: how a face is covered, how coarsely, how far around it, how far ahead it looks. */
export class BlurControls {
  #inputs;
  #message;
  #stream = null;
  #timer;

  /** @param inputs a select of styles, and range inputs each followed by its `<output>`, by the policy's field */
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
    this.#allowStrength();
  }

  #changed(input) {
    describe(input);
    this.#allowStrength();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(this.#stream), REST_MS);
  }

  /** One colour is as coarse as can be. */
  #allowStrength() {
    const { style, strength } = this.#inputs;
    strength.disabled = style.value === 'solid';
  }

  async #send(stream) {
    const values = Object.entries(this.#inputs).map(([field, input]) => [
      field,
      isRange(input) ? Number(input.value) : input.value,
    ]);
    try {
      await stream.setPolicy(Object.fromEntries(values));
      this.#message.textContent = '';
    } catch (error) {
      this.#message.textContent = error.message;
      if (this.#stream === stream) this.#draw();
    }
  }
}

function isRange(input) {
  return input.type === 'range';
}

function describe(input) {
  if (!isRange(input)) return;
  const value = Number(input.value);
  const text = input.max === '1' ? `${Math.round(value * 100)}%` : `${value} ${value === 1 ? 'frame' : 'frames'}`;
  input.nextElementSibling.textContent = text;
  input.setAttribute('aria-valuetext', text);
}
