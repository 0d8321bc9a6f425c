// A tar archive (POSIX ustar) of a few small text files, so that a device's
// files arrive as one download, in a folder, with the key readable by its owner only.

export interface File {
  readonly name: string;
  readonly text: string;
  /** POSIX permission bits. */
  readonly mode: number;
}

const BLOCK = 512;
const encoder = new TextEncoder();

/** Packs the files into a folder. Names, folder included, must fit in 100 bytes: longer ones throw. */
export function tar(folder: string, files: readonly File[], at: number): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [header(`${folder}/`, 0, 0o755, "5", at)];
  for (const file of files) {
    const content = encoder.encode(file.text);
    parts.push(header(`${folder}/${file.name}`, content.length, file.mode, "0", at), content, new Uint8Array(-content.length & (BLOCK - 1)));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

function header(path: string, size: number, mode: number, type: string, at: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (offset: number, text: string) => block.set(encoder.encode(text), offset);
  const octal = (offset: number, digits: number, value: number) => put(offset, `${value.toString(8).padStart(digits, "0")}\0`);
  if (encoder.encode(path).length > 100) throw new RangeError(`the name ${path} is too long for the archive`);
  put(0, path);
  octal(100, 7, mode);
  octal(108, 7, 0);
  octal(116, 7, 0);
  octal(124, 11, size);
  octal(136, 11, Math.floor(at / 1000));
  put(148, "        "); // the checksum counts its own place as spaces
  put(156, type);
  put(257, "ustar\x0000");
  octal(148, 6, block.reduce((sum, byte) => sum + byte, 0));
  put(155, " ");
  return block;
}
