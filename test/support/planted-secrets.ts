/**
 * Secrets that are planted in a server, and the search for them in all that it gives away: as they are, in the encodings that something
 * may have put them in, and in parts. Pure.
 */
import { randomBytes } from 'node:crypto';

export interface PlantedSecret {
  /** What it is, for the message. */
  readonly name: string;
  readonly text: string;
  /** So many characters of its beginning may be shown. */
  readonly shownCharacters?: number;
}

/** What somebody may see. */
export interface Output {
  readonly name: string;
  readonly bytes: string | Uint8Array;
}

/** A part of this length, anywhere in it, gives a secret away: 60 of its bits or more. */
const PART_CHARACTERS = 12;

/** Random, and with characters that URLs, JSON and shells encode where `isPassword`. */
export function plantedSecret(name: string, { isPassword = false } = {}): PlantedSecret {
  const random = randomBytes(24).toString('base64url');
  return { name, text: isPassword ? `${random.slice(0, 16)}+/="'${random.slice(16)}` : random };
}

/** Each secret that an output has in it, and how it is written there. */
export function findSecrets(outputs: readonly Output[], secrets: readonly PlantedSecret[]): string[] {
  const forms = secrets.flatMap(formsOf);
  return outputs.flatMap(({ name, bytes }) => {
    // One character a byte: what is not text is searched too.
    const text = typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('latin1');
    const lower = text.toLowerCase();
    const found = forms.filter(({ written, ignoresCase }) => (ignoresCase ? lower : text).includes(written));
    const once = new Map(found.map((form) => [`${form.secret} ${form.how}`, form]));
    return [...once.values()].map(({ secret, how }) => `${name} has ${secret} ${how}`);
  });
}

interface Form {
  readonly secret: string;
  readonly how: string;
  readonly written: string;
  readonly ignoresCase?: boolean;
}

function formsOf({ name: secret, text, shownCharacters = 0 }: PlantedSecret): readonly Form[] {
  const hidden = text.slice(shownCharacters);
  const parts = Array.from({ length: Math.max(1, hidden.length - PART_CHARACTERS + 1) }, (_, at) =>
    hidden.slice(at, at + PART_CHARACTERS),
  );
  const hex = Buffer.from(hidden).toString('hex');
  const json = JSON.stringify(hidden).slice(1, -1);
  return [
    ...parts.map((written) => ({ secret, how: 'as it is, or a part of it', written })),
    ...[encodeURIComponent(hidden), encodeURI(hidden)].map((written) => ({
      secret,
      how: 'as in a URL',
      written,
    })),
    { secret, how: 'as in JSON', written: json },
    { secret, how: 'as in JSON within JSON', written: JSON.stringify(json).slice(1, -1) },
    { secret, how: 'in hexadecimal', written: hex, ignoresCase: true },
    ...base64Forms(hidden).map((written) => ({ secret, how: 'in Base64', written })),
  ];
}

/** Wherever in the encoded text it begins: of each of the three shifts, the characters that depend on the secret alone. */
function base64Forms(text: string): readonly string[] {
  return [0, 1, 2].flatMap((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), Buffer.from(text)]).toString('base64');
    const first = Math.ceil((shift * 8) / 6);
    const last = Math.floor(((shift + Buffer.byteLength(text)) * 8) / 6);
    const own = encoded.slice(first, last);
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });
}
