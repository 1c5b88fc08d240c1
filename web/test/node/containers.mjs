/** What tests need to write files. */


/** CRC-32; `before` is that of the bytes before these. */
export function crc32(bytes, before = 0) {
  let value = ~before;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return ~value >>> 0;
}

/** Seven bits a byte, least significant first. */
export function packLength(length) {
  return length < 128 ? [length] : [(length & 127) | 128, ...packLength(length >>> 7)];
}

/** The file with one more chunk, before its others. */
export function withChunk(file, name, payload) {
  const head = Buffer.from(file.subarray(0, 32));
  head[19]++;
  head.writeUInt32LE(crc32(head.subarray(0, 28)), 28);
  const parts = [head];
  let chain = crc32(head.subarray(0, 26));
  const add = (bytes) => {
    chain = crc32(bytes, chain);
    parts.push(bytes, Buffer.of(chain & 255, (chain >>> 8) & 255, (chain >>> 16) & 255));
  };
  add(Buffer.from([...Buffer.from(name), ...packLength(payload.length), ...payload]));
  for (let at = 32, i = 0; at < file.length; i++) {
    let end = at + (i < file[19] ? 4 : 0);
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      length += (file[end] & 127) * 2 ** shift;
      if (file[end++] < 128) break;
    }
    end += length;
    add(file.subarray(at, end));
    at = end + 3;
  }
  return Buffer.concat(parts);
}
