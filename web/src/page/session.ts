/** One picture in the worker: takes bytes as they come, and shows what they make. */

import { Decoding, checkHeader } from "../decoding.js";
import { segmentsOf } from "../format/header.js";
import { Incoming } from "../format/parts.js";
import type { Model } from "../model/model.js";
import type { Convolver } from "../network/convolution.js";
import type { FromWorker, Request } from "./protocol.js";

const SHARE = 4; // showing takes no more than 1/4 of the time, while further steps are waiting

/** What all pictures share. */
export interface Machine {
  /** The model of a fingerprint. */
  model(fingerprint: string): Promise<Model>;
  convolver(): Promise<Convolver>;
  /** Runs one task after the other, and lets messages in between. */
  inTurn<T>(task: () => Promise<T>): Promise<T>;
}

/** Reads one file. */
export class Session {
  private readonly incoming = new Incoming();
  private decoding: Decoding | undefined;
  private damage: unknown;
  private ended = false;
  private closed = false;
  private shown = 0; // segments that the last picture shows
  private previewed = false;
  private lastShown = -Infinity;
  private cost = 0; // milliseconds that it took
  private wake: () => void = () => undefined;

  constructor(
    private readonly id: number,
    private readonly request: Request,
    private readonly machine: Machine,
    private readonly post: (message: FromWorker, transfer?: Transferable[]) => void,
  ) {}

  /** Take bytes. */
  push(bytes: Uint8Array): void {
    try {
      this.incoming.push(bytes);
    } catch (error) {
      this.damage = error;
    }
    this.wake();
  }

  /** No more bytes will come. */
  end(): void {
    this.ended = true;
    this.wake();
  }

  /** The picture is not wanted any more. */
  close(): void {
    this.closed = true;
    this.wake();
  }

  /** Decode until the file ends, enough is shown, or nobody wants it. */
  async run(): Promise<void> {
    try {
      await this.steps();
      if (!this.closed) this.post({ kind: "done", id: this.id });
    } catch (error) {
      if (this.closed) return;
      await this.show(true).catch(() => undefined); // the best so far
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      this.post({ kind: "error", id: this.id, name, message });
    } finally {
      this.decoding = undefined; // and its memory
    }
  }

  private async steps(): Promise<void> {
    while (!this.closed) {
      const segment = this.damage ? undefined : this.incoming.nextSegment();
      if (segment) {
        const decoding = (this.decoding ??= await this.begun());
        await this.machine.inTurn(() => decoding.take(segment));
        if (this.isEnough() || this.isDue()) await this.show();
        if (this.isEnough() && !this.isWhole()) return; // nobody asks what follows
        continue;
      }
      if (this.damage) throw this.damage;
      if (this.incoming.header) checkHeader(this.incoming.header, this.request.maxPixels);
      if (this.ended) {
        this.incoming.end();
        return;
      }
      const { received, begin, nextEnd } = this.incoming;
      const needed = Math.max(nextEnd ?? 0, received + 1);
      this.post({ kind: "waiting", id: this.id, waiting: { received, begin, needed } });
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  private async begun(): Promise<Decoding> {
    const header = this.incoming.header!;
    checkHeader(header, this.request.maxPixels);
    const [model, convolver] = [await this.machine.model(header.model), await this.machine.convolver()];
    return new Decoding(model, convolver, header, this.incoming.chunks, this.request);
  }

  private isEnough(): boolean {
    const all = segmentsOf(this.incoming.header!);
    return !!this.decoding && this.decoding.taken >= Math.min(this.request.steps ?? all, all);
  }

  /** Whether all of the file was decoded, so that nothing may follow. */
  private isWhole(): boolean {
    return this.decoding!.taken === segmentsOf(this.incoming.header!);
  }

  /** Whether it is time for a picture. */
  private isDue(): boolean {
    const { pace = "some" } = this.request;
    if (pace !== "some") return pace === "every";
    return !this.incoming.hasNext || performance.now() - this.lastShown > SHARE * this.cost;
  }

  /** Show what is known: the first time, unless it is also the last, as a preview. */
  private async show(last = this.isEnough()): Promise<void> {
    const { decoding } = this;
    if (!decoding || decoding.taken === this.shown || this.closed) return;
    const sampled = this.request.fill === "prior";
    if (sampled && !last) return; // nothing can follow a sample
    const steps = decoding.taken;
    await this.machine.inTurn(async () => {
      const start = performance.now();
      const final = this.previewed || this.request.pace === "last" || last;
      const small = final ? undefined : decoding.preview();
      this.previewed = true;
      const pixels = small ?? (await decoding.pixels());
      const shown = { steps, bytes: this.incoming.consumed, preview: small !== undefined };
      if (this.request.bitmap) {
        const bitmap = await createImageBitmap(new ImageData(pixels.data, pixels.width, pixels.height));
        this.post({ kind: "picture", id: this.id, shown: { ...shown, pixels: bitmap } }, [bitmap]);
      } else {
        this.post({ kind: "picture", id: this.id, shown: { ...shown, pixels } }, [pixels.data.buffer]);
      }
      if (!small) this.shown = steps;
      this.lastShown = performance.now();
      this.cost = this.lastShown - start;
    });
    const time = !this.incoming.hasNext || this.request.pace === "every";
    if (this.shown !== steps && time) await this.show(); // the real one, behind a preview
  }
}
