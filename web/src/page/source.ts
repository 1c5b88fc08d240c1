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
  yield* chunks(source, 0, most);
}

/** A stream's bytes from..to-1; the others are skipped, and the stream is cancelled behind them. */
async function* chunks(stream: ReadableStream<Uint8Array>, from: number, to: number): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  let at = 0;
  try {
    while (at < to) {
      const { done, value } = await reader.read();
      if (done) return;
      const part = value.subarray(Math.min(Math.max(from - at, 0), value.length), Math.min(value.length, to - at));
      at += value.length;
      if (part.length) yield part;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // it may have failed
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
    const headers: Record<string, string> = {};
    if (this.received || to < Infinity) headers.Range = `bytes=${this.received}-${to < Infinity ? to - 1 : ""}`;
    const response = await fetch(this.url, { headers, signal });
    if (response.status === 416) {
      this.total = this.received;
      return;
    }
    const body = bodyOf(response, this.url);
    const partial = response.status === 206;
    const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "");
    const length = Number(response.headers.get("Content-Length"));
    if (range) this.total = Number(range[2]);
    else if (!partial && length && !response.headers.get("Content-Encoding")) this.total = length;
    const begin = this.received;
    for await (const part of partial ? chunks(body, 0, to - begin) : chunks(body, begin, to)) {
      this.received += part.length;
      yield part;
    }
  }
}
