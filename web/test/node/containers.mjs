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
