/**
 * Protocol-buffer writing, as much of it as an ONNX model needs, and ONNX's messages by the field numbers of onnx.proto. Big tensors stay
 * on the disk until their turn to be written. Knows no operator and no model.
 */

/** Bytes that are made when they are written. */
export interface LazyBytes {
  readonly byteLength: number;
  read(): Promise<Uint8Array>;
}

export type Piece = Uint8Array | LazyBytes;

const VARINT = 0;
const DELIMITED = 2;
const FIXED32 = 5;

/** Base-128 digits, least significant first; a negative number is its 64-bit two's complement. */
function varint(value: number | bigint): Uint8Array {
  const digits: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 0x80n; rest >>= 7n) digits.push(Number(rest & 0x7fn) | 0x80);
  digits.push(Number(rest));
  return Uint8Array.from(digits);
}

/** A message under construction. Fields are written in the order of the calls; empty values are written, too. */
export class Message {
  readonly pieces: Piece[] = [];
  byteLength = 0;

  #add(...pieces: readonly Piece[]): this {
    for (const piece of pieces) {
      this.pieces.push(piece);
      this.byteLength += piece.byteLength;
    }
    return this;
  }

  /** An int64 or an enum. */
  int(field: number, ...values: readonly number[]): this {
    for (const value of values) this.#add(varint((field << 3) | VARINT), varint(value));
    return this;
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#add(varint((field << 3) | FIXED32), bytes);
  }

  bytes(field: number, value: Piece): this {
    return this.#add(varint((field << 3) | DELIMITED), varint(value.byteLength), value);
  }

  text(field: number, ...values: readonly string[]): this {
    for (const value of values) this.bytes(field, new TextEncoder().encode(value));
    return this;
  }

  message(field: number, ...values: readonly Message[]): this {
    for (const { byteLength, pieces } of values) this.#add(varint((field << 3) | DELIMITED), varint(byteLength), ...pieces);
    return this;
  }
}

/** TensorProto.DataType. */
export const DATA_TYPE = { float32: 1, int64: 7, bool: 9, float16: 10 } as const;
export type DataType = keyof typeof DATA_TYPE;

/** A dimension: a size, or the name of one that is known at run time. */
export type Dimension = number | string;

/** TensorProto with its data inside (raw_data: little-endian, row-major). */
export function tensor(name: string, type: DataType, dims: readonly number[], data: Piece): Message {
  return new Message()
    .int(1, ...dims)
    .int(2, DATA_TYPE[type])
    .text(8, name)
    .bytes(9, data);
}

/** TensorProto with its data in another file of the same folder. */
export function externalTensor(
  name: string,
  type: DataType,
  dims: readonly number[],
  place: { readonly file: string; readonly offset: number; readonly length: number },
): Message {
  return new Message()
    .int(1, ...dims)
    .int(2, DATA_TYPE[type])
    .text(8, name)
    .message(13, ...entries({ location: place.file, offset: String(place.offset), length: String(place.length) }))
    .int(14, 1);
}

/** What a node's attribute may be: a whole number, a list of them. */
export type Attribute = number | readonly number[];

function attribute(name: string, value: Attribute): Message {
  const message = new Message().text(1, name);
  return typeof value === "number" ? message.int(3, value).int(20, 2) : message.int(8, ...value).int(20, 7);
}

/** NodeProto of the default operator set. */
export function node(
  name: string,
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>>,
): Message {
  return new Message()
    .text(1, ...inputs)
    .text(2, ...outputs)
    .text(3, name)
    .text(4, operator)
    .message(5, ...Object.entries(attributes).map(([key, value]) => attribute(key, value)));
}

/** ValueInfoProto of a tensor. */
export function valueInfo(name: string, type: DataType, dims: readonly Dimension[]): Message {
  const shape = new Message().message(
    1,
    ...dims.map((dim) => (typeof dim === "number" ? new Message().int(1, dim) : new Message().text(2, dim))),
  );
  const tensorType = new Message().int(1, DATA_TYPE[type]).message(2, shape);
  return new Message().text(1, name).message(2, new Message().message(1, tensorType));
}

export function graph(parts: {
  readonly name: string;
  readonly nodes: readonly Message[];
  readonly initializers: readonly Message[];
  readonly inputs: readonly Message[];
  readonly outputs: readonly Message[];
}): Message {
  return new Message()
    .message(1, ...parts.nodes)
    .text(2, parts.name)
    .message(5, ...parts.initializers)
    .message(11, ...parts.inputs)
    .message(12, ...parts.outputs);
}

function entries(map: Readonly<Record<string, string>>): Message[] {
  return Object.entries(map).map(([key, value]) => new Message().text(1, key).text(2, value));
}

export function model(parts: {
  readonly graph: Message;
  readonly irVersion: number;
  readonly opset: number;
  readonly producer: { readonly name: string; readonly version: string };
  readonly metadata: Readonly<Record<string, string>>;
}): Message {
  return new Message()
    .int(1, parts.irVersion)
    .text(2, parts.producer.name)
    .text(3, parts.producer.version)
    .message(7, parts.graph)
    .message(8, new Message().text(1, "").int(2, parts.opset))
    .message(14, ...entries(parts.metadata));
}
