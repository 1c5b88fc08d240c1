/** The element `<cdraw-img>`: a picture that sharpens as its bytes arrive. */

import { HEADER_BYTES, type Header, parseHeader } from "../format/header.js";
import { Remote } from "./client.js";
import { FIRST_BYTES, budgetOf } from "./budget.js";
import type { Shown, Waiting } from "./protocol.js";
import { RemoteFile } from "./source.js";

const NEAR = "300px"; // from the viewport: lazy pictures begin here
const STYLE = new CSSStyleSheet(); // not an element, which a content security policy may forbid
STYLE.replaceSync(`
:host { display: inline-block; position: relative; max-width: 100%; aspect-ratio: var(--cdraw-ratio, auto);
        overflow: hidden; vertical-align: bottom; }
:host([hidden]) { display: none; }
div { width: var(--cdraw-width, 0); } /* what the box is as wide as, unless the page says otherwise */
canvas, img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: inherit; display: block; }
img.alone { position: static; width: auto; height: auto; max-width: 100%; }
canvas.empty, img[hidden] { display: none; }`);

/** What the events `progress` and `load` tell in `detail`. */
export interface ElementProgress {
  /** Steps and bytes of the file that are shown, bytes that were loaded, and those of the whole file, if known. */
  readonly steps: number;
  readonly bytes: number;
  readonly loaded: number;
  readonly total: number | undefined;
  /** Whether it is a first, smaller picture. */
  readonly preview: boolean;
}

/**
 * Shows the .cdr file at `src`. It asks the server for the beginning, then for as much as its size on screen calls for,
 * stops while it is off screen, and goes on as it grows.
 *
 * Attributes: `src`; `alt`; `steps`, the most to show; `loading="lazy"`, to begin near the viewport; `poster`, a picture
 * to show until there is one, or if there will be none. Events: `progress` with each better picture and `load` when all
 * that is wanted is shown, both with an `ElementProgress`; `error`, with an Error in `detail`: the best picture stays.
 */
export class CdrawImage extends HTMLElement {
  static readonly observedAttributes = ["src", "alt", "steps", "poster"];

