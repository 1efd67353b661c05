/** Work on one thing is done one after the other; on different things, at the same time. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Does `work` when all work on `name` before it has ended, well or not. */
  take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(name) ?? Promise.resolve()).then(work);
    const end = turn.then(
      () => {},
      () => {}, // Told to whoever took this turn; the next begins all the same.
    );
    this.#last.set(name, end);
    end.then(() => {
      if (this.#last.get(name) === end) this.#last.delete(name);
    });
    return turn;
  }
}
