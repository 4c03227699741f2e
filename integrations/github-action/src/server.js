/** What is asked of the Runward server, and of GitHub for it: the policy in effect for this job, and the job's token. */

/** The server could not be asked, or knows nothing that fits. */
export class ServerError extends Error {}

/** Characters of an answer; a policy has 64 KiB. */
const ANSWER_MAX = 512 * 1024;
/** Milliseconds for an answer. */
const PATIENCE = 10_000;

/**
 * Who the job is, as `runward` says it too (crates/runward-ci).
 * @param {import("./runner.js").Environment} env
 */
export function identity(env) {
  const project = env["GITHUB_REPOSITORY"] ?? "";
  const [workflow = ""] = (env["GITHUB_WORKFLOW_REF"] ?? "").split("@");
  const prefix = `${project}/`;
  const isGitea = ["GITEA_ACTIONS", "FORGEJO_ACTIONS"].some((name) => env[name] === "true");
  return {
    provider: isGitea ? "gitea" : "github",
    project,
    pipeline: workflow.startsWith(prefix) ? workflow.slice(prefix.length) : (env["GITHUB_WORKFLOW"] ?? ""),
    job: env["GITHUB_JOB"] ?? "",
  };
}

/**
 * The policy in effect for this job: its name and text.
 * @param {import("./inputs.js").Inputs} inputs
 * @param {import("./runner.js").Environment} env
 * @param {string} key
 * @returns {Promise<{ name: string, text: string }>}
 */
export async function policyInEffect(inputs, env, key) {
  const query = new URLSearchParams(Object.entries(identity(env)).filter(([, value]) => value !== ""));
  const answer = await json(`${inputs.server.replace(/\/+$/, "")}/api/v1/policy?${query}`, key);
  const policy = answer?.policy;
  if (policy === null || policy === undefined) {
    throw new ServerError("the server has no policy for this job: attach one to it, to its project or to the organisation");
  }
  if (typeof policy.name !== "string" || typeof policy.text !== "string") {
    throw new ServerError("the server's answer is none that this action understands: use versions of the same age");
  }
  if (inputs.policyName !== "" && policy.name !== inputs.policyName) {
    throw new ServerError(
      `the server has the policy \`${policy.name}\` in effect for this job, not \`${inputs.policyName}\`: attach that one to the job`,
    );
  }
  return { name: policy.name, text: policy.text };
}

/**
 * The token that GitHub signs for this job, for this server; nothing where the job may not have one, as in a fork.
 * @param {import("./runner.js").Environment} env
 * @param {string} server
 * @returns {Promise<string>}
 */
export async function jobToken(env, server) {
  const address = env["ACTIONS_ID_TOKEN_REQUEST_URL"];
  const token = env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"];
  if (!address || !token) return "";
  const url = new URL(address);
  url.searchParams.set("audience", server.replace(/\/+$/, ""));
  const answer = await json(url.href, token);
  if (typeof answer?.value !== "string") throw new ServerError("GitHub gave no token for this job");
  return answer.value;
}

/**
 * @param {string} address
 * @param {string} key
 * @returns {Promise<any>}
 */
async function json(address, key) {
  const host = new URL(address).host;
  try {
    const answer = await fetch(address, {
      headers: { authorization: `Bearer ${key}`, accept: "application/json" },
      // A key goes nowhere but to where it was meant for.
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (!answer.ok) throw new ServerError(`${host} answers ${answer.status}`);
    let text = "";
    const decoder = new TextDecoder();
    for await (const part of answer.body ?? []) {
      text += decoder.decode(part, { stream: true });
      if (text.length > ANSWER_MAX) throw new ServerError(`${host} answers with too much`);
    }
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof ServerError) throw error;
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new ServerError(`${host} can't be asked: ${cause instanceof Error ? cause.message : cause}`);
  }
}
