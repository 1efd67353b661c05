/**
 * How other programs send to a stream: each a name, what to do, and the fields to copy. A field's `value` is called with
 * what stands for the key: the key itself, or its mask.
 */
export function recipes({ id, rtmp, whip }) {
  // The address before its last segment is OBS' "server"; the segment is the beginning of its "stream key".
  const server = rtmp.slice(0, rtmp.lastIndexOf('/'));
  const h264 = '-c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 60 -pix_fmt yuv420p';
  return [
    {
      name: 'OBS Studio',
      hint: 'Settings → Stream → Service: Custom. Any OBS; H.264 and AAC.',
      fields: [
        { label: 'Server', value: () => server },
        { label: 'Stream key', value: (key) => `${id}?key=${key}` },
      ],
    },
    {
      name: 'OBS Studio with WHIP',
      hint: 'Settings → Stream → Service: WHIP. OBS 30 and later; less delay than RTMP.',
      fields: [
        { label: 'Server', value: () => whip },
        { label: 'Bearer token', value: (key) => key },
      ],
    },
    {
      name: 'ffmpeg',
      hint: 'Sends a file over RTMP at the speed it plays at.',
      fields: [
        {
          label: 'Command',
          value: (key) => `ffmpeg -re -i in.mp4 ${h264} -c:a aac -ar 48000 -f flv "${rtmp}?key=${key}"`,
        },
      ],
    },
    {
      name: 'ffmpeg with WHIP',
      hint: 'ffmpeg 8 and later.',
      fields: [
        {
          label: 'Command',
          value: (key) =>
            `ffmpeg -re -i in.mp4 ${h264} -profile:v baseline -c:a libopus -ar 48000 -ac 2 -f whip -authorization "${key}" "${whip}"`,
        },
      ],
    },
    {
      name: 'GStreamer with WHIP',
      hint: 'Needs the plugin rswebrtc of gst-plugins-rs.',
      fields: [
        {
          label: 'Command',
          value: (key) =>
            `gst-launch-1.0 v4l2src ! videoconvert ! whipclientsink signaller::whip-endpoint="${whip}" signaller::auth-token="${key}"`,
        },
      ],
    },
  ];
}
