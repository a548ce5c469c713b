/** Loaded before a program: its wall clock is POSTHORN_CLOCK_SHIFT_MS ahead. Monotonic clocks and timers stay. */
const shiftMs = Number(process.env['POSTHORN_CLOCK_SHIFT_MS']);
const RealDate = Date;

class ShiftedDate extends RealDate {
  constructor(...args: readonly [] | [value: number | string | Date]) {
    super(args[0] ?? ShiftedDate.now());
  }

  static override now(): number {
    return RealDate.now() + shiftMs;
  }
}

globalThis.Date = ShiftedDate as DateConstructor;

const offMs = Date.now() - (performance.timeOrigin + performance.now());
console.error(`the clock is ${Math.round(offMs / 3_600_000)} h off`);
