/** How the view travels over the photo. `cut` jumps to another place and size once a second; `still` shows all of it. */
export type Motion = 'pan' | 'zoom' | 'shake' | 'cut' | 'still';

export const MOTIONS: readonly Motion[] = ['pan', 'zoom', 'shake', 'cut', 'still'];

/** x, y, width, height in photo pixels. */
export type Box = readonly [x: number, y: number, width: number, height: number];

/** A face in a frame of the clip: its index in the photo's boxes, then x, y, width, height in clip pixels. */
export type TruthBox = [id: number, x: number, y: number, width: number, height: number];

/** Where every face is in every frame: the format that the project's other measuring tools read as well. */
export interface Truth {
  width: number;
  height: number;
  fps: number;
  frames: TruthBox[][];
}

/** The part of the photo that one frame shows. */
export interface View {
  /** Left edge in photo pixels. */
  x: number;
  /** Top edge in photo pixels. */
  y: number;
  /** Photo pixels per clip pixel, across. */
  scaleX: number;
  /** Photo pixels per clip pixel, down. */
  scaleY: number;
}

/** What a view is computed from. */
export interface Camera {
  photoWidth: number;
  photoHeight: number;
  width: number;
  height: number;
  seconds: number;
  motion: Motion;
  seed: number;
}

/** A face counts as present while more than this part of its box is inside the frame. */
const MIN_VISIBLE_PART = 0.7;

/** Centre (as parts of the photo) and width (as a part of the widest view that fits). */
function path(camera: Camera, t: number): [centreX: number, centreY: number, width: number] {
  const { motion, seed, seconds } = camera;
  const turn = (2 * Math.PI * t) / seconds;
  switch (motion) {
    case 'zoom':
      return [0.5 + 0.1 * Math.sin(seed), 0.5, 1 / (1 + 0.9 * (0.5 - 0.5 * Math.cos(turn)))];
    case 'shake':
      return [0.5 + 0.03 * Math.sin(13 * t + seed), 0.5 + 0.03 * Math.cos(17 * t + seed), 0.8];
    case 'cut': {
      const shot = Math.floor(t);
      const centreX = 0.3 + 0.4 * ((shot * 0.37 + seed * 0.11) % 1);
      const centreY = 0.3 + 0.4 * ((shot * 0.61 + seed * 0.07) % 1);
      return [centreX, centreY, 0.55 + 0.35 * ((shot * 0.53) % 1)];
    }
    case 'still':
      return [0.5, 0.5, 1];
    case 'pan':
      return [0.5 + 0.35 * Math.sin(turn + seed), 0.5 + 0.2 * Math.cos(turn), 0.6];
  }
}

/** The view at `t` seconds, kept inside the photo. */
export function viewAt(camera: Camera, t: number): View {
  const { photoWidth, photoHeight, width, height } = camera;
  const aspect = width / height;
  const [centreX, centreY, part] = path(camera, t);
  const viewWidth = Math.min(photoWidth, photoHeight * aspect) * part;
  const viewHeight = viewWidth / aspect;
  const within = (start: number, room: number) => Math.max(0, Math.min(room, start));
  return {
    x: within(centreX * photoWidth - viewWidth / 2, photoWidth - viewWidth),
    y: within(centreY * photoHeight - viewHeight / 2, photoHeight - viewHeight),
    scaleX: viewWidth / width,
    scaleY: viewHeight / height,
  };
}

/** The boxes that a view shows, in clip pixels to a tenth. */
export function boxesInView(boxes: readonly Box[], view: View, width: number, height: number): TruthBox[] {
  const seen: TruthBox[] = [];
  const tenth = (value: number) => Number(value.toFixed(1));
  boxes.forEach(([boxX, boxY, boxWidth, boxHeight], id) => {
    const x = (boxX - view.x) / view.scaleX;
    const y = (boxY - view.y) / view.scaleY;
    const w = boxWidth / view.scaleX;
    const h = boxHeight / view.scaleY;
    const insideX = Math.max(0, Math.min(width, x + w) - Math.max(0, x));
    const insideY = Math.max(0, Math.min(height, y + h) - Math.max(0, y));
    if (insideX * insideY > MIN_VISIBLE_PART * w * h) seen.push([id, tenth(x), tenth(y), tenth(w), tenth(h)]);
  });
  return seen;
}
