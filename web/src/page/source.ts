/** Where bytes come from. */

/** What can be decoded: a URL, a response, a stream, a blob or file, or bytes. */
export type Source = string | URL | Response | ReadableStream<Uint8Array> | Blob | ArrayBuffer | Uint8Array;

/** The bytes of a source, the first `most` of them. Throws what `fetch` throws, and for a bad status. */
export async function* bytesOf(source: Source, most = Infinity, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  if (source instanceof ArrayBuffer) source = new Uint8Array(source);
  if (source instanceof Uint8Array) {
    yield source.slice(0, Math.min(source.length, most));
    return;
  }
  if (source instanceof Blob) source = source.slice(0, Math.min(source.size, most)).stream();
  if (typeof source === "string" || source instanceof URL) {
    yield* new RemoteFile(String(source)).read(most, signal);
    return;
  }
  if (source instanceof Response) source = bodyOf(source, "the picture");
  yield* chunks(source, 0, most, signal);
}

/**
 * A stream's bytes from..to-1; the others are skipped, and the stream is cancelled behind them, or by the signal. They are
 * copies, for whoever made the stream may still use its own.
 */
async function* chunks(
  stream: ReadableStream<Uint8Array>,
  from: number,
  to: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  const cancel = () => void reader.cancel().catch(() => undefined); // it may have failed
  signal?.addEventListener("abort", cancel);
  let at = 0;
  try {
    while (at < to) {
      signal?.throwIfAborted();
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      if (done) return;
      const part = value.slice(Math.min(Math.max(from - at, 0), value.length), Math.min(value.length, to - at));
      at += value.length;
      if (part.length) yield part;
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
    cancel();
  }
}

function bodyOf(response: Response, name: string): ReadableStream<Uint8Array> {
  if (!response.ok || !response.body) throw new Error(`${name} cannot be loaded (status ${response.status})`);
  return response.body;
}

/** A file on a server, of which more is read when more is wanted. */
export class RemoteFile {
  /** Bytes that were read. */
  received = 0;
  /** Of the whole file, as far as the server said so. */
  total: number | undefined;

  constructor(private readonly url: string) {}

  /** Read on, up to byte `to`. A server that knows no ranges sends all, of which the rest is not read. */
  async *read(to: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    if (this.received >= Math.min(to, this.total ?? Infinity)) return;
    const begin = this.received; // before anything waits: another reading may go on from here, once this one is aborted
    const headers: Record<string, string> = {};
    if (begin || to < Infinity) headers.Range = `bytes=${begin}-${to < Infinity ? to - 1 : ""}`;
    const response = await fetch(this.url, { headers, signal });
    signal?.throwIfAborted();
    if (response.status === 416) {
      this.total = begin;
      return;
    }
    const body = bodyOf(response, this.url);
    const partial = response.status === 206;
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("Content-Range") ?? "");
    const length = Number(response.headers.get("Content-Length"));
    if (partial && range && Number(range[1]) !== begin) {
      throw new Error(`${this.url} cannot be loaded (the server sent bytes from ${range[1]} on, not from ${begin})`);
    }
    if (range && range[2] !== "*") this.total = Number(range[2]);
    else if (!partial && length && !response.headers.get("Content-Encoding")) this.total = length;
    for await (const part of partial ? chunks(body, 0, to - begin, signal) : chunks(body, begin, to, signal)) {
      this.received += part.length;
      yield part;
    }
    if (this.received === begin && begin < Math.min(to, this.total ?? begin)) {
      throw new Error(`${this.url} cannot be loaded (it ends at ${begin} of ${this.total} bytes)`);
    }
  }
}
