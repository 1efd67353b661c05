import { recipes } from './recipes.js';

const COPIED_MS = 2000;
const MASK = '••••••••';

/** The copyable lines of a stream: where it is watched, and how other programs send to it, with its key masked until it is asked for. */
export class RecipeList {
  #root;
  #reveal;
  #say;
  #stream = null;
  #revealed = false;
  /** Draws each line again. */
  #redraw = [];

  /** @param say tells screen readers something */
  constructor({ root, reveal, say }) {
    this.#root = root;
    this.#reveal = reveal;
    this.#say = say;
    reveal.addEventListener('click', () => this.#setRevealed(!this.#revealed));
  }

  show(stream) {
    this.#stream = stream;
    this.#redraw = [];
    this.#root.replaceChildren(
      this.#field('Watch', { label: 'Watch link', value: () => stream.watchUrl, opens: true }),
      ...recipes(stream).map((recipe) => this.#recipe(recipe)),
    );
    this.#setRevealed(false);
  }

  /** Opens the first one: for whoever came for it. */
  openFirst() {
    this.#root.querySelector('details').open = true;
  }

  clear() {
    this.#root.replaceChildren();
    this.#redraw = [];
    this.#stream = null;
  }

  #setRevealed(revealed) {
    this.#revealed = revealed;
    this.#reveal.textContent = revealed ? 'Hide the key' : 'Show the key';
    this.#reveal.setAttribute('aria-pressed', String(revealed));
    for (const draw of this.#redraw) draw();
  }

  #recipe({ name, hint, fields }) {
    const details = create('details', 'recipe');
    details.name = 'recipe';
    details.append(create('summary', '', name), create('p', 'small', hint));
    for (const field of fields) details.append(this.#field(name, field));
    return details;
  }

  #field(name, { label, value, opens = false }) {
    const row = create('div', 'field');
    const code = create('code');
    const draw = () => {
      code.textContent = value(this.#revealed ? this.#stream.key : MASK);
    };
    draw();
    this.#redraw.push(draw);
    const copy = create('button', 'button slim', 'Copy');
    copy.type = 'button';
    copy.setAttribute('aria-label', `Copy: ${name}, ${label}`);
    copy.addEventListener('click', () => this.#copy(copy, code, value(this.#stream.key)));
    row.append(create('span', 'small', label), code, copy);
    if (opens) {
      const link = create('a', 'button slim', 'Open');
      Object.assign(link, { href: value(''), target: '_blank', rel: 'noopener' });
      row.append(link);
    }
    return row;
  }

  async #copy(button, code, text) {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
      this.#say('Copied');
      setTimeout(() => {
        button.textContent = 'Copy';
      }, COPIED_MS);
    } catch {
      // No clipboard outside HTTPS and localhost: the line is selected, and copied by hand.
      this.#setRevealed(true);
      getSelection().selectAllChildren(code);
      this.#say('Selected. Copy it with Control C.');
    }
  }
}

function create(name, className = '', text = '') {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}
