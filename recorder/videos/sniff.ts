/** So many bytes tell what a file is. */
export const SNIFFED_BYTES = 4096;

const TS_PACKET_BYTES = 188;
const M2TS_PACKET_BYTES = 192;
/** Boxes that an MP4 or QuickTime file may begin with. @see ISO/IEC 14496-12 §4.3; QuickTime File Format, atoms */
const FIRST_BOXES: ReadonlySet<string> = new Set(['ftyp', 'moov', 'mdat', 'wide', 'free', 'skip', 'pnot', 'styp']);
const ASF = Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex');

/**
 * Whether a file may be a video, by its first bytes and not by its name: one of the containers that the engine opens.
 * Nothing is parsed; a file that passes may be broken, or something else all the same.
 * @param head its first `SNIFFED_BYTES`, or all of it
 */
export function looksLikeVideo(head: Buffer): boolean {
  if (head.length < 12) return false;
  const text = head.subarray(0, 12).toString('latin1');
  if (FIRST_BOXES.has(text.slice(4, 8))) return true;
  // EBML, which Matroska and WebM are.
  if (head.subarray(0, 4).equals(Buffer.from([0x1a, 0x45, 0xdf, 0xa3]))) return true;
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'AVI ') return true;
  if (/^(FLV|OggS|GIF8)/.test(text)) return true;
  if (head.subarray(0, 16).equals(ASF)) return true;
  if (isPacketised(head, TS_PACKET_BYTES, 0) || isPacketised(head, M2TS_PACKET_BYTES, 4)) return true;
  // A program stream's pack, or a start code of an elementary stream (H.264, H.265, MPEG-2).
  return head.readUIntBE(0, 3) === 1 || head.readUInt32BE(0) === 1;
}

function isPacketised(head: Buffer, packetBytes: number, at: number): boolean {
  if (head.length < at + 2 * packetBytes + 1) return false;
  for (let sync = at; sync < head.length; sync += packetBytes) if (head[sync] !== 0x47) return false;
  return true;
}
