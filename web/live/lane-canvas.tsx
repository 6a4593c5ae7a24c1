/** The moving picture of the lanes: draws while it is visible, and takes pointer and keys. The tables below it say the same in text. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { LiveSnapshot } from '../../src/core/live-snapshot.ts';
import { theme } from '../state/theme.ts';
import type { Bar } from './bars.ts';
import { feed } from './feed.ts';
import { type Head, LanePainter, type Scene } from './lane-painter.ts';
import { barAt, busyAt, type Direction, lanesIn, layoutOf, nextBar } from './layout.ts';
import { paletteAt } from './palette.ts';
import { edgeNow, pause, range, selectBar, selection } from './view-state.ts';
import { duration, number, plural, stateInWords, troubleOf } from './words.ts';

/** 30 a second: enough for the eye, and half the work. */
const FRAME_MS = 33;
/** Where motion is not wanted, the picture steps. */
const STILL_FRAME_MS = 1_000;
const KEYS: Readonly<Record<string, Direction>> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowUp: 'up',
  ArrowDown: 'down',
};

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
    if (event.key === 'Escape') selectBar(undefined);
    if (direction === undefined) return;
    event.preventDefault();
    const scene = picture.scene();
    if (scene === undefined) return;
    const next = nextBar(scene.bars, scene.layout, scene.axis, scene.selected, direction);
    if (next === undefined) return;
    selectBar(next);
    setSaid(describe(next));
  };
  return (
    <div class="live-lanes" ref={place}>
      <div
        class="live-canvas"
        role="application"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys select what it shows
        tabIndex={0}
        aria-label="Requests in their slots over time. The arrow keys select one; its receipt is shown beside. The tables below have the same."
        onKeyDown={onKeyDown}
        onPointerMove={onPointerMove}
        onPointerLeave={() => setPointed(undefined)}
        onClick={(event) => selectBar(at(event).bar)}
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
    const lanes = lanesIn(feed.bars.all, axis);
    return {
      bars: feed.bars.all,
      layout: layoutOf(lanes.get(null) ?? 0, targetsOf(snapshot, lanes), this.#maxRoom),
      axis,
      heads: headsOf(snapshot, isBack(edge) ? busyAt(feed.bars.all, edge) : undefined),
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
    let frame = requestAnimationFrame(function draw(this: void, now: number) {
      frame = requestAnimationFrame(draw);
      if (now - last < (still.matches ? STILL_FRAME_MS : FRAME_MS) - 2) return;
      last = now;
      paint();
    });
    const paint = () => {
      const scene = this.scene();
      if (scene === undefined) return;
      const ratio = Math.min(3, devicePixelRatio);
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

/** A try that is reported late, among others that are drawn already, may need a lane more than there are slots. */
function targetsOf({ targets }: LiveSnapshot, lanes: ReadonlyMap<string | null, number>) {
  return targets.map(({ name, slots }) => ({ name, lanes: Math.max(slots, lanes.get(name) ?? 0) }));
}

/** The person looks at a time before the one of the snapshot. */
function isBack(edge: number): boolean {
  const paused = pause.get();
  return paused !== undefined && edge < paused.stoppedAt;
}

/** `busy`: what waited and ran then; the snapshot's otherwise. */
function headsOf(
  snapshot: LiveSnapshot,
  busy: ReadonlyMap<string | null, number> | undefined,
): ReadonlyMap<string, Head> {
  const waiting =
    busy === undefined
      ? snapshot.models.reduce((sum, model) => sum + model.waiting, 0)
      : (busy.get(null) ?? 0);
  const queue = {
    title: 'Queue',
    note: waiting === 0 ? 'empty' : `${number(waiting)} waiting`,
    alarming: false,
    slots: 0,
  };
  return new Map<string, Head>([
    ['', queue],
    ...snapshot.targets.map((target): [string, Head] => {
      const trouble = busy === undefined ? troubleOf(target) : [];
      const used = busy === undefined ? target.slots_used : (busy.get(target.name) ?? 0);
      return [
        target.name,
        {
          title: target.name,
          note: [`${used} of ${plural(target.slots, 'slot')}`, ...trouble].join(' · '),
          alarming: trouble.length > 0,
          slots: target.slots,
        },
      ];
    }),
  ]);
}
