/** Small things that the parts of the page share. */

/** The element with that id, of that class. */
export function find<T extends Element>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

/** A number of bytes, for people. */
export function bytesAsText(bytes: number): string {
  return bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(bytes < 10000 ? 2 : 1)} KB`;
}

/** A whole number, its thousands set apart; in a hundredth of the time that `toLocaleString` takes at first. */
export function withCommas(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Draw a picture that fills the canvas. */
export function draw(canvas: HTMLCanvasElement, image: ImageData): void {
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}
