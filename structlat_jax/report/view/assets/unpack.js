"use strict";

/* Arrays as `packed.py` writes them: {shape, numbers}. */
function unpack(packed) {
  const text = atob(packed.f4 === undefined ? packed.i2 : packed.f4);
  const bytes = Uint8Array.from(text, (sign) => sign.charCodeAt(0));
  if (packed.f4 !== undefined) {
    return { shape: packed.shape, numbers: new Float32Array(bytes.buffer) };
  }
  const whole = new Int16Array(bytes.buffer);
  const value = (n) => (n === -32768 ? NaN : packed.low + (n + 32767) * packed.step);
  return { shape: packed.shape, numbers: Float32Array.from(whole, value) };
}

/* What stands at leading indices: a number, or arrays of arrays. */
function at(array, ...index) {
  let size = array.shape.reduce((a, b) => a * b, 1);
  let start = 0;
  index.forEach((i, axis) => {
    size /= array.shape[axis];
    start += i * size;
  });
  return nested(array.numbers.subarray(start, start + size), array.shape.slice(index.length));
}

function nested(numbers, shape) {
  if (!shape.length) return numbers[0];
  if (shape.length === 1) return Array.from(numbers);
  const size = numbers.length / shape[0];
  const rows = Array.from({ length: shape[0] }, (_, i) => i);
  return rows.map((i) => nested(numbers.subarray(i * size, (i + 1) * size), shape.slice(1)));
}

/* The least and the greatest of numbers, of which there may be more than a call takes arguments. */
function extent(values) {
  const known = values.filter(Number.isFinite);
  const low = known.reduce((a, b) => Math.min(a, b), known.length ? Infinity : 0);
  return [low, known.reduce((a, b) => Math.max(a, b), known.length ? -Infinity : 0)];
}

/* A run of the page with its arrays unpacked. */
function unpackedRun(run) {
  const isArray = (value) => value !== null && typeof value === "object" && "shape" in value;
  const entries = Object.entries(run).map(([k, v]) => [k, isArray(v) ? unpack(v) : v]);
  return Object.fromEntries(entries);
}
