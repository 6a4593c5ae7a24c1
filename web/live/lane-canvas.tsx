/** The moving picture of the lanes: draws while it is visible, and takes pointer and keys. The tables below it say the same in text. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { theme } from '../state/theme.ts';
import type { Bar } from './bars.ts';
import { feed } from './feed.ts';
import { type Head, LanePainter, type Scene } from './lane-painter.ts';
import {
  barAt,
  barsIn,
  busyAt,
  type Direction,
  lanesIn,
  layoutOf,
  nextBar,
  type ShownTarget,
  targetsShown,
} from './layout.ts';
import { paletteAt } from './palette.ts';
import { edgeNow, pause, range, selectBar, selection } from './view-state.ts';
import { duration, leaseNotes, number, plural, stateInWords, troubleOf } from './words.ts';

/** 30 a second: enough for the eye, and half the work. Fewer where a frame would move the picture by less than half a pixel. */
const FRAME_MS = 33;
const FRAME_PX = 0.5;
/** Where motion is not wanted, the picture steps. */
const STILL_FRAME_MS = 1_000;
const KEYS: Readonly<Record<string, Direction>> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowUp: 'up',
  ArrowDown: 'down',
};

/** Of the element that takes the keys. */
export const LANES_ID = 'live-lanes';

interface Pointed {
  readonly bar: Bar;
  readonly x: number;
  readonly y: number;
}

export function LaneCanvas() {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [pointed, setPointed] = useState<Pointed>();
  const [said, setSaid] = useState('');
  const picture = useMemo(() => new Picture(), []);
  picture.pointed = pointed?.bar;
  useEffect(() => {
    if (place.current === null || canvas.current === null) return undefined;
    return picture.start(place.current, canvas.current);
  }, [picture]);

  const at = (event: PointerEvent | MouseEvent) => {
    const box = canvas.current?.getBoundingClientRect();
    const point = { x: event.clientX - (box?.left ?? 0), y: event.clientY - (box?.top ?? 0) };
    const scene = picture.scene();
    return { ...point, bar: scene && barAt(scene.bars, scene.layout, scene.axis, point) };
  };
  const onPointerMove = (event: PointerEvent) => {
    const { bar, x, y } = at(event);
    setPointed(bar === undefined ? undefined : { bar, x, y });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const direction = KEYS[event.key];
    if (event.key === 'Escape') selectBar(undefined, 'keys');
    if (direction === undefined) return;
    event.preventDefault();
    const scene = picture.scene();
    if (scene === undefined) return;
    const next = nextBar(scene.bars, scene.layout, scene.axis, scene.selected, direction);
    if (next === undefined) return;
    selectBar(next, 'keys');
    setSaid(describe(next));
  };
  return (
    <div class="live-lanes" ref={place}>
      <div
        class="live-canvas"
        id={LANES_ID}
        role="application"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys select what it shows
        tabIndex={0}
        aria-label="Requests in their slots over time. The arrow keys select one; its receipt is shown beside. The tables below have the same."
        onKeyDown={onKeyDown}
        onPointerMove={onPointerMove}
        onPointerLeave={() => setPointed(undefined)}
        onClick={(event) => selectBar(at(event).bar, 'pointer')}
      >
        <canvas ref={canvas} />
      </div>
      {pointed !== undefined && <Tip {...pointed} width={place.current?.clientWidth ?? 0} />}
      <p class="visually-hidden" role="status">
        {said}
      </p>
    </div>
  );
}

function Tip({ bar, x, y, width }: Pointed & { readonly width: number }) {
  const right = x > width / 2;
  const style = right
    ? { right: `${width - x + 12}px`, top: `${y + 12}px` }
    : { left: `${x + 12}px`, top: `${y + 12}px` };
  const now = edgeNow();
  return (
    <div class="live-tip" style={style} aria-hidden="true">
      <b>{stateInWords(bar, now)}</b>
      <span>
        {bar.requestId.slice(0, 28)} · {bar.model}
      </span>
      <span>
        waited {duration((bar.startedAt ?? bar.endedAt ?? now) - bar.enqueuedAt)}
        {bar.startedAt !== null && ` · ran ${duration((bar.endedAt ?? now) - bar.startedAt)}`}
      </span>
      <span>
        {number(bar.promptTokens)} prompt tokens, {number(bar.tokens)} of the answer
      </span>
      {bar.batch !== null && bar.batch.size > 1 && <span>in a batch of {bar.batch.size}</span>}
    </div>
  );
}

function describe(bar: Bar): string {
  const where = bar.target === null ? 'in the queue' : `at ${bar.target}`;
  return `${bar.requestId}, ${bar.model}, ${where}: ${stateInWords(bar, edgeNow())}, ${plural(bar.tokens, 'token')}`;
}

