/** How many bytes of a file a box on the screen calls for. */

import { HEADER_BYTES, type Header } from "../format/header.js";

export const FIRST_BYTES = 2048; // header, chunks of a plain file, and some steps
const BITS = 2; // for each pixel of the screen, where the size of the file is not known

/**
 * shown: pixels of the screen that the picture fills. total: bytes of the file, if known. begin: of its first step, which
 * header and chunks come before.
 *
 * A file has as many bytes for each pixel as its quality takes. A smaller picture of that quality takes as many for each
 * of its own pixels, and a box with at least the picture's pixels all of them. WebP alone is of no use in part.
 */
export function budgetOf(
  shown: number,
  header: Header | undefined,
  total: number | undefined,
  begin = HEADER_BYTES,
): number {
  if (!header) return FIRST_BYTES;
  const share = shown / (header.width * header.height);
  if (share >= 1 || (header.webp && !header.steps)) return Infinity;
  const bytes = total === undefined ? (BITS * shown) / 8 : share * (total - begin);
  return Math.max(FIRST_BYTES, Math.ceil(begin + bytes));
}
