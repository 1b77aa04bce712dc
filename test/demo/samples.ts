/** Real media, made here: a PNG that every viewer opens, and a WAV that every player plays. */
import { crc32, deflateSync } from "node:zlib";

const PNG_SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");

/** A gradient of `size` × `size` pixels whose colours follow from `hue` (0–255). */
export function png(size: number, hue: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 2, 0, 0, 0], 8); // 8 bits, RGB, no interlace
  const rows = Buffer.alloc(size * (1 + size * 3));
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const at = y * (1 + size * 3) + 1 + x * 3;
      rows[at] = (hue + x) & 0xff;
      rows[at + 1] = (hue * 2 + y) & 0xff;
      rows[at + 2] = ((x ^ y) + hue * 3) & 0xff;
    }
  }
  return Buffer.concat([PNG_SIGNATURE, chunk("IHDR", header), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

function chunk(type: string, data: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(8 + typed.length);
  framed.writeUInt32BE(data.length, 0);
  typed.copy(framed, 4);
  framed.writeUInt32BE(crc32(typed), 4 + typed.length);
  return framed;
}

const SAMPLES_PER_SECOND = 8000;

/** A tone of `hertz` for `seconds`: PCM, 16 bits, one channel. */
export function wav(seconds: number, hertz: number): Buffer {
  const samples = Math.round(seconds * SAMPLES_PER_SECOND);
  const file = Buffer.alloc(44 + samples * 2);
  file.write("RIFF", 0, "latin1");
  file.writeUInt32LE(36 + samples * 2, 4);
  file.write("WAVEfmt ", 8, "latin1");
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(SAMPLES_PER_SECOND, 24);
  file.writeUInt32LE(SAMPLES_PER_SECOND * 2, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write("data", 36, "latin1");
  file.writeUInt32LE(samples * 2, 40);
  for (let at = 0; at < samples; at++) {
    const value = Math.sin((2 * Math.PI * hertz * at) / SAMPLES_PER_SECOND);
    file.writeInt16LE(Math.round(value * 12_000), 44 + at * 2);
  }
  return file;
}
