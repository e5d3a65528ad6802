// Light on the photo: numbers of crops spread over their boxes, averaged where boxes overlap.

const GRID = 96;
const BLUE = [86, 180, 233];
const ORANGE = [230, 159, 0];

// For every cell of a coarse grid the mean of the values of the crops that cover it, and whether
// any does.
function spread(boxes, values, size) {
  const [width, height] = size;
  const scale = GRID / Math.max(width, height);
  const columns = Math.max(1, Math.round(width * scale));
  const rows = Math.max(1, Math.round(height * scale));
  const sum = new Float64Array(columns * rows);
  const count = new Uint16Array(columns * rows);
  boxes.forEach(([left, top, right, bottom], index) => {
    const [x0, x1] = [Math.floor((left / width) * columns), Math.ceil((right / width) * columns)];
    const [y0, y1] = [Math.floor((top / height) * rows), Math.ceil((bottom / height) * rows)];
    for (let y = y0; y < Math.min(y1, rows); y += 1) {
      for (let x = x0; x < Math.min(x1, columns); x += 1) {
        sum[y * columns + x] += values[index];
        count[y * columns + x] += 1;
      }
    }
  });
  const mean = Float64Array.from(sum, (value, cell) => (count[cell] ? value / count[cell] : 0));
  return { columns, rows, mean, count };
}

function paint(canvas, grid, colour) {
  const { columns, rows } = grid;
  const small = new OffscreenCanvas(columns, rows);
  const pixels = new ImageData(columns, rows);
  for (let cell = 0; cell < columns * rows; cell += 1) {
    pixels.data.set(colour(grid.mean[cell], grid.count[cell]), 4 * cell);
  }
  small.getContext("2d").putImageData(pixels, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

function range(grid) {
  let [low, high] = [Infinity, -Infinity];
  grid.mean.forEach((value, cell) => {
    if (grid.count[cell]) [low, high] = [Math.min(low, value), Math.max(high, value)];
  });
  return [low, high];
}

export function clear(canvas) {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

// The brighter, the more the crops there add; the rest of the photo goes dark.
export function lightUp(canvas, boxes, values, size) {
  clear(canvas);
  const grid = spread(boxes, values, size);
  const [low, high] = range(grid);
  const span = high - low || 1;
  paint(canvas, grid, (value, count) => {
    const share = count ? (value - low) / span : 0;
    return [8, 8, 12, Math.round(205 * (1 - share) ** 1.2)];
  });
  frame(canvas, boxes[values.indexOf(Math.max(...values))], size, "#fff");
}

// Blue where the first class gains on the second, orange where the second does; the deeper, the
// more. Where all crops agree, the lightest is where they agree least.
export function lightDifference(canvas, boxes, values, size) {
  clear(canvas);
  const grid = spread(boxes, values, size);
  const [low, high] = range(grid);
  const least = low > 0 || high < 0 ? Math.min(Math.abs(low), Math.abs(high)) : 0;
  const span = Math.max(Math.abs(low), Math.abs(high)) - least || 1;
  paint(canvas, grid, (value, count) => {
    const colour = value >= 0 ? BLUE : ORANGE;
    return [...colour, count ? Math.round(30 + (170 * (Math.abs(value) - least)) / span) : 0];
  });
}

export function frameOne(canvas, box, size) {
  clear(canvas);
  const context = canvas.getContext("2d");
  context.fillStyle = "rgb(8 8 12 / .72)";
  context.fillRect(0, 0, canvas.width, canvas.height);
  const [x, y, width, height] = scaled(canvas, box, size);
  context.clearRect(x, y, width, height);
  frame(canvas, box, size, "#e69f00");
}

function scaled(canvas, [left, top, right, bottom], [width, height]) {
  const [x, y] = [canvas.width / width, canvas.height / height];
  return [left * x, top * y, (right - left) * x, (bottom - top) * y];
}

function frame(canvas, box, size, colour) {
  const context = canvas.getContext("2d");
  const place = scaled(canvas, box, size);
  for (const [width, style] of [[6, "rgb(0 0 0 / .6)"], [3, colour]]) {
    context.lineWidth = width;
    context.strokeStyle = style;
    context.strokeRect(...place);
  }
}

// In words, for those who do not see the light.
export function whereabouts([left, top, right, bottom], [width, height]) {
  const third = (share) => Math.min(2, Math.floor(3 * share));
  const column = ["left", "middle", "right"][third((left + right) / 2 / width)];
  const row = ["upper", "middle", "lower"][third((top + bottom) / 2 / height)];
  const share = Math.round((100 * (right - left) * (bottom - top)) / (width * height));
  const places = { "middle left": "on the left", "middle right": "on the right" };
  places["middle middle"] = "in the middle";
  return `${places[`${row} ${column}`] ?? `in the ${row} ${column}`}, ${share} % of the photo`;
}

// Places of the crops that cover a point.
export function covering(boxes, x, y) {
  return boxes.flatMap(([left, top, right, bottom], index) =>
    x >= left && x < right && y >= top && y < bottom ? [index] : [],
  );
}
