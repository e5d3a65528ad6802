// Elements and bars.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export const name = (text) => make("span", { className: "name", dir: "auto" }, text);
export const number = (text) => make("span", { className: "number" }, text);

function drawn(...parts) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "bar");
  svg.setAttribute("viewBox", "0 0 100 6");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const [kind, x, width] of parts) {
    const rect = document.createElementNS(SVG, "rect");
    const values = { class: kind, x, width, height: 6 };
    for (const [key, value] of Object.entries(values)) rect.setAttribute(key, String(value));
    svg.append(rect);
  }
  return svg;
}

// A bar from the left; a share of the longest, 0 to 1.
export function bar(share) {
  return drawn(["track", 0, 100], ["value", 0, 100 * Math.max(0.005, Math.min(1, share || 0))]);
}

// A bar from the middle, to the right for the first class, to the left for the second.
export function signedBar(share) {
  const length = 50 * Math.min(1, Math.abs(share) || 0);
  const right = share >= 0;
  return drawn(
    ["track", 0, 100],
    [right ? "value for-first" : "value for-second", right ? 50 : 50 - length, length],
    ["middle", 49.8, 0.4],
  );
}

// Numbers as they are read, with a true minus and no minus before nothing.
export function fixed(value, places = 3, plus = "") {
  const digits = Math.abs(value).toFixed(places);
  return `${value < 0 && Number(digits) ? "−" : plus}${digits}`;
}

export const signed = (value, places) => fixed(value, places, "+");

// Decimal places for a lead and its parts: of a small lead they would all be 0.000.
export const placesFor = (lead) => (Math.abs(lead) < 0.05 ? 4 : 3);
export const gap = (first, second) => fixed(first.score - second.score, placesFor(first.score - second.score));

// A number and its unit, which stay on one line.
export const amount = (value, unit) => `${value}\u00a0${unit}`;

// A class inside a sentence, whichever way it is written; the whole of a long name stands elsewhere.
export function called(label, most = 40) {
  const letters = [...label];
  const text = letters.length > most ? `${letters.slice(0, most - 1).join("").trimEnd()}…` : label;
  return make("bdi", {}, text);
}

// A sentence with classes in it, as what an element is to hold: said`${called(label)} leads.`
export const said = (texts, ...parts) => texts.flatMap((text, place) => [text, parts[place] ?? ""]).flat();
