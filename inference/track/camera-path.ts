/**
 * Where the camera stood at each remembered frame, as the picture's summed motion since the start. Boxes less this
 * stand still when only the camera moves.
 */
export class CameraPath {
  readonly #stops = new Map<number, { x: number; y: number }>();
  #last = { x: 0, y: 0 };
  #oldest = 0;

  add(frame: number, dx: number, dy: number): void {
    if (this.#stops.size === 0) this.#oldest = frame;
    this.#last = { x: this.#last.x + dx, y: this.#last.y + dy };
    this.#stops.set(frame, this.#last);
  }

  /** The nearest known stop where the frame itself is forgotten. */
  at(frame: number): { readonly x: number; readonly y: number } {
    return this.#stops.get(frame) ?? this.#stops.get(this.#oldest) ?? this.#last;
  }

  forgetBefore(frame: number): void {
    while (this.#oldest < frame && this.#stops.size > 1) this.#stops.delete(this.#oldest++);
  }
}
