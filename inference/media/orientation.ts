/**
 * The filters that turn a stored picture the way it is shown, as FFmpeg's own player does it.
 * @param matrix 3×3, 16.16 fixed point, row by row
 * @see libavutil/display.h
 */
export function uprightFilters(matrix: Int32Array | null): string[] {
  if (!matrix) return [];
  const [a = 0, b = 0, , c = 0, d = 0] = matrix;
  const scaleX = Math.hypot(a, c);
  const scaleY = Math.hypot(b, d);
  if (scaleX === 0 || scaleY === 0) return [];
  const degrees = ((Math.atan2(b / scaleY, a / scaleX) * 180) / Math.PI + 360) % 360;
  switch (Math.round(degrees / 90) % 4) {
    case 1:
      return [c > 0 ? 'transpose=cclock_flip' : 'transpose=clock'];
    case 2:
      return [...(a < 0 ? ['hflip'] : []), ...(d < 0 ? ['vflip'] : [])];
    case 3:
      return [c < 0 ? 'transpose=clock_flip' : 'transpose=cclock'];
    default:
      return d < 0 ? ['vflip'] : [];
  }
}
