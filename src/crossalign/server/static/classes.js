// The box of classes: names, one a line, with descriptions on the lines below that begin with a
// dash or a space. A list with a dash or number before every name will do, and so will JSON, as the
// command line reads it.

const BULLET = /^\s*[-–•*]\s+/;
const NUMBER = /^\s*\d+[.)]\s+/;

export function parseClasses(text) {
  const trimmed = text.trim();
  if (trimmed.startsWith("{") || trimmed.startsWith("[")) return parseJSON(trimmed);
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  for (const mark of [BULLET, NUMBER]) {
    if (lines.length && lines.every((line) => mark.test(line))) {
      return question(lines.map((line) => line.replace(mark, "").trim()));
    }
  }
  const names = [];
  const texts = [];
  for (const line of lines) {
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

function question(names, texts = names.map(() => [])) {
  if (!names.length) throw new Error("Write at least two classes, one a line.");
  const bare = names.filter((_, index) => !texts[index].length);
  if (bare.length === names.length) return { classes: names };
  if (bare.length) {
    const [them, have] = bare.length > 1 ? ["them", "have"] : ["it", "has"];
    throw new Error(
      `Describe every class or none: ${bare.join(", ")} ${have} no description. Write one below ${them}.`,
    );
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

export const names = ({ classes, descriptions }) => classes ?? Object.keys(descriptions ?? {});

// The classes that somebody may have meant who wrote them all on one line.
export function apart(line) {
  const parts = line.split(/[,;]/).map((part) => part.trim());
  const filled = [...new Set(parts.filter(Boolean))];
  return filled.length > 1 ? filled : null;
}

export function writeClasses(descriptions) {
  return Object.entries(descriptions)
    .map(([name, texts]) => [name, ...texts.map((text) => `- ${text}`)].join("\n"))
    .join("\n");
}