/** What is drawn, and when. Owns the canvas while it is in the page. */
class Picture {
  pointed: Bar | undefined;
  #width = 0;
  #maxRoom = 420;

  /** Undefined before the first snapshot. */
  scene(): Scene | undefined {
    const snapshot = pause.get()?.snapshot ?? feed.snapshot.get();
    const edge = edgeNow();
    if (snapshot === undefined || Number.isNaN(edge) || this.#width === 0) return undefined;
    const chosen = selection.get();
    const axis = { edge, rangeMs: range.get(), width: this.#width };
    const bars = barsIn(feed.bars.all, axis);
    const lanes = lanesIn(bars, axis);
    const targets = targetsShown(snapshot.targets, lanes);
    const waiting = snapshot.models.reduce((sum, model) => sum + model.waiting, 0);
    return {
      bars,
      layout: layoutOf(lanes.get(null) ?? 0, targets, this.#maxRoom),
      axis,
      heads: headsOf(targets, { waiting, busy: isBack(edge) ? busyAt(bars, edge) : undefined }),
      gaps: feed.gaps,
      selected: chosen !== undefined && 'bar' in chosen ? chosen.bar : undefined,
      pointed: this.pointed,
    };
  }

  start(place: HTMLElement, canvas: HTMLCanvasElement): () => void {
    const context = canvas.getContext('2d');
    if (context === null) return () => {};
    const painter = new LanePainter(context, paletteAt(place, context));
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const still = matchMedia('(prefers-reduced-motion: reduce)');
    const recolour = () => {
      painter.palette = paletteAt(place, context);
    };
    dark.addEventListener('change', recolour);
    const unsubscribe = theme.subscribe(recolour);
    const resize = new ResizeObserver(() => {
      this.#width = place.clientWidth;
      this.#maxRoom = this.#width < 600 ? 280 : 420;
    });
    resize.observe(place);
    this.#width = place.clientWidth;
    let height = 0;
    let last = Number.NEGATIVE_INFINITY;
    let drawn: readonly unknown[] = [];
    let frame = requestAnimationFrame(function draw(this: void, now: number) {
      frame = requestAnimationFrame(draw);
      const usual = Math.max(FRAME_MS, (FRAME_PX * range.get()) / Math.max(1, place.clientWidth));
      if (now - last < (still.matches ? STILL_FRAME_MS : usual) - 2) return;
      last = now;
      paint();
    });
    const paint = () => {
      const ratio = Math.min(3, devicePixelRatio);
      // A picture that stands still is drawn again only when something of it has changed.
      const shown: readonly unknown[] = [
        ...[edgeNow(), range.get(), this.#width, ratio, painter.palette],
        ...[feed.snapshot.get(), selection.get(), this.pointed],
      ];
      if (shown.every((value, at) => Object.is(value, drawn[at]))) return;
      const scene = this.scene();
      if (scene === undefined) return;
      drawn = shown;
      const size = [Math.round(scene.axis.width * ratio), Math.round(scene.layout.height * ratio)] as const;
      if (canvas.width !== size[0] || canvas.height !== size[1]) {
        [canvas.width, canvas.height] = size;
        recolour();
      }
      if (height !== scene.layout.height) {
        height = scene.layout.height;
        canvas.style.height = `${height}px`;
      }
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      painter.paint(scene);
    };
    return () => {
      cancelAnimationFrame(frame);
      resize.disconnect();
      dark.removeEventListener('change', recolour);
      unsubscribe();
    };
  }
}

/** The person looks at a time before the one of the snapshot. */
function isBack(edge: number): boolean {
  const paused = pause.get();
  return paused !== undefined && edge < paused.stoppedAt;
}

/** `waiting`: as the snapshot has it. `busy`: what waited and ran at a time before it. */
function headsOf(
  targets: readonly ShownTarget[],
  {
    waiting,
    busy,
  }: { readonly waiting: number; readonly busy: ReadonlyMap<string | null, number> | undefined },
): ReadonlyMap<string, Head> {
  const count = busy === undefined ? waiting : (busy.get(null) ?? 0);
  const note = count === 0 ? 'empty' : `${number(count)} waiting`;
  return new Map<string, Head>([
    ['', { title: 'Queue', note, alarming: false, slots: 0 }],
    ...targets.map(({ name, now }): [string, Head] => {
      if (now === undefined) return [name, { title: name, note: 'removed', alarming: false, slots: 0 }];
      const trouble = busy === undefined ? troubleOf(now) : [];
      const used = busy === undefined ? now.slots_used : (busy.get(name) ?? 0);
      return [
        name,
        {
          title: name,
          note: [
            `${used} of ${plural(now.slots, 'slot')}`,
            ...(busy === undefined ? leaseNotes(now) : []),
            ...trouble,
          ].join(' · '),
          alarming: trouble.length > 0,
          slots: now.slots,
        },
      ];
    }),
  ]);
}
