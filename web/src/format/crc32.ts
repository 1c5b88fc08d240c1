const TABLE = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  let value = i;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  TABLE[i] = value;
}

/** CRC-32 of zlib and PNG, an unsigned number; `before` is that of the bytes before these. */
export function crc32(data: Uint8Array, before = 0): number {
  let value = ~before;
  for (let i = 0; i < data.length; i++) value = TABLE[(value ^ data[i]) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}
