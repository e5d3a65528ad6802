// The box of classes: names, one a line, with descriptions on the lines below that begin with a
// dash or a space. JSON, as the command line reads it, may be pasted as it is.

export function parseClasses(text) {
  const trimmed = text.trim();
  if (trimmed.startsWith("{") || trimmed.startsWith("[")) return parseJSON(trimmed);
  const names = [];
  const texts = [];
  for (const line of text.split(/\r?\n/)) {
    const content = line.replace(/^\s*[-–•*]?\s*/, "").trim();
    if (!content) continue;
    const described = /^(\s|[-–•*]\s)/.test(line);
    if (!described) {
      names.push(content);
      texts.push([]);
    } else if (names.length) {
      texts.at(-1).push(content);
    } else {
      throw new Error("The first line describes no class: write the name of a class above it.");
    }
  }
  return question(names, texts);
}

function question(names, texts) {
  if (!names.length) throw new Error("Write at least one class, one a line.");
  const bare = names.filter((_, index) => !texts[index].length);
  if (bare.length === names.length) return { classes: names };
  if (bare.length) {
    throw new Error(`Describe every class or none: ${bare.join(", ")} has no description.`);
  }
  // fromEntries would drop a class that is written twice; the service would never know.
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`Write every class once: ${twice} is there twice.`);
  return { descriptions: Object.fromEntries(names.map((name, index) => [name, texts[index]])) };
}

function parseJSON(text) {
  let content;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new Error(`This looks like JSON, but is broken: ${error.message}.`);
  }
  return Array.isArray(content) ? { classes: content.map(String) } : { descriptions: content };
}

export function writeClasses(descriptions) {
  return Object.entries(descriptions)
    .map(([name, texts]) => [name, ...texts.map((text) => `- ${text}`)].join("\n"))
    .join("\n");
}
