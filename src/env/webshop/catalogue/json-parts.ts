/**
 * Cuts a long JSON list or object into its parts without parsing the whole: bytes come in chunks of any size, each part goes out as soon
 * as it is complete. Works on bytes, so that a character split between two chunks is nothing special. What is not JSON is named, and
 * reading goes on at the next place that looks like the start of a part. Does not know what parts mean.
 */
import { isUtf8 } from "node:buffer";

/** One element of a list, or one `"name": value` of an object. */
export interface Part {
  readonly bytes: Buffer;
  /** Place in the file, from 0, in bytes. */
  readonly offset: number;
  /** Follows on damage: may be a piece of a damaged part. */
  readonly doubtful: boolean;
}

export interface PartHandlers {
  part(part: Part): void;
  /** What is wrong, and where. One call for each stretch of damage. */
  damage(problem: string, offset: number): void;
}

const [TAB, NEWLINE, RETURN, SPACE, QUOTE, COMMA, BACKSLASH] = [9, 10, 13, 32, 34, 44, 92];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [91, 93, 123, 125];
/** A part longer than this is taken for damage. */
const LONGEST_PART = 64 * 2 ** 20;

/** 1 for bytes that mean nothing here outside of strings: white space, colons, numbers, the letters of true, false, null, NaN, Infinity. */
const PLAIN = new Uint8Array(256);
for (const character of "\t\n\r :0123456789+-.eEtruefalsnINity") PLAIN[character.charCodeAt(0)] = 1;

const isSpace = (byte: number): boolean => byte === SPACE || byte === NEWLINE || byte === RETURN || byte === TAB;

type State = "before" | "between" | "part" | "after" | "lost";

export class JsonParts {
  private readonly open: number;
  private readonly close: number;
  private state: State = "before";
  /** Bytes not done with. */
  private held: Buffer = Buffer.alloc(0);
  /** Place of `held` in the file. */
  private base = 0;
  /** Next byte of `held` to look at. */
  private at = 0;
  /** Start of the current part in `held`. */
  private start = 0;
  private inString = false;
  private escaped = false;
  /** Closing brackets that are due, innermost last. */
  private readonly due: number[] = [];
  private afterComma = false;
  private doubtful = false;
  /** Looking for `}`, `,`, the start of a part: how much of that was seen. */
  private seen = 0;

  constructor(
    kind: "list" | "object",
    private readonly handlers: PartHandlers,
  ) {
    [this.open, this.close] = kind === "list" ? [OPEN_LIST, CLOSE_LIST] : [OPEN_OBJECT, CLOSE_OBJECT];
  }

  push(chunk: Uint8Array): void {
    this.held = this.held.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : Buffer.concat([this.held, chunk]);
    this.scan();
    const done = this.state === "part" || (this.state === "lost" && this.seen > 2) ? this.start : this.at;
    this.held = this.held.subarray(done);
    this.base += done;
    this.at -= done;
    this.start -= done;
  }

  /** Call once after the last chunk. @returns what is missing when the file ends too early */
  end(): string | undefined {
    if (this.state === "after") return undefined;
    if (this.state === "before") return `the file holds no ${this.open === OPEN_LIST ? "list" : "object"}`;
    if (this.state !== "part") return `the file ends at byte ${this.base + this.at} before its last bracket`;
    const problem = `the file ends inside the part that begins at byte ${this.base + this.start}: it is cut, or a bracket or quote is missing there`;
    // What follows on a missing bracket was taken for a piece of that part.
    while (this.state === "part") {
      this.resume(this.start);
      this.scan();
    }
    return problem;
  }

  private scan(): void {
    while (this.at < this.held.length) {
      if (this.state === "part") this.scanPart();
      else if (this.state === "lost") this.findStart();
      else this.scanBetween(this.held[this.at]!);
    }
  }

  private scanBetween(byte: number): void {
    if (isSpace(byte) || (this.state === "before" && this.base + this.at < 3 && byte >= 0xbb)) {
      this.at++; // White space, or a byte-order mark.
    } else if (this.state === "before") {
      if (byte === this.open) {
        this.at++;
        this.state = "between";
      } else this.lose(`the file does not begin with "${String.fromCharCode(this.open)}"`, this.at);
    } else if (this.state === "after") this.lose("there is something after the last bracket", this.at);
    else if (byte === this.close && !this.afterComma) {
      this.at++;
      this.state = "after";
    } else {
      this.state = "part";
      this.start = this.at;
    }
  }

