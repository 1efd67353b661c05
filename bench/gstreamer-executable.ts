import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** GStreamer with what its `faceblur` element needs. */
export interface GstreamerExecutable {
  readonly path: string;
  readonly version: string;
  /** The Haar cascade that `faceblur` looks with; the element's own default names no file in Debian 12. */
  readonly cascade: string;
}

const CASCADE = '/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml';
const PACKAGES =
  'gstreamer1.0-tools gstreamer1.0-opencv gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly gstreamer1.0-libav opencv-data';

/** @throws Error that says what to install */
export function findGstreamer(): GstreamerExecutable {
  const inspected = spawnSync('gst-inspect-1.0', ['faceblur'], { encoding: 'utf8' });
  if (inspected.status !== 0 || !existsSync(CASCADE)) {
    throw new Error(`GStreamer's faceblur is not here: apt-get install -y --no-install-recommends ${PACKAGES}`);
  }
  const version = spawnSync('gst-launch-1.0', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0] ?? '';
  return { path: 'gst-launch-1.0', version, cascade: CASCADE };
}

/** The arguments that blur an MP4 file into another, coded as a plain transcode's is. */
export function faceblurPipeline({ cascade }: GstreamerExecutable, input: string, output: string): string[] {
  const elements = [
    `filesrc location=${input}`,
    'decodebin',
    'videoconvert',
    `faceblur profile=${cascade}`,
    'videoconvert',
    'x264enc speed-preset=ultrafast pass=quant',
    'mp4mux',
    `filesink location=${output}`,
  ];
  return ['-q', ...elements.join(' ! ').split(' ')];
}
