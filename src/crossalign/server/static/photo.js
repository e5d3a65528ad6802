// The photo: chosen, dropped or pasted, and shown.

import { $, make } from "./draw.js";

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

// Tell of every photo: onPhoto(file, its classes if it is an example), onMistake(error) where
// something else was given.
export function takePhotos(onPhoto, onMistake) {
  const take = ({ files }) => {
    if (files.length) onPhoto(files[0]);
    else onMistake(new Error("That was no file. Drop a photo from your computer, or paste a picture."));
  };
  const drop = $("drop");
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  // A photo dropped beside its place must not take the place of the page.
  window.addEventListener("dragover", (event) => event.preventDefault());
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take(event.dataTransfer);
  });
  window.addEventListener("paste", (event) => {
    if ([...event.clipboardData.items].some((item) => item.kind === "file")) {
      event.preventDefault();
      take(event.clipboardData);
    }
  });
  $("file").addEventListener("change", () => {
    if ($("file").files.length) take({ files: $("file").files });
    $("file").value = ""; // so that the same file can be chosen again
  });
  for (const example of EXAMPLES) {
    const path = `static/examples/${example.file}`;
    const button = make("button", { type: "button" }, make("img", { src: path, alt: example.alt }));
    button.addEventListener("click", async () => {
      try {
        const blob = await (await fetch(path)).blob();
        onPhoto(new File([blob], example.file, { type: blob.type }), example.classes);
      } catch {
        onMistake(new Error("The service does not answer. Is it still running?"));
      }
    });
    $("examples").append(button);
  }
}

export function showPhoto(file) {
  const picture = $("picture");
  URL.revokeObjectURL(picture.src);
  picture.alt = file.name ? `Your photo, ${file.name}` : "Your photo";
  picture.src = URL.createObjectURL(file);
  $("drop").classList.add("full");
  $("drop").classList.remove("unshown");
  $("stage").hidden = false;
}

$("picture").addEventListener("load", () => {
  const { naturalWidth, naturalHeight } = $("picture");
  $("stage").style.setProperty("--ratio", naturalWidth / naturalHeight);
  const scale = Math.min(1, 1000 / Math.max(naturalWidth, naturalHeight));
  $("light").width = Math.max(1, Math.round(scale * naturalWidth));
  $("light").height = Math.max(1, Math.round(scale * naturalHeight));
});
$("picture").addEventListener("error", () => {
  // Some pictures that the service reads, such as TIFF, a browser cannot show.
  $("stage").hidden = true;
  $("drop").classList.add("unshown");
  $("invitation").textContent = "This browser cannot show this file.";
});
