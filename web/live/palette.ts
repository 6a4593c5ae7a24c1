/**
 * The colours of the canvas, as the style sheet has them in the theme that is shown, and the patterns that say the same without colour:
 * stripes before the first token, crossed stripes where something failed, dots where a client left.
 */
const NAMES = {
  text: '--text',
  quiet: '--quiet',
  line: '--line',
  ground: '--surface',
  track: '--raised',
  accent: '--accent',
  wait: '--live-wait',
  before: '--live-before',
  stream: '--live-stream',
  done: '--live-done',
  fail: '--live-fail',
  cancel: '--live-cancel',
} as const;

export type Colours = Readonly<Record<keyof typeof NAMES, string>>;

export interface Palette extends Colours {
  /** The ground's colour, to be laid over a bar. */
  readonly stripes: CanvasPattern | string;
  readonly crossed: CanvasPattern | string;
  readonly dots: CanvasPattern | string;
}

/** `place`: an element in the page; it is the browser that knows what `light-dark()` is there. */
export function coloursAt(place: HTMLElement): Colours {
  const probe = document.createElement('span');
  probe.hidden = true;
  place.append(probe);
  const entries = Object.entries(NAMES).map(([name, property]) => {
    probe.style.color = `var(${property})`;
    return [name, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(entries) as Record<keyof typeof NAMES, string>;
}

export function paletteAt(place: HTMLElement, context: CanvasRenderingContext2D): Palette {
  const colours = coloursAt(place);
  return {
    ...colours,
    stripes: pattern(context, colours.ground, (tile) => diagonal(tile, 1)),
    crossed: pattern(context, colours.ground, (tile) => {
      diagonal(tile, 1);
      diagonal(tile, -1);
    }),
    dots: pattern(context, colours.ground, (tile) => {
      tile.beginPath();
      tile.arc(4, 4, 1.5, 0, 2 * Math.PI);
      tile.fill();
    }),
  };
}

const TILE = 8;

function pattern(
  context: CanvasRenderingContext2D,
  colour: string,
  draw: (tile: CanvasRenderingContext2D) => void,
): CanvasPattern | string {
  const tile = document.createElement('canvas');
  tile.width = TILE;
  tile.height = TILE;
  const on = tile.getContext('2d');
  if (on === null) return 'transparent';
  on.strokeStyle = colour;
  on.fillStyle = colour;
  on.lineWidth = 1.8;
  draw(on);
  return context.createPattern(tile, 'repeat') ?? 'transparent';
}

/** A line across the tile, and its parts in the corners that the neighbours need. */
function diagonal(tile: CanvasRenderingContext2D, sign: 1 | -1): void {
  tile.beginPath();
  for (const shift of [-TILE, 0, TILE]) {
    tile.moveTo(shift, sign === 1 ? TILE : 0);
    tile.lineTo(shift + TILE, sign === 1 ? 0 : TILE);
  }
  tile.stroke();
}
