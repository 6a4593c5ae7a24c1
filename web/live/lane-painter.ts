/** Draws the lanes: the queue above, then each target, over the time axis. Only draws; what it draws and where is decided elsewhere. */
import type { Bar } from './bars.ts';
import { AXIS, type Group, type Layout, stretchIn, type TimeAxis, ticksOf, xOf } from './layout.ts';
import type { Palette } from './palette.ts';

export interface Scene {
  /** In the time that is shown. */
  readonly bars: readonly Bar[];
  readonly layout: Layout;
  readonly axis: TimeAxis;
  /** By target, and of the queue under the empty name: what stands above its lanes. */
  readonly heads: ReadonlyMap<string, Head>;
  /** Stretches of time without snapshots. */
  readonly gaps: readonly { readonly from: number; readonly to: number | null }[];
  readonly selected: Bar | undefined;
  readonly pointed: Bar | undefined;
}

export interface Head {
  readonly title: string;
  readonly note: string;
  /** Something is wrong there. */
  readonly alarming: boolean;
  /** Lanes that are slots now; the others were slots before. */
  readonly slots: number;
}

/** Waits are joined to their slots only while that can be followed with the eye. */
const MAX_JOINS = 120;
const FONT = '12px system-ui, "DejaVu Sans", sans-serif';
const SMALL_FONT = '10px system-ui, "DejaVu Sans", sans-serif';

export class LanePainter {
  readonly #on: CanvasRenderingContext2D;
  palette: Palette;

  constructor(context: CanvasRenderingContext2D, palette: Palette) {
    this.#on = context;
    this.palette = palette;
  }

  paint(scene: Scene): void {
    const { layout, axis } = scene;
    this.#on.clearRect(0, 0, axis.width, layout.height);
    this.#paintAxis(layout, axis);
    for (const group of layout.groups) this.#paintTracks(group, scene);
    const batches = new Map<string, { x: number; top: number; bottom: number; size: number }>();
    const joins: Bar[] = [];
    const groups = new Map(layout.groups.map((group) => [group.target, group]));
    const queue = groups.get(null);
    for (const bar of scene.bars) {
      if (queue !== undefined) this.#paintWait(bar, queue, axis);
      const group = bar.target === null ? undefined : groups.get(bar.target);
      if (group === undefined) continue;
      if (!this.#paintRun(bar, group, scene)) continue;
      if (bar.batch !== null && bar.batch.size > 1) noteBatch(batches, bar, group, axis);
      if (bar.previous !== null || bar.queueLane !== null) joins.push(bar);
    }
    for (const batch of batches.values()) this.#paintBatch(batch, layout.dense);
    for (const bar of joins) this.#paintJoins(bar, scene, joins.length <= MAX_JOINS);
    for (const gap of scene.gaps) this.#paintGap(gap, layout, axis);
    for (const bar of [scene.pointed, scene.selected]) if (bar !== undefined) this.#outline(bar, scene);
  }

  #paintAxis({ height }: Layout, axis: TimeAxis): void {
    const on = this.#on;
    on.font = SMALL_FONT;
    on.textBaseline = 'middle';
    on.textAlign = 'center';
    for (const time of ticksOf(axis)) {
      const x = Math.round(xOf(time, axis)) + 0.5;
      on.fillStyle = this.palette.line;
      on.fillRect(x, 0, 1, height - AXIS + 4);
      on.fillStyle = this.palette.quiet;
      if (x > 24 && x < axis.width - 24) on.fillText(clockTime(time), x, height - AXIS / 2 + 2);
    }
  }