  private scanPart(): void {
    const { held } = this;
    const { length } = held;
    let at = this.at;
    for (;;) {
      if (this.inString) {
        if (this.escaped && at < length) {
          this.escaped = false;
          at++;
        }
        let byte = SPACE;
        while (at < length) {
          byte = held[at]!;
          if (byte === QUOTE || byte === BACKSLASH || byte < SPACE) break;
          at++;
        }
        this.at = at;
        if (at === length) break;
        if (byte < SPACE) {
          this.lose("a string holds a control character; a quote is missing before it", at);
          return;
        }
        if (byte === QUOTE) this.inString = false;
        else this.escaped = true;
      } else {
        while (at < length && PLAIN[held[at]!] === 1) at++;
        this.at = at;
        if (at === length) break;
        if (!this.scanMark(held[at]!)) return;
      }
      at++;
    }
    if (length - this.start > LONGEST_PART)
      this.lose(`a part is longer than ${LONGEST_PART / 2 ** 20} MiB; a bracket or quote is missing`, length);
  }

  /** A byte outside of strings that is not plain; whether the part goes on. */
  private scanMark(byte: number): boolean {
    if (byte === QUOTE) this.inString = true;
    else if (byte === OPEN_OBJECT) this.due.push(CLOSE_OBJECT);
    else if (byte === OPEN_LIST) this.due.push(CLOSE_LIST);
    else if (byte === COMMA) {
      if (this.due.length > 0) return true;
      this.finish(this.at, "between");
      return false;
    } else if (byte !== CLOSE_OBJECT && byte !== CLOSE_LIST) {
      this.lose("there is text outside of a string", this.at);
      return false;
    } else if (this.due.length === 0 && byte === this.close) {
      this.finish(this.at, "after");
      return false;
    } else if (this.due.pop() !== byte) {
      this.lose(`a bracket "${String.fromCharCode(byte)}" closes nothing`, this.at);
      return false;
    }
    return true;
  }

  /** The current part ends before `end`. */
  private finish(end: number, next: State): void {
    const bytes = this.held.subarray(this.start, end);
    const offset = this.base + this.start;
    const doubtful = this.doubtful;
    this.at = end + 1;
    this.state = next;
    this.afterComma = next === "between";
    if (!isUtf8(bytes)) this.handlers.damage("it is not UTF-8", offset);
    else if (bytes.every(isSpace)) this.handlers.damage("a value is missing", offset);
    else this.handlers.part({ bytes, offset, doubtful });
  }

  /** Gives the current part up and goes on at what looks like the start of another after its own. */
  private lose(problem: string, at: number): void {
    const from = this.state === "part" ? this.start : at;
    // Damage shows again and again until the next sound part: it is named once.
    if (!this.doubtful) this.handlers.damage(`${problem} (byte ${this.base + at})`, this.base + from);
    this.resume(from);
  }

  /** Looks for the start of a part from here on. */
  private resume(from: number): void {
    // Before anything after the last bracket stands that bracket.
    this.seen = this.state === "after" ? 1 : 0;
    this.state = "lost";
    this.doubtful = true;
    this.inString = false;
    this.escaped = false;
    this.due.length = 0;
    this.at = from;
  }

  /** Tells that parts are sound again after damage. */
  trust(): void {
    this.doubtful = false;
  }

  /** Looks for the end of a part, a comma and the start of another: `}, {"` in a list, `}, "` or `], "` in an object. */
  private findStart(): void {
    const { held } = this;
    const list = this.open === OPEN_LIST;
    for (; this.at < held.length; this.at++) {
      const byte = held[this.at]!;
      if (byte === CLOSE_OBJECT || (!list && byte === CLOSE_LIST)) this.seen = 1;
      else if (isSpace(byte)) {
        // White space may stand anywhere in the pattern.
      } else if (this.seen === 1 && byte === COMMA) this.seen = 2;
      else if (this.seen === 2 && list && byte === OPEN_OBJECT) {
        this.seen = 3;
        this.start = this.at;
      } else if (byte === QUOTE && (this.seen === 3 || (this.seen === 2 && !list))) {
        if (!list) this.start = this.at;
        this.at = this.start;
        this.state = "part";
        this.afterComma = true;
        return;
      } else this.seen = 0;
    }
  }
}

/** JSON as Python reads it: NaN and the infinities are values too, and become null. @throws SyntaxError */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)/g, (part) => (part.startsWith('"') ? part : "null")));
  }
}

/** Calls `member` with the name and the bytes of the value of each member of a JSON object, in the order of the text. */
function eachMember(object: Uint8Array, member: (name: string, value: Buffer) => void): void {
  const parts = new JsonParts("object", {
    part({ bytes }) {
      const text = bytes.toString();
      const name = /^\s*("(?:[^"\\]|\\.)*")\s*:/.exec(text);
      if (name) member(JSON.parse(name[1]!) as string, Buffer.from(text.slice(name[0].length)));
    },
    damage: () => {},
  });
  parts.push(object);
}

/**
 * The names of the object that is one member of another, in the order of the text, which JSON.parse does not keep for names that look
 * like numbers. @param record a sound JSON object
 */
export function namesInOrder(record: Uint8Array, name: string): string[] {
  let names: string[] = [];
  eachMember(record, (other, value) => {
    if (other !== name) return;
    names = [];
    eachMember(value, (inner) => names.push(inner));
  });
  return names;
}
