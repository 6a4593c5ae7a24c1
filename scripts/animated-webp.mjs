// Joins pictures in WebP to one that moves: the container of RIFF, as https://developers.google.com/speed/webp/docs/riff_container has it.
// The pictures are not encoded again.

/** `images`: files with one picture each, all of the same size. Plays for ever. */
export function animatedWebp(images, frameMs) {
  const pictures = images.map(pictureOf);
  const { width, height } = sizeOf(pictures[0]);
  const header = Buffer.alloc(10);
  header[0] = 0b10;
  header.writeUIntLE(width - 1, 4, 3);
  header.writeUIntLE(height - 1, 7, 3);
  const frames = pictures.map((picture) => {
    const head = Buffer.alloc(16);
    head.writeUIntLE(width - 1, 6, 3);
    head.writeUIntLE(height - 1, 9, 3);
    head.writeUIntLE(frameMs, 12, 3);
    // Replaces what is there: nothing is blended.
    head[15] = 0b10;
    return chunk('ANMF', Buffer.concat([head, picture]));
  });
  const body = Buffer.concat([
    Buffer.from('WEBP'),
    chunk('VP8X', header),
    chunk('ANIM', Buffer.alloc(6)),
    ...frames,
  ]);
  return chunk('RIFF', body);
}

function chunk(name, data) {
  const head = Buffer.alloc(8);
  head.write(name);
  head.writeUInt32LE(data.length, 4);
  return Buffer.concat([head, data, Buffer.alloc(data.length % 2)]);
}

/** The chunk with the picture itself. */
function pictureOf(file) {
  for (let at = 12; at < file.length; ) {
    const size = file.readUInt32LE(at + 4);
    const end = at + 8 + size + (size % 2);
    if (file.toString('latin1', at, at + 4).startsWith('VP8 ')) return file.subarray(at, end);
    at = end;
  }
  throw new Error('no picture in this file of WebP');
}

/** Of a lossy picture: 14 bits each, after the start code of its key frame. */
function sizeOf(picture) {
  return { width: picture.readUInt16LE(14) & 0x3fff, height: picture.readUInt16LE(16) & 0x3fff };
}
