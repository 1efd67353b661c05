/** A repeatable source of chance (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const VALUES = [
  '',
  '0',
  '-1',
  '1e999',
  '4294967296',
  '__proto__',
  'constructor',
  ' ',
  '\u0000',
  '\u{1f4a9}',
  '%s%d',
  '*',
  '('.repeat(500),
];

/** An SDP with one to six of its lines lost, doubled, cut, moved or filled with nonsense. */
export function mutate(sdp: string, random: () => number): string {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const lines = sdp.split('\r\n');
  const times = 1 + Math.floor(random() * 6);
  for (let time = 0; time < times; time += 1) {
    const at = Math.floor(random() * lines.length);
    const line = lines[at] ?? '';
    const cut = Math.floor(random() * (line.length + 1));
    switch (Math.floor(random() * 8)) {
      case 0:
        lines.splice(at, 1);
        break;
      case 1:
        lines.splice(at, 0, pick(lines));
        break;
      case 2:
        lines[at] = line.slice(0, cut);
        break;
      case 3:
        lines[at] = line.slice(0, cut) + pick(VALUES) + line.slice(cut + 1);
        break;
      case 4:
        lines[at] = line.replace(/[^ :=/;]+$/, pick(VALUES));
        break;
      case 5:
        lines[at] = line.replace(/\d+/, String(Math.floor(random() * 2 ** 34)));
        break;
      case 6:
        lines.length = at + 1;
        break;
      default:
        [lines[at], lines[0]] = [lines[0]!, line];
    }
  }
  return lines.join(random() < 0.9 ? '\r\n' : '\n');
}
