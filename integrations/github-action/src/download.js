/**
 * One file over HTTP, bounded in bytes, time and redirects. What comes is not to be trusted: the caller compares its
 * checksum.
 */

/** A file that could not be had. Trying again later may help. */
export class DownloadError extends Error {}

/** Bytes of a program; ours has 8 million. */
const BYTES_MAX = 64 * 1024 * 1024;
const REDIRECTS_MAX = 5;
/** Milliseconds for the whole of one attempt. */
const PATIENCE = 60_000;
const ATTEMPTS = 3;
/** Milliseconds before another attempt. */
const PAUSE = 1_000;

/**
 * @param {string} address
 * @param {{ bytes?: number, patience?: number, attempts?: number, pause?: number }} [limits]
 * @returns {Promise<Buffer>}
 */
export async function download(address, limits = {}) {
  const { attempts = ATTEMPTS, pause = PAUSE } = limits;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once(address, limits);
    } catch (error) {
      if (error instanceof DownloadError && error.cause === "final") throw error;
      const why = error instanceof Error ? reason(error) : String(error);
      if (attempt >= attempts) throw new DownloadError(`cannot download ${address}: ${why}`);
      await new Promise((wake) => setTimeout(wake, pause));
    }
  }
}

/**
 * @param {string} address
 * @param {{ bytes?: number, patience?: number }} limits
 */
async function once(address, { bytes = BYTES_MAX, patience = PATIENCE }) {
  const signal = AbortSignal.timeout(patience);
  let url = new URL(address);
  for (let hops = 0; hops <= REDIRECTS_MAX; hops += 1) {
    const answer = await fetch(url, { redirect: "manual", signal, headers: { accept: "application/octet-stream" } });
    const next = answer.headers.get("location");
    if (answer.status >= 300 && answer.status < 400 && next !== null) {
      await answer.body?.cancel();
      url = follow(url, next, address);
      continue;
    }
    if (answer.status >= 400 && answer.status < 500 && ![408, 425, 429].includes(answer.status)) {
      throw final(`cannot download ${address}: the server answers ${answer.status}`);
    }
    if (answer.status !== 200) throw new Error(`the server answers ${answer.status}`);
    return await read(answer, bytes, address);
  }
  throw final(`cannot download ${address}: it leads from one address to another more than ${REDIRECTS_MAX} times`);
}

/**
 * @param {URL} from
 * @param {string} to
 * @param {string} address
 */
function follow(from, to, address) {
  if (!URL.canParse(to, from.href)) throw final(`cannot download ${address}: it leads to what is no address`);
  const url = new URL(to, from);
  const isDown = from.protocol === "https:" && url.protocol !== "https:";
  if (isDown || !["http:", "https:"].includes(url.protocol)) {
    throw final(`cannot download ${address}: it leads away from HTTPS`);
  }
  return url;
}

/**
 * @param {Response} answer
 * @param {number} most
 * @param {string} address
 */
async function read(answer, most, address) {
  /** @type {Buffer[]} */
  const parts = [];
  let length = 0;
  for await (const part of answer.body ?? []) {
    length += part.length;
    if (length > most) throw final(`cannot download ${address}: it is longer than ${most} bytes`);
    parts.push(Buffer.from(part));
  }
  return Buffer.concat(parts);
}

/** @param {string} sentence */
function final(sentence) {
  return new DownloadError(sentence, { cause: "final" });
}

/**
 * `fetch` puts what went wrong below an error that says nothing.
 * @param {Error} error
 */
function reason(error) {
  return error.cause instanceof Error ? error.cause.message : error.message;
}
