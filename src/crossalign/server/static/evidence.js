// The arithmetic of an explanation: what regions and words add, and what stands out where.
// An explanation holds terms[crop][description], which add up to its score, similarity, the cosines
// behind them, and whole_similarity, those of the whole photo.

const MAX_OVERLAP = 0.5; // regions that overlap more say the same
const LEAST_SHARE = 0.05; // a region that adds less, measured by the first, is not worth showing
const LEAST_LIFT = 0.5; // in standard deviations over the crops, as in crossalign.explain.standout
const ROUNDING = 1e-6; // below this a spread of cosines says nothing

export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const mean = (values) => sum(values) / values.length;
export const largestFirst = (values) => [...values.keys()].sort((a, b) => values[b] - values[a]);
export const column = (rows, index) => rows.map((row) => row[index]);

export function deviation(values) {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}

// What crops and words add to the score of one class.
export function shares(one) {
  return {
    difference: one.score,
    crops: one.terms.map(sum),
    words: [one.descriptions.map((_, index) => sum(column(one.terms, index)))],
  };
}

// What they add to the difference of two scores; below zero it speaks for the second. Each sentence
// is measured against the middle of what both classes give for its weight: nearly all cosines are
// above zero, and counted as they are, every sentence would speak for its own class.
export function contrast(first, second) {
  const [ours, theirs] = [shares(first), shares(second)];
  const middle = (sum(ours.crops) + sum(theirs.crops)) / 2;
  const part = (one) => one.description_weights.map((weight) => (weight / sum(one.description_weights)) * middle);
  const [own, other] = [part(first), part(second)];
  return {
    difference: first.score - second.score,
    crops: ours.crops.map((value, crop) => value - theirs.crops[crop]),
    words: [
      ours.words[0].map((value, index) => value - own[index]),
      theirs.words[0].map((value, index) => other[index] - value),
    ],
  };
}

function overlap(one, other) {
  const shared =
    Math.max(0, Math.min(one[2], other[2]) - Math.max(one[0], other[0])) *
    Math.max(0, Math.min(one[3], other[3]) - Math.max(one[1], other[1]));
  const area = ([left, top, right, bottom]) => (right - left) * (bottom - top);
  return shared / (area(one) + area(other) - shared);
}

// The crops that add most, either way, none much like another, none for next to nothing.
export function distinctRegions(boxes, added, count) {
  const sizes = added.map(Math.abs);
  const order = largestFirst(sizes);
  const kept = [];
  for (const crop of order) {
    if (kept.length === count || sizes[crop] < LEAST_SHARE * sizes[order[0]]) break;
    if (kept.every((other) => overlap(boxes[crop], boxes[other]) <= MAX_OVERLAP)) kept.push(crop);
  }
  return kept;
}

// The words that some crops answer clearly better than the whole photo and its crops do, and no
// worse than they answer their class as a whole; the best answered first. None where these crops are
// like the whole photo.
export function standingOut(explanations, crops) {
  const found = explanations.flatMap((one) => {
    const columns = one.descriptions.map((_, index) => column(one.similarity, index));
    const here = columns.map((values) => mean(crops.map((crop) => values[crop])));
    const usual = columns.map((values, index) => Math.max(mean(values), one.whole_similarity[index]));
    const clear = ({ index, lift }) =>
      lift > Math.max(LEAST_LIFT * deviation(columns[index]), ROUNDING) &&
      here[index] >= mean(here) - ROUNDING;
    return one.descriptions
      .map((text, index) => ({ label: one.label, index, text, here: here[index], lift: here[index] - usual[index] }))
      .filter(clear);
  });
  return found.sort((a, b) => b.here - a.here);
}

// By how much each crop is for the first class rather than the second, whatever its weight.
export function leanings(first, second, weights) {
  const [ours, theirs] = [first, second].map((one) => {
    // In the prototype form a score is divided by norms of its own class.
    const met = one.similarity.map((row) => row.map((value, index) => value * one.description_weights[index]));
    const size = sum(met.flatMap((row, crop) => row.map((value) => Math.abs(value * weights[crop]))));
    const scale = sum(one.terms.flat().map(Math.abs)) / size || 1;
    return met.map((row) => scale * sum(row));
  });
  return ours.map((value, crop) => value - theirs[crop]);
}