  #paintTracks(group: Group, { heads, axis }: Scene): void {
    const on = this.#on;
    const head = heads.get(group.target ?? '');
    if (group.target !== null)
      for (let lane = 0; lane < group.lanes; lane += 1) {
        on.globalAlpha = head !== undefined && lane >= head.slots ? 0.35 : 1;
        on.fillStyle = this.palette.track;
        on.fillRect(0, group.top + lane * group.pitch, axis.width, group.thickness);
      }
    on.globalAlpha = 1;
    if (head === undefined) return;
    on.font = `600 ${FONT}`;
    on.textAlign = 'left';
    on.textBaseline = 'middle';
    const y = group.top - 10;
    const width = on.measureText(head.title).width;
    on.font = FONT;
    const noteWidth = on.measureText(head.note).width;
    // Lines of the axis do not run through it.
    on.fillStyle = this.palette.ground;
    on.fillRect(0, y - 8, width + noteWidth + 16, 17);
    on.fillStyle = this.palette.text;
    on.font = `600 ${FONT}`;
    on.fillText(head.title, 0, y);
    on.font = FONT;
    on.fillStyle = head.alarming ? this.palette.fail : this.palette.quiet;
    on.fillText(head.note, width + 10, y);
  }

  #paintWait(bar: Bar, group: Group, axis: TimeAxis): void {
    const stretch = stretchIn(group, bar, axis);
    if (stretch === undefined) return;
    const on = this.#on;
    const x = xOf(stretch.from, axis);
    const width = Math.max(1, xOf(stretch.to, axis) - x);
    const y = group.top + stretch.lane * group.pitch;
    const lost = bar.startedAt === null && bar.endedAt !== null && bar.endedAt <= axis.edge;
    const colour = lost
      ? bar.outcome === 'cancelled'
        ? 'cancel'
        : bar.outcome === 'unknown'
          ? 'wait'
          : 'fail'
      : 'wait';
    on.fillStyle = this.palette[colour];
    on.globalAlpha = bar.endedAt === null && bar.startedAt === null ? 1 : 0.6;
    on.fillRect(x, y, width, group.thickness);
    if (bar.reason === 'batch_window') {
      on.fillStyle = this.palette.dots;
      on.fillRect(x, y, width, group.thickness);
    }
    on.globalAlpha = 1;
    if (lost && bar.outcome !== 'unknown') this.#endMark(bar, x + width, y, group.thickness);
  }

  /** False: it is not in the picture. */
  #paintRun(bar: Bar, group: Group, { axis, layout }: Scene): boolean {
    const stretch = stretchIn(group, bar, axis);
    if (stretch === undefined) return false;
    const on = this.#on;
    const y = group.top + stretch.lane * group.pitch;
    const left = xOf(stretch.from, axis);
    const right = Math.max(left + 1, xOf(stretch.to, axis));
    const over = bar.endedAt !== null && bar.endedAt <= axis.edge;
    const token =
      bar.firstTokenAt === null || bar.firstTokenAt > stretch.to ? null : xOf(bar.firstTokenAt, axis);
    // Where the answer came in one piece, nothing is known of a first token.
    const whole = over && bar.firstTokenAt === null && bar.outcome === 'completed';
    const tokenX = whole ? left : (token ?? right);
    const colour = this.#colourOf(bar, over);
    const gap = right - left > 4 ? 1 : 0;
    if (tokenX > left) {
      on.fillStyle = this.palette[colour === 'stream' || colour === 'done' ? 'before' : colour];
      on.globalAlpha = over ? 0.75 : 1;
      on.fillRect(left, y, tokenX - left - (token === null ? gap : 0), group.thickness);
      on.globalAlpha = 1;
      this.#fillPattern(this.palette.stripes, left, y, tokenX - left, group.thickness);
    }
    if (right > tokenX) {
      on.fillStyle = this.palette[colour];
      on.fillRect(tokenX, y, right - tokenX - gap, group.thickness);
    }
    if (colour === 'fail') this.#fillPattern(this.palette.crossed, left, y, right - left, group.thickness);
    if (colour === 'cancel') this.#fillPattern(this.palette.dots, left, y, right - left, group.thickness);
    if (token !== null && right - left > 6) {
      on.fillStyle = this.palette.text;
      on.fillRect(token - 0.75, y, 1.5, group.thickness);
    }
    if (layout.dense) return true;
    if (over) this.#endMark(bar, right, y, group.thickness);
    this.#label(bar, over, Math.max(tokenX, 0), Math.min(right, axis.width), y, group.thickness);
    return true;
  }

  #colourOf(bar: Bar, over: boolean): 'stream' | 'done' | 'cancel' | 'fail' {
    if (!over) return 'stream';
    if (bar.outcome === 'completed' || bar.outcome === 'unknown') return 'done';
    return bar.outcome === 'cancelled' ? 'cancel' : 'fail';
  }

  #fillPattern(pattern: CanvasPattern | string, x: number, y: number, width: number, height: number): void {
    if (height < 5 || width < 3) return;
    const on = this.#on;
    on.save();
    // It moves with its bar.
    on.translate(x, y);
    on.globalAlpha = 0.55;
    on.fillStyle = pattern;
    on.fillRect(0, 0, width, height);
    on.restore();
  }

  #endMark(bar: Bar, x: number, y: number, thickness: number): void {
    const on = this.#on;
    const size = Math.min(5, thickness / 2);
    const middle = y + thickness / 2;
    if (bar.outcome === 'completed' || bar.outcome === 'unknown') {
      if (bar.outcome === 'unknown' || thickness < 5) return;
      on.fillStyle = this.palette.stream;
      on.fillRect(x - 3.5, y, 2.5, thickness);
      return;
    }
    on.lineWidth = 2;
    on.strokeStyle = on.fillStyle = this.palette[bar.outcome === 'cancelled' ? 'text' : 'fail'];
    on.beginPath();
    if (bar.outcome === 'cancelled') {
      for (const sign of [-1, 1]) {
        on.moveTo(x - size, middle - sign * size);
        on.lineTo(x + size, middle + sign * size);
      }
      on.stroke();
      return;
    }
    on.moveTo(x - size - 1, middle + size);
    on.lineTo(x, middle - size - 1);
    on.lineTo(x + size + 1, middle + size);
    on.closePath();
    on.fill();
  }

  #label(bar: Bar, over: boolean, from: number, to: number, y: number, thickness: number): void {
    // Of a time that is past, the tokens until then are not known.
    if (thickness < 13 || bar.tokens === 0 || (!over && bar.endedAt !== null)) return;
    const on = this.#on;
    on.font = SMALL_FONT;
    const text = `${bar.tokens} tokens`;
    if (to - from < on.measureText(text).width + 14) return;
    on.textAlign = 'left';
    on.textBaseline = 'middle';
    on.fillStyle = over ? this.palette.text : this.palette.ground;
    on.fillText(text, from + 6, y + thickness / 2 + 0.5);
  }

  /** Left the queue together. */
  #paintBatch(batch: { x: number; top: number; bottom: number; size: number }, dense: boolean): void {
    const on = this.#on;
    on.strokeStyle = on.fillStyle = this.palette.text;
    on.lineWidth = 1.5;
    on.beginPath();
    on.moveTo(batch.x + 3, batch.top);
    on.lineTo(batch.x, batch.top);
    on.lineTo(batch.x, batch.bottom);
    on.lineTo(batch.x + 3, batch.bottom);
    on.stroke();
    if (dense || batch.bottom - batch.top < 12) return;
    on.font = SMALL_FONT;
    on.textAlign = 'right';
    on.textBaseline = 'middle';
    const text = `batch of ${batch.size}`;
    const width = on.measureText(text).width;
    if (batch.x - width < 8) return;
    on.fillStyle = this.palette.ground;
    on.globalAlpha = 0.85;
    on.fillRect(batch.x - width - 7, batch.top - 1, width + 5, 12);
    on.globalAlpha = 1;
    on.fillStyle = this.palette.text;
    on.fillText(text, batch.x - 4, batch.top + 5);
  }

  /** From its wait to its slot, and from the try before. */
  #paintJoins(bar: Bar, { layout, axis, selected, pointed }: Scene, all: boolean): void {
    const on = this.#on;
    const group = layout.groups.find(({ target }) => target === bar.target);
    const queue = layout.groups[0];
    if (group === undefined || queue === undefined || bar.startedAt === null || bar.lane === null) return;
    const chosen = bar === selected || bar === pointed;
    const x = xOf(bar.startedAt, axis);
    const y = group.top + bar.lane * group.pitch + group.thickness / 2;
    if (bar.queueLane !== null && (all || chosen) && x >= 0) {
      on.strokeStyle = this.palette.wait;
      on.globalAlpha = chosen ? 1 : 0.3;
      on.lineWidth = chosen ? 2 : 1;
      on.beginPath();
      on.moveTo(x, queue.top + bar.queueLane * queue.pitch + queue.thickness);
      on.lineTo(x, y);
      on.stroke();
      on.globalAlpha = 1;
    }
    const { previous } = bar;
    if (previous?.endedAt == null || previous.lane === null) return;
    const before = layout.groups.find(({ target }) => target === previous.target);
    if (before === undefined) return;
    const fromX = xOf(previous.endedAt, axis);
    if (x < 0) return;
    const fromY = before.top + previous.lane * before.pitch + before.thickness / 2;
    const bend = Math.max(12, (x - fromX) / 2);
    on.strokeStyle = on.fillStyle = this.palette.fail;
    on.lineWidth = 1.75;
    on.setLineDash([4, 3]);
    on.beginPath();
    on.moveTo(fromX, fromY);
    on.bezierCurveTo(fromX + bend, fromY, x - bend, y, x, y);
    on.stroke();
    on.setLineDash([]);
    on.beginPath();
    on.arc(x, y, 3, 0, 2 * Math.PI);
    on.fill();
  }

  #paintGap(gap: { from: number; to: number | null }, { height }: Layout, axis: TimeAxis): void {
    const from = Math.max(0, xOf(gap.from, axis));
    const to = Math.min(axis.width, xOf(gap.to ?? axis.edge, axis));
    if (to - from < 1) return;
    const on = this.#on;
    on.fillStyle = this.palette.ground;
    on.globalAlpha = 0.8;
    on.fillRect(from, 0, to - from, height - AXIS);
    on.globalAlpha = 1;
    this.#fillPattern(this.palette.dots, from, 0, to - from, height - AXIS);
    if (to - from < 90) return;
    on.font = FONT;
    on.textAlign = 'center';
    on.textBaseline = 'middle';
    on.fillStyle = this.palette.quiet;
    on.fillText('not connected', (from + to) / 2, (height - AXIS) / 2);
  }

  #outline(bar: Bar, { layout, axis, selected }: Scene): void {
    const on = this.#on;
    on.strokeStyle = this.palette.accent;
    on.lineWidth = bar === selected ? 2.5 : 1.5;
    for (const group of layout.groups) {
      const stretch = stretchIn(group, bar, axis);
      if (stretch === undefined) continue;
      const x = xOf(stretch.from, axis);
      const y = group.top + stretch.lane * group.pitch;
      on.strokeRect(x - 2, y - 2, Math.max(1, xOf(stretch.to, axis) - x) + 4, group.thickness + 4);
    }
  }
}

function noteBatch(
  batches: Map<string, { x: number; top: number; bottom: number; size: number }>,
  bar: Bar,
  group: Group,
  axis: TimeAxis,
): void {
  if (bar.batch === null || bar.startedAt === null || bar.lane === null) return;
  // A restarted server counts its batches anew.
  const id = `${bar.batch.id} ${Math.round(bar.startedAt / 10_000)}`;
  const top = group.top + bar.lane * group.pitch;
  const bottom = top + group.thickness;
  const batch = batches.get(id);
  if (batch === undefined) {
    batches.set(id, { x: xOf(bar.startedAt, axis) - 3, top, bottom, size: bar.batch.size });
    return;
  }
  batch.x = Math.min(batch.x, xOf(bar.startedAt, axis) - 3);
  batch.top = Math.min(batch.top, top);
  batch.bottom = Math.max(batch.bottom, bottom);
}

function clockTime(time: number): string {
  const date = new Date(time);
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}
