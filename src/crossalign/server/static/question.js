// The question: classes, method and crops, as the form has them.

import { get } from "./api.js";
import { apart, names, parseClasses, writeClasses } from "./classes.js";
import { $, make } from "./draw.js";

const EXPLAINED = 5;
const SETTLED = 250; // milliseconds after which the slider has come to rest
const NONE = "none: the classes above";

let offer = null; // what the service says it has
let ownCrops = false; // the slider was moved: it no longer follows each method's own number
let settling = 0; // a timer, while the slider moves
let alone = null; // the one class that somebody wants all the same

export const hasClasses = () => Boolean($("classes").value.trim() || $("class-set").value);

// What the form asks for. Throws an error where its classes cannot be read, and shows why.
export function readQuestion() {
  clearTimeout(settling); // what it would ask is asked now
  const asked = { best: EXPLAINED };
  if ($("auto").checked && !$("auto").disabled) asked.crops = "auto";
  else if (ownCrops) asked.crops = Number($("crops").value);
  if ($("method").value) asked.method = $("method").value;
  const set = $("class-set").value;
  if (set) return { ...asked, class_set: set };
  const given = parseClasses($("classes").value);
  const [only, ...others] = names(given);
  if (only !== undefined && !others.length && only !== alone) throw new LonelyClass(only);
  if (given.classes && method()?.descriptions === "required") {
    throw new Error(`${asked.method} needs words: write some below every class, each line beginning with a dash, or choose another method.`);
  }
  return { ...asked, ...given };
}

// Throws an error where a photo is larger than the service takes.
export function checkSize(photo) {
  const most = offer?.limits.body_bytes ?? Infinity;
  if (photo.size <= most) return;
  const megabytes = (bytes, round) => (round(bytes / 1e5) / 10).toFixed(1);
  throw new Error(
    `The photo has ${megabytes(photo.size, Math.ceil)} MB; this service takes at most ${megabytes(most, Math.floor)} MB. Shrink it: 1000 pixels a side are plenty.`,
  );
}

class LonelyClass extends Error {
  constructor(only) {
    super(`“${only}” is one class: alone it wins whatever the photo shows.`);
    this.only = only;
  }
}

// Say what is wrong with the classes, and offer ways on; go there if it was the classes' turn.
export function refuse(error, ask, go) {
  const ways = [];
  const offerWay = (text, act) => {
    const button = make("button", { type: "button", className: "button" }, text);
    button.addEventListener("click", () => {
      act();
      ask();
    });
    ways.push(button);
  };
  if (error instanceof LonelyClass) {
    const several = apart(error.only);
    if (several) offerWay(`Split into ${several.length} classes`, () => writeNames(several));
    offerWay("Label it all the same", () => {
      alone = error.only;
    });
  }
  $("classes-part").open = true;
  $("classes-wrong").textContent = error.message;
  $("classes-ways").replaceChildren(...ways);
  $("classes-note").hidden = false;
  $("classes").setAttribute("aria-invalid", "true");
  if (go) (ways[0] ?? $("classes")).focus();
}

export function accept() {
  $("classes-note").hidden = true;
  $("classes").removeAttribute("aria-invalid");
}

function writeNames(several) {
  $("classes").value = several.join("\n");
}

// Fold the classes away: what is left is one line that names them.
export function fold() {
  $("classes-part").open = false;
}

export function summarise() {
  const set = $("class-set").selectedOptions[0];
  let said = set.value ? set.text : "";
  try {
    said ||= names(parseClasses($("classes").value)).join(", ");
  } catch {
    // What is wrong with them is said when they are asked about.
  }
  $("classes-shown").textContent = said;
}

// The classes of an example, with some of the descriptions that the service has for them.
export async function describe(chosen) {
  $("class-set").value = "";
  showSettings();
  try {
    const { classes } = await get("v1/class-sets/everyday");
    $("classes").value = writeClasses(
      Object.fromEntries(chosen.map((name) => [name, classes[name].slice(0, 5)])),
    );
  } catch {
    writeNames(chosen);
  }
}

// ---------------------------------------------------------------------------------- the settings

export async function askWhatThereIs() {
  const { class_sets: sets } = await get("v1/class-sets");
  offer = await get("v1/models");
  const chosen = sets.map(({ name, classes }) => new Option(`${name} (${classes} classes)`, name));
  $("class-set").replaceChildren(new Option(NONE, ""), ...chosen);
  $("method").replaceChildren(...offer.methods.map(({ name }) => new Option(name, name)));
  $("method").value = offer.default_method;
  $("crops").max = offer.limits.crops;
  showSettings();
}

const method = () => offer?.methods.find(({ name }) => name === $("method").value);

// Bring the settings in line with one another.
function showSettings() {
  const chosen = method();
  if (chosen?.crops && !ownCrops) $("crops").value = chosen.crops;
  const [whole, auto] = [chosen?.crops === 0, chosen?.auto && $("auto").checked];
  $("auto").disabled = chosen ? !chosen.auto : false;
  $("crops").disabled = whole || auto;
  $("crops-shown").textContent = whole ? "none" : auto ? "as needed" : numberOfCrops(chosen);
  $("classes").disabled = $("class-set").value !== "";
}

function numberOfCrops(chosen) {
  const count = $("crops").value;
  const own = chosen?.crops ?? Number(count);
  return own === Number(count) ? count : `${count} (${chosen.name} by itself takes ${own})`;
}

// Tell of every change that asks the question anew.
export function onSettings(changed) {
  $("crops").addEventListener("input", () => {
    ownCrops = true;
    showSettings();
  });
  $("crops").addEventListener("change", () => {
    clearTimeout(settling); // an arrow key held down changes it many times
    settling = setTimeout(changed, SETTLED);
  });
  for (const id of ["auto", "method", "class-set"]) {
    $(id).addEventListener("change", () => {
      showSettings();
      changed();
    });
  }
  $("classes").addEventListener("input", () => {
    alone = null;
    accept();
  });
}
