/** A stream's statistics, in the words of the page: `[name, value, explanation]` each. */
export function figuresOf({ width, height, codec, fps, faces, addedLatencyMs, frames, viewers }) {
  const dropped = Object.values(frames.dropped).reduce((sum, count) => sum + count, 0);
  const reasons = Object.entries(frames.dropped).map(([reason, count]) => `${count} ${reason}`);
  return [
    ['Picture', width > 0 ? `${width}×${height}` : '–', `${codec.in} in, ${codec.out} out`],
    ['Frames a second', `${Math.round(fps.out)}`, `${Math.round(fps.in)} come in`],
    ['Faces', `${faces}`, 'on screen now'],
    [
      'Added latency',
      `${Math.round(addedLatencyMs.p50)} ms`,
      `half of the frames; 99 of 100: ${Math.round(addedLatencyMs.p99)} ms`,
    ],
    ['Dropped', `${dropped}`, reasons.length > 0 ? `frames: ${reasons.join(', ')}` : 'frames'],
    ['Covered whole', `${frames.covered}`, 'frames that could not be inspected in time'],
    ['Viewers', `${viewers}`, 'this page is one of them'],
  ];
}

/** Writes them into a `<dl>`, touching what changed only. */
export function showFigures(list, stats) {
  for (const [index, [name, value, explanation]] of figuresOf(stats).entries()) {
    const item = list.children[index] ?? list.appendChild(emptyItem());
    const [term, description] = item.children;
    if (term.textContent !== name) term.textContent = name;
    if (description.textContent !== value) description.textContent = value;
    item.title = explanation;
  }
}

function emptyItem() {
  const item = document.createElement('div');
  item.append(document.createElement('dt'), document.createElement('dd'));
  return item;
}
