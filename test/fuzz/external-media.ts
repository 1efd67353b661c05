/** Boxes that hold a `dref`, from the outside in. */
const PARENTS = ['moov', 'trak', 'mdia', 'minf', 'dinf', 'dref'];

/**
 * An MP4 file whose first track's samples are said to lie in another file, by a QuickTime alias. Its index must stand
 * behind its media, so that no place moves.
 * @see QuickTime File Format, "Data reference atoms"
 */
export function withExternalMedia(bytes: Buffer, target: string): Buffer {
  const result = Buffer.from(bytes);
  let at = 0;
  const sizesAt: number[] = [];
  for (const parent of PARENTS) {
    at = result.indexOf(parent, at, 'latin1');
    sizesAt.push(at - 4);
  }
  // Behind the type: version and flags, the number of entries, the first entry.
  const entry = at + 4 + 8;
  const held = result.readUInt32BE(entry);
  const alias = aliasBox(target);
  for (const sizeAt of sizesAt) result.writeUInt32BE(result.readUInt32BE(sizeAt) + alias.length - held, sizeAt);
  return Buffer.concat([result.subarray(0, entry), alias, result.subarray(entry + held)]);
}

function aliasBox(path: string): Buffer {
  const record = Buffer.alloc(150);
  record.write('disk', 11, 'latin1');
  record.writeUInt8(4, 10);
  const name = path.slice(path.lastIndexOf('/') + 1);
  record.writeUInt8(name.length, 50);
  record.write(name, 51, 'latin1');
  // How many folders lead from this file and to the other.
  record.writeUInt16BE(1, 130);
  record.writeUInt16BE(1, 132);
  const text = Buffer.from(path + (path.length % 2 ? '\0' : ''), 'latin1');
  const tagged = Buffer.alloc(4);
  tagged.writeUInt16BE(18, 0);
  tagged.writeUInt16BE(path.length, 2);
  const end = Buffer.from([0xff, 0xff, 0, 0]);
  const head = Buffer.alloc(12);
  head.write('alis', 4, 'latin1');
  const box = Buffer.concat([head, record, tagged, text, end]);
  box.writeUInt32BE(box.length, 0);
  return box;
}
