// The page: what is asked, and what came back.

import { explain, get, setToken } from "./api.js";
import { parseClasses, writeClasses } from "./classes.js";
import { bar, hide, make, show } from "./why.js";

const EXPLAINED = 5;
const RANKED = 10;
const COSTS = 6;
const EXAMPLES = [
  { file: "cat.jpg", alt: "A cat", classes: ["cat", "dog", "fox", "rabbit"] },
  {
    file: "coffee.jpg",
    alt: "A cup of coffee",
    classes: ["cup of coffee", "bowl of soup", "glass of wine", "cake"],
  },
  {
    file: "rocket.jpg",
    alt: "A rocket",
    classes: ["rocket", "airplane", "lighthouse", "fireworks"],
  },
];
const $ = (id) => document.getElementById(id);

let photo = null;
let answer = null;
let offer = null;
let turn = 0; // what comes back for an earlier photo or question is not shown

// ------------------------------------------------------------------------------------- the photo

function usePhoto(file) {
  photo = file;
  answer = null;
  turn += 1;
  hide();
  $("ranked").replaceChildren();
  $("costs").replaceChildren();
  $("cost-part").hidden = true;
  fail(null);
  const picture = $("picture");
  URL.revokeObjectURL(picture.src);
  picture.alt = file.name ? `Your photo, ${file.name}` : "Your photo";
  picture.src = URL.createObjectURL(file);
  $("drop").classList.add("full");
  $("drop").classList.remove("unshown");
  $("stage").hidden = false;
  $("go").disabled = false;
  say("Photo chosen. Write classes, then label it.");
}

$("picture").addEventListener("load", () => {
  const { naturalWidth, naturalHeight } = $("picture");
  const scale = Math.min(1, 1000 / Math.max(naturalWidth, naturalHeight));
  $("light").width = Math.max(1, Math.round(scale * naturalWidth));
  $("light").height = Math.max(1, Math.round(scale * naturalHeight));
});
$("picture").addEventListener("error", () => {
  // Some pictures that the service reads, such as TIFF, a browser cannot show.
  $("stage").hidden = true;
  $("drop").classList.add("unshown");
  $("invitation").textContent = "This browser cannot show the file; it may be labelled all the same.";
});

const drop = $("drop");
drop.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
// A photo dropped beside its place must not take the place of the page.
window.addEventListener("dragover", (event) => event.preventDefault());
window.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  takePhoto(event.dataTransfer);
});
window.addEventListener("paste", (event) => {
  if ([...event.clipboardData.items].some((item) => item.kind === "file")) {
    event.preventDefault();
    takePhoto(event.clipboardData);
  }
});
$("file").addEventListener("change", () => {
  if ($("file").files.length) takePhoto({ files: $("file").files });
});

function takePhoto({ files }) {
  if (!files.length) {
    fail(new Error("That was no file. Drop a photo from your computer, or paste a picture."));
    return;
  }
  usePhoto(files[0]);
  if ($("classes").value.trim() || $("class-set").value) label();
}

// --------------------------------------------------------------------------------- the question

function question() {
  const crops = $("auto").checked ? "auto" : Number($("crops").value);
  const asked = { crops, best: EXPLAINED, top: RANKED };
  if ($("method").value) asked.method = $("method").value;
  const set = $("class-set").value;
  return set ? { ...asked, class_set: set } : { ...asked, ...parseClasses($("classes").value) };
}

async function label(labels = null) {
  if (!photo) {
    fail(new Error("Choose a photo first: drop one, paste one, or take an example."));
    return;
  }
  fail(null);
  turn += 1;
  const mine = turn;
  const go = $("go");
  go.disabled = true;
  say("Looking …");
  try {
    const asked = question();
    if (labels) asked.labels = labels;
    const got = await explain(photo, asked, (seconds) =>
      say(`The service is busy; asking again in ${seconds} s …`),
    );
    if (mine === turn) showAnswer(got, labels);
  } catch (error) {
    if (error.name === "AbortError" || mine !== turn) return;
    say("");
    fail(error);
  } finally {
    if (mine === turn) go.disabled = false;
  }
}

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  setToken($("token").value);
  if (!offer) await askWhatThereIs();
  label();
});

$("crops").addEventListener("input", () => {
  $("crops-shown").textContent = $("crops").value;
});
for (const id of ["crops", "auto", "method", "class-set"]) {
  $(id).addEventListener("change", () => {
    showSettings();
    if (answer) label();
  });
}

