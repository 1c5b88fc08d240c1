/** What a file does wrong: invalid, damaged, cut off, or of another model. `message` is a plain sentence. */
export class CdrError extends Error {
  override name = "CdrError";
}

/** The file ends, or is damaged, behind its first `steps` steps, which can be shown. */
export class TruncatedError extends CdrError {
  override name = "TruncatedError";

  constructor(
    message: string,
    readonly steps: number,
  ) {
    super(message);
  }
}

/** What a model file does wrong. */
export class ModelError extends Error {
  override name = "ModelError";
}