  private readonly canvas = document.createElement("canvas");
  private readonly poster = document.createElement("img");
  private readonly internals = this.attachInternals();
  private readonly resized = new ResizeObserver(() => this.load());
  private readonly seen = new IntersectionObserver((entries) => this.see(entries), { rootMargin: NEAR });
  private file: RemoteFile | undefined;
  private remote: Remote | undefined;
  private head = new Uint8Array(); // the first bytes
  private header: Header | undefined;
  private last: Shown | undefined;
  private waiting: Waiting | undefined; // what the worker said last
  private least = 0; // bytes without which there is no picture
  private told = 0; // bytes of the last event `load`
  private loading: AbortController | undefined;
  private visible = false;
  private over = false; // nothing more will be shown

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [STYLE];
    this.canvas.className = "empty";
    this.canvas.part.add("picture");
    this.poster.hidden = true;
    this.poster.alt = "";
    root.append(document.createElement("div"), this.poster, this.canvas);
    this.internals.role = "img";
  }

  connectedCallback(): void {
    this.visible = false; // until it is seen
    this.seen.observe(this);
    this.resized.observe(this);
    this.load();
  }

  disconnectedCallback(): void {
    this.seen.disconnect();
    this.resized.disconnect();
    this.stop();
    this.reset();
  }

  attributeChangedCallback(name: string, before: string | null, value: string | null): void {
    if (name === "alt") this.internals.ariaLabel = value;
    if (name === "poster") this.showPoster();
    if ((name === "src" || name === "steps") && before !== value) {
      this.reset();
      if (name === "src") this.clear();
      this.load();
    }
  }

  /** Pixels of the picture; 0 before its header is there. */
  get naturalWidth(): number {
    return this.header?.width ?? 0;
  }

  get naturalHeight(): number {
    return this.header?.height ?? 0;
  }

  /** Whether all that is wanted is shown, or nothing more can be. */
  get complete(): boolean {
    return this.over || !this.getAttribute("src") || this.isDone();
  }

  private see(entries: IntersectionObserverEntry[]): void {
    this.visible = entries[entries.length - 1].isIntersecting;
    if (this.mayLoad()) this.load();
    else this.stop();
  }

  /** Whether it may load now: the header at once unless it is lazy, as it makes the box, and more near the viewport. */
  private mayLoad(): boolean {
    return this.visible || (!this.header && this.getAttribute("loading") !== "lazy");
  }

  /** Stop loading; what was decoded stays. */
  private stop(): void {
    this.loading?.abort();
    this.loading = undefined;
  }

  /** Forget the picture. */
  private reset(): void {
    this.stop();
    this.remote?.close();
    this.remote = this.file = this.header = this.last = this.waiting = undefined;
    this.least = this.told = 0;
    this.head = new Uint8Array();
    this.over = false;
  }

  /** Take the picture off the screen, as another file takes its place. */
  private clear(): void {
    this.canvas.className = "empty";
    if (!this.getAttribute("src")) this.unsize();
    this.showPoster();
  }

  /** Have no size of its own. */
  private unsize(): void {
    this.style.removeProperty("--cdraw-width");
    this.style.removeProperty("--cdraw-ratio");
  }

  /** Bytes of the file that are wanted now. */
  private get wanted(): number {
    const shown = this.clientWidth * this.clientHeight * devicePixelRatio ** 2;
    return Math.max(this.least, budgetOf(shown, this.header, this.file?.total, this.waiting?.begin));
  }

  private isEnough(): boolean {
    return this.file!.received >= Math.min(this.wanted, this.file!.total ?? Infinity);
  }

  /** Load as much as is wanted, if that is more than is there. */
  private load(): void {
    const src = this.getAttribute("src");
    if (!src || !this.isConnected || !this.mayLoad() || this.loading || this.over) return;
    this.file ??= new RemoteFile(new URL(src, this.baseURI).href);
    this.remote ??= this.opened();
    if (this.file.received === this.file.total) this.remote.end(); // its last bytes came just as it was stopped
    if (this.isEnough()) return;
    const controller = (this.loading = new AbortController());
    this.read(this.file, this.remote, controller.signal)
      .catch((error) => {
        if (!controller.signal.aborted) this.fail(error as Error);
      })
      .finally(() => {
        if (this.loading !== controller) return;
        this.loading = undefined;
        this.load(); // it may have grown meanwhile
        this.tellIfDone();
      });
  }

  private async read(file: RemoteFile, remote: Remote, signal: AbortSignal): Promise<void> {
    do {
      const to = this.wanted; // grows as header and size become known
      for await (const part of file.read(to, signal)) {
        if (remote !== this.remote) return; // it was given up meanwhile
        if (!this.header) this.look(part);
        remote.push(part);
      }
      if (file.received < to && file.total === undefined) file.total = file.received;
    } while (!signal.aborted && this.mayLoad() && !this.isEnough());
    if (file.received === file.total) remote.end();
  }

  /** Take the header from the first bytes; it makes the box. What is wrong with it, the worker tells. */
  private look(part: Uint8Array): void {
    this.head = Uint8Array.from([...this.head, ...part.subarray(0, HEADER_BYTES)]);
    if (this.head.length < HEADER_BYTES) return;
    try {
      this.header = parseHeader(this.head);
      this.poster.className = "";
      this.style.setProperty("--cdraw-width", `${this.header.width}px`);
      this.style.setProperty("--cdraw-ratio", `${this.header.width} / ${this.header.height}`);
    } catch {
      // as said
    }
  }

  private opened(): Remote {
    const steps = Number(this.getAttribute("steps")) || undefined;
    return new Remote(
      { steps, bitmap: true },
      {
        picture: (shown) => this.paint(shown),
        waiting: (waiting) => this.wait(waiting),
        done: () => {
          if (this.over) return; // it has failed
          this.over = true;
          this.stop();
          this.tell("load");
        },
        failed: (error) => this.fail(error),
      },
    );
  }

  private paint(shown: Shown): void {
    const bitmap = shown.pixels as ImageBitmap;
    [this.canvas.width, this.canvas.height] = [bitmap.width, bitmap.height];
    this.canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(bitmap);
    this.canvas.className = "";
    this.poster.hidden = true;
    this.last = shown;
    this.tell("progress");
  }

  /** All that came is shown. If that is nothing, more is wanted than the box calls for. */
  private wait(waiting: Waiting): void {
    this.waiting = waiting;
    if (!this.last) this.least = waiting.needed + FIRST_BYTES;
    this.load();
    this.tellIfDone();
  }

  /** Whether all that was wanted, though not all of the file, is shown. */
  private isDone(): boolean {
    if (!this.file || this.loading || !this.isEnough() || !this.last) return false;
    const { received, total } = this.file;
    return received !== total && this.waiting?.received === received;
  }

  private tellIfDone(): void {
    if (this.over || !this.isDone() || this.told === this.file!.received) return;
    this.told = this.file!.received;
    this.tell("load");
  }

  private tell(type: "progress" | "load"): void {
    const { steps = 0, bytes = 0, preview = false } = this.last ?? {};
    const detail: ElementProgress = { steps, bytes, preview, loaded: this.file!.received, total: this.file!.total };
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Nothing more will come; what is shown stays. */
  private fail(error: Error): void {
    if (this.over) return;
    this.over = true;
    this.stop();
    this.remote?.end();
    if (!this.header) this.unsize();
    this.showPoster();
    this.dispatchEvent(new CustomEvent("error", { detail: error }));
  }

  private showPoster(): void {
    const poster = this.getAttribute("poster");
    this.poster.hidden = !poster || this.canvas.className !== "empty";
    this.poster.className = this.header ? "" : "alone"; // it makes the box, as long as nothing else does
    if (poster) this.poster.src = poster;
  }
}

if (!customElements.get("cdraw-img")) customElements.define("cdraw-img", CdrawImage);

declare global {
  interface HTMLElementTagNameMap {
    "cdraw-img": CdrawImage;
  }
}