function showSettings() {
  const method = offer?.methods.find(({ name }) => name === $("method").value);
  $("auto").disabled = method ? !method.crops : false;
  $("crops").disabled = $("auto").disabled || $("auto").checked;
  $("classes").disabled = $("class-set").value !== "";
}

// ----------------------------------------------------------------------------------- the answer

function showAnswer(got, labels) {
  answer = got;
  const [best] = got.ranked;
  const views = `${got.cost.views} ${got.cost.views === 1 ? "view" : "views"}`;
  const classes = got.cost.class_seconds >= 0.05 ? `, ${time(got.cost.class_seconds)} more to read the classes` : "";
  say(`${best.label}, score ${best.score.toFixed(4)}. ${views} in ${time(got.cost.seconds)}${classes}.`);
  const most = Math.max(best.score, 1e-9);
  const items = got.ranked.map(({ label: name, score }) =>
    make(
      "li",
      {},
      make("span", { className: "name", dir: "auto" }, name),
      make("span", { className: "number" }, score.toFixed(4)),
      bar(score / most),
    ),
  );
  $("ranked").replaceChildren(...items);
  showCost(got);
  showChoice(labels ?? got.explanations.map((one) => one.label).slice(0, 2));
}

const time = (seconds) => (seconds < 1 ? `${Math.round(1000 * seconds)} ms` : `${seconds.toFixed(1)} s`);

function showCost(got) {
  const [best, next] = got.ranked;
  const cells = [
    got.crops || "none",
    got.cost.views,
    time(got.cost.seconds),
    best.label,
    next ? (best.score - next.score).toFixed(4) : "",
  ];
  const row = make("tr", {}, ...cells.map((cell) => make("td", {}, String(cell))));
  $("costs").prepend(row);
  while ($("costs").children.length > COSTS) $("costs").lastChild.remove();
  $("cost-part").hidden = false;
}

function showChoice([first, second]) {
  const names = answer.ranked.map((one) => one.label);
  const option = (name) => new Option(name, name);
  $("first").replaceChildren(...names.map(option));
  $("second").replaceChildren(new Option("nothing", ""), ...names.map(option));
  $("first").value = first;
  $("second").value = second ?? "";
  show(answer, first, second);
}

for (const id of ["first", "second"]) {
  $(id).addEventListener("change", () => {
    const labels = [...new Set([$("first").value, $("second").value])].filter(Boolean);
    const known = labels.every((name) => answer.explanations.some((one) => one.label === name));
    if (known) showChoice(labels);
    else label(labels);
  });
}

function say(text) {
  $("status").textContent = text;
}

function fail(error) {
  $("error").hidden = error === null;
  $("error").textContent = error === null ? "" : error.message;
  if (error?.code === "token") {
    $("token-part").hidden = false;
    $("token").focus();
  }
}

// ------------------------------------------------------------------------------------- the start

function addExamples() {
  for (const example of EXAMPLES) {
    const path = `static/examples/${example.file}`;
    const button = make("button", { type: "button" }, make("img", { src: path, alt: example.alt }));
    button.addEventListener("click", async () => {
      const response = await fetch(path);
      const blob = await response.blob();
      usePhoto(new File([blob], example.file, { type: blob.type }));
      await describe(example.classes);
      label();
    });
    $("examples").append(button);
  }
}

async function describe(names) {
  $("class-set").value = "";
  showSettings();
  try {
    const { classes } = await get("v1/class-sets/everyday");
    const chosen = Object.fromEntries(names.map((name) => [name, classes[name].slice(0, 5)]));
    $("classes").value = writeClasses(chosen);
  } catch {
    $("classes").value = names.join("\n");
  }
}

async function askWhatThereIs() {
  try {
    const { class_sets: sets } = await get("v1/class-sets");
    offer = await get("v1/models");
    const chosen = sets.map(({ name, classes }) => new Option(`${name} (${classes} classes)`, name));
    $("class-set").append(...chosen);
    $("method").replaceChildren(...offer.methods.map(({ name }) => new Option(name, name)));
    $("method").value = offer.default_method;
    $("crops").max = offer.limits.crops;
    $("crops").value = offer.default_crops;
    $("crops-shown").textContent = $("crops").value;
  } catch (error) {
    fail(error);
  }
}

addExamples();
askWhatThereIs();
