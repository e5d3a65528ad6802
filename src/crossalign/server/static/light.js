// Light on the photo: numbers of crops spread over their boxes, averaged where boxes overlap.

import { deviation, mean } from "./evidence.js";
import { amount, make } from "./draw.js";

const GRID = 64;
const SETTLED = 2; // with fewer crops than a few, a place keeps close to the average
const FULL = 2.5; // so many of the usual deviations make a place as dark, or as blue, as can be
const DARKEST = 210;
const BLUE = [86, 180, 233];
const ORANGE = [230, 159, 0];

// For every cell of a coarse grid the mean of the values of the crops that cover it.
function spread(boxes, values, [width, height]) {
  const scale = GRID / Math.max(width, height);
  const columns = Math.max(1, Math.round(width * scale));
  const rows = Math.max(1, Math.round(height * scale));
  const sums = new Float64Array(columns * rows);
  const counts = new Uint16Array(columns * rows);
  const cells = (low, high, size, count) => [
    Math.round((low / size) * count),
    Math.max(Math.round((low / size) * count) + 1, Math.round((high / size) * count)),
  ];
  boxes.forEach(([left, top, right, bottom], index) => {
    const [x0, x1] = cells(left, right, width, columns);
    const [y0, y1] = cells(top, bottom, height, rows);
    for (let y = y0; y < Math.min(y1, rows); y += 1) {
      for (let x = x0; x < Math.min(x1, columns); x += 1) {
        sums[y * columns + x] += values[index];
        counts[y * columns + x] += 1;
      }
    }
  });
  const middle = mean(values);
  const means = sums.map((total, cell) => (total + SETTLED * middle) / (counts[cell] + SETTLED));
  return { columns, rows, means };
}

function paint(canvas, { columns, rows, means }, colour) {
  const small = new OffscreenCanvas(columns, rows);
  const pixels = new ImageData(columns, rows);
  means.forEach((value, cell) => pixels.data.set(colour(value), 4 * cell));
  small.getContext("2d").putImageData(pixels, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

export function clear(canvas) {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

// How much the crops' numbers deviate as a rule, over several lists of them: what the strength of
// light is measured by, so that a list of nearly equal numbers gives next to none.
export function usual(lists) {
  return Math.sqrt(mean(lists.map((values) => deviation(values) ** 2))) || 1;
}

// The brighter, the more there; the less the crops differ, the less the rest goes dark.
export function lightUp(canvas, boxes, values, size, unit) {
  clear(canvas);
  const grid = spread(boxes, values, size);
  const high = grid.means.reduce((most, value) => Math.max(most, value), -Infinity);
  paint(canvas, grid, (value) => {
    const depth = Math.min(1, (high - value) / (FULL * unit));
    return [8, 8, 12, Math.round(DARKEST * depth)];
  });
}

// Blue where the first class gains on the second, orange where the second does; the deeper, the
// more.
export function lightDifference(canvas, boxes, values, size, unit) {
  clear(canvas);
  paint(canvas, spread(boxes, values, size), (value) => {
    const depth = Math.min(1, Math.abs(value) / (FULL * unit));
    return [...(value >= 0 ? BLUE : ORANGE), Math.round(DARKEST * depth)];
  });
}

// All but one box goes dark.
export function lightBox(canvas, [left, top, right, bottom], [width, height]) {
  clear(canvas);
  const context = canvas.getContext("2d");
  const [x, y] = [canvas.width / width, canvas.height / height];
  context.fillStyle = "rgb(8 8 12 / .7)";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.clearRect(left * x, top * y, (right - left) * x, (bottom - top) * y);
}

// Frames around boxes, each with what is written in its corner.
export function frame(place, marked, [width, height]) {
  const frames = marked.map(({ box: [left, top, right, bottom], mark }) => {
    const one = make("span", { className: "frame" }, ...(mark ? [make("span", { className: "mark" }, mark)] : []));
    const share = (value, whole) => `${(100 * value) / whole}%`;
    one.style.left = share(left, width);
    one.style.top = share(top, height);
    one.style.width = share(right - left, width);
    one.style.height = share(bottom - top, height);
    return one;
  });
  place.replaceChildren(...frames);
}

// In words, for those who do not see the light.
export function whereabouts([left, top, right, bottom], [width, height]) {
  const third = (share) => Math.min(2, Math.floor(3 * share));
  const column = ["left", "middle", "right"][third((left + right) / 2 / width)];
  const row = ["upper", "middle", "lower"][third((top + bottom) / 2 / height)];
  const share = Math.round((100 * (right - left) * (bottom - top)) / (width * height));
  const places = { "middle left": "on the left", "middle right": "on the right" };
  places["middle middle"] = "in the middle";
  return `${places[`${row} ${column}`] ?? `in the ${row} ${column}`}, ${amount(share, "%")} of the photo`;
}

// Places of the crops that cover a point.
export function covering(boxes, x, y) {
  return boxes.flatMap(([left, top, right, bottom], index) =>
    x >= left && x < right && y >= top && y < bottom ? [index] : [],
  );
}
