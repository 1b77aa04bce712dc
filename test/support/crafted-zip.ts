/** ZIPs that nobody would write, byte by byte. */
import { crc32, deflateRawSync } from "node:zlib";

export type Member = {
  readonly name: string;
  readonly data: Buffer;
  readonly deflate?: boolean;
  readonly flags?: number;
  readonly method?: number;
  readonly crc?: number;
  readonly size?: number;
  readonly packed?: Buffer;
  readonly centralName?: string;
  readonly attributes?: number;
  readonly offset?: number;
  readonly extra?: Buffer;
};

/** A ZIP with anything wrong in it that is asked for. */
export function craft(
  members: readonly Member[],
  end: { comment?: string; prefix?: Buffer; count?: number; disk?: number; gap?: Buffer } = {},
): Buffer {
  const locals: Buffer[] = [end.prefix ?? Buffer.alloc(0)];
  const central: Buffer[] = [];
  let offset = 0;
  for (const member of members) {
    const packed = member.packed ?? (member.deflate === true ? deflateRawSync(member.data) : member.data);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(member.flags ?? 0, 2);
    fields.writeUInt16LE(member.method ?? (member.deflate === true ? 8 : 0), 4);
    fields.writeUInt32LE(member.crc ?? crc32(member.data), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(member.size ?? member.data.length, 18);
    fields.writeUInt16LE(member.name.length, 22);
    fields.writeUInt16LE(member.extra?.length ?? 0, 24);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), fields, Buffer.from(member.name), member.extra ?? Buffer.alloc(0), packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(member.attributes ?? 0, 6);
    tail.writeUInt32LE(member.offset ?? offset, 10);
    const centralFields = Buffer.from(fields);
    centralFields.writeUInt16LE(0, 24);
    central.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x03"), centralFields, tail, Buffer.from(member.centralName ?? member.name)]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const record = Buffer.alloc(18);
  record.writeUInt16LE(end.disk ?? 0, 0);
  record.writeUInt16LE(end.count ?? members.length, 4);
  record.writeUInt16LE(end.count ?? members.length, 6);
  record.writeUInt32LE(directory.length, 8);
  record.writeUInt32LE(offset + (end.gap?.length ?? 0), 12);
  record.writeUInt16LE(end.comment?.length ?? 0, 16);
  return Buffer.concat([
    ...locals,
    end.gap ?? Buffer.alloc(0),
    directory,
    Buffer.from("PK\x05\x06"),
    record,
    Buffer.from(end.comment ?? ""),
  ]);
}
/** The member that names the others. */
export const meta = (value: unknown): Member => ({ name: "_meta", data: Buffer.from(JSON.stringify(value)) });
