// Talking to the service: one function a request, one kind of error.

let token = "";
let controller = null;

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function setToken(value) {
  token = value.trim();
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

async function request(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "offline", "The service does not answer. Is it still running?");
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return { body };
  const { code = "unknown", message = `The service answered ${response.status}.` } =
    body?.error ?? {};
  const error = new ApiError(response.status, code, message);
  return { error, wait: Number(response.headers.get("Retry-After")) || 1 };
}

export async function get(path) {
  const { body, error } = await request(path);
  if (error) throw error;
  return body;
}

// Ask for labels and explanations. A new question takes the place of one still under way. Where
// the service is busy, come again when it says so.
export async function explain(image, question, onWait) {
  controller?.abort();
  controller = new AbortController();
  const { signal } = controller;
  const form = new FormData();
  form.append("image", image, "photo");
  for (const [name, value] of Object.entries(question)) {
    if (name === "classes" || name === "labels") value.forEach((one) => form.append(name, one));
    else form.append(name, name === "descriptions" ? JSON.stringify(value) : String(value));
  }
  for (let attempt = 0; ; attempt += 1) {
    const { body, error, wait } = await request("v1/explain", { method: "POST", body: form, signal });
    if (!error) return body;
    if (error.status !== 429 || attempt === 4) throw error;
    onWait(wait);
    await pause(wait);
    signal.throwIfAborted();
  }
}
