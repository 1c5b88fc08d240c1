/** A slow line: what is fetched of .cdr files passes at so many bytes a second, all of them together. */

const TICK = 50; // milliseconds

/** rate: bytes a second, asked for again and again; 0 for no limit. */
export function throttle(rate: () => number): void {
  const fetched = window.fetch.bind(window);
  let free = 0; // when the line is free again
  window.fetch = async (input, init) => {
    const response = await fetched(input, init);
    const url = String(input instanceof Request ? input.url : input);
    if (!url.endsWith(".cdr") || !response.body || !rate()) return response;
    const slow = new TransformStream<Uint8Array, Uint8Array>({
      async transform(chunk, controller) {
        const piece = Math.max(1, Math.round((rate() * TICK) / 1000) || chunk.length);
        for (let at = 0; at < chunk.length; at += piece) {
          const part = chunk.slice(at, at + piece);
          free = Math.max(free, performance.now()) + (rate() ? (1000 * part.length) / rate() : 0);
          await new Promise((resolve) => setTimeout(resolve, free - performance.now()));
          controller.enqueue(part);
        }
      },
    });
    return new Response(response.body.pipeThrough(slow), response);
  };
}
