//! The tools whose steps are taken over, and what becomes of each of their inputs.
//!
//! What the inputs mean is from the tools themselves: their `action.yml`, their documentation, and for bullfrog and
//! Harden-Runner the source of their agents. `docs/migrate.md` has the same for people.

use crate::list::Dialect;

/// One tool: an action whose steps become steps of Runward's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// `owner/repository`, in lower case; GitHub does not tell case apart.
    action: &'static str,
    /// Its `egress-policy` where a step does not say: written out, so that nothing depends on whose default holds.
    pub(crate) default_mode: &'static str,
    /// Whether its inputs are Runward's too, so that one that is not known is left as it stands.
    pub(crate) shares_inputs: bool,
    inputs: &'static [(&'static str, Treatment)],
    /// What it allows or does without a line, and Runward does not: told once in a file.
    pub(crate) without_a_line: &'static str,
}

/// What becomes of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// `egress-policy`, with the same two words.
    Mode,
    /// A list of endpoints as Runward reads it.
    Allowed,
    /// The same, of what is denied.
    Denied,
    /// Means the same.
    Keep,
    /// Is kept, and needs a person.
    KeepAndSay(&'static str),
    /// Decides the mode elsewhere; kept, and needs a person.
    Store(&'static str),
    /// A list of hosts in another language: becomes `allowed-endpoints`.
    List(Dialect),
    /// `true` blocks.
    Prevent,
    /// `false` is Runward's `disable-sudo: true`.
    EnableSudo,
    /// Has no counterpart. Nothing is lost where it has one of the values of `fine`.
    Drop {
        fine: &'static [&'static str],
        why: &'static str,
    },
}

use Treatment::{Allowed, Denied, Drop, EnableSudo, Keep, KeepAndSay, List, Mode, Prevent, Store};

const fn lost(why: &'static str) -> Treatment {
    Drop { fine: &[], why }
}

const STORE: &str = "the policy is looked up in the store of your Runward server, no longer in StepSecurity's: it must be there under this name, and the step needs the input `server`";
const STORE_USE: &str = "policies come from your Runward server, no longer from StepSecurity: they must be there, and the step needs the input `server`";
const CREDENTIAL: &str =
    "belongs to the other tool's service, which Runward does not talk to; removed";
const AGENT: &str = "says how the other tool's agent is fetched or run; removed";

const HARDEN_RUNNER: Tool = Tool {
    name: "Harden-Runner",
    action: "step-security/harden-runner",
    default_mode: "block",
    shares_inputs: true,
    inputs: &[
        ("egress-policy", Mode),
        ("allowed-endpoints", Allowed),
        ("denied-endpoints", Denied),
        ("disable-sudo", Keep),
        ("disable-sudo-and-containers", Keep),
        ("disable-file-monitoring", Keep),
        ("disable-telemetry", Keep),
        (
            "token",
            Drop {
                // Its default, and the other name of that.
                fine: &["", "${{ github.token }}", "${{ secrets.github_token }}"],
                why: "Runward's action needs no token to fetch what it runs; removed",
            },
        ),
        ("policy", Store(STORE)),
        ("use-policy-store", Store(STORE_USE)),
        (
            "api-key",
            KeepAndSay(
                "this has to be a key of your Runward server now, no longer one of StepSecurity's",
            ),
        ),
        (
            "deploy-on-self-hosted-vm",
            Drop {
                fine: &["false", ""],
                why: "Runward's action has no such input: see its documentation for machines of your own; removed",
            },
        ),
    ],
    without_a_line: "Harden-Runner allows some hosts of GitHub's, private networks and the cloud's metadata service without a line; a policy of Runward's names what it needs, such as `@github-actions`",
};

const BULLFROG: Tool = Tool {
    name: "bullfrog",
    action: "bullfrogsec/bullfrog",
    default_mode: "audit",
    shares_inputs: false,
    inputs: &[
        ("egress-policy", Mode),
        ("allowed-domains", List(Dialect::BullfrogDomains)),
        ("allowed-ips", List(Dialect::BullfrogIps)),
        ("enable-sudo", EnableSudo),
        (
            "dns-policy",
            Drop {
                fine: &["allowed-domains-only", ""],
                why: "Runward answers only for names that the policy allows; removed",
            },
        ),
        (
            "block-dns",
            Drop {
                fine: &["true", ""],
                why: "Runward answers only for names that the policy allows; removed",
            },
        ),
        (
            "collect-process-info",
            Drop {
                fine: &["true", ""],
                why: "Runward always records processes; removed",
            },
        ),
        (
            "api-token",
            lost(
                "policies and results are of your Runward server now, set up by `api-key`; removed",
            ),
        ),
        ("github-token", lost(CREDENTIAL)),
        ("log-directory", lost(AGENT)),
        ("_log-directory", lost(AGENT)),
        ("agent-download-base-url", lost(AGENT)),
        ("_agent-download-base-url", lost(AGENT)),
        ("_agent-version", lost(AGENT)),
        ("local-agent-path", lost(AGENT)),
        ("_control-plane-api-base-url", lost(CREDENTIAL)),
        ("_control-plane-base-url", lost(CREDENTIAL)),
        ("_control-plane-webapp-base-url", lost(CREDENTIAL)),
    ],
    without_a_line: "bullfrog allows some hosts of GitHub's and the cloud's metadata service without a line; a policy of Runward's names what it needs, such as `@github-actions`",
};

const CIMON: Tool = Tool {
    name: "Cimon",
    action: "cycodelabs/cimon-action",
    default_mode: "audit",
    shares_inputs: false,
    inputs: &[
        ("prevent", Prevent),
        ("allowed-hosts", List(Dialect::CimonHosts)),
        ("allowed-ips", List(Dialect::CimonIps)),
        ("ignored-ip-nets", List(Dialect::CimonIps)),
        (
            "fail-on-error",
            Drop {
                fine: &["true", ""],
                why: "a job that Runward can't fence does not start; removed",
            },
        ),
        (
            "file-integrity",
            Drop {
                fine: &["false", ""],
                why: "Runward tells of altered source files and does not prevent the change; removed",
            },
        ),
        (
            "memory-protection",
            Drop {
                fine: &["false", ""],
                why: "Runward tells of reads of other processes' memory, and prevents them in lockdown only; removed",
            },
        ),
        (
            "hardening",
            Drop {
                fine: &["false", ""],
                why: "Runward's detections and its lockdown are other ones; removed",
            },
        ),
        (
            "hardening-tier",
            lost("Runward's detections and its lockdown are other ones; removed"),
        ),
        (
            "hardening-disabled-rules",
            lost("Runward's detections and its lockdown are other ones; removed"),
        ),
        (
            "report-job-summary",
            Drop {
                fine: &["true", ""],
                why: "Runward's action does not let this be chosen; removed",
            },
        ),
        (
            "report-pr-summary",
            Drop {
                fine: &["false", ""],
                why: "checks at pull requests are set up on the Runward server; removed",
            },
        ),
        (
            "report-process-tree",
            Drop {
                fine: &["true", "false", ""],
                why: "Runward's report always has the process tree; removed",
            },
        ),
        (
            "report-artifact-log",
            Drop {
                fine: &["true", "false", ""],
                why: "Runward's report is its log; removed",
            },
        ),
        (
            "apply-fs-events",
            Drop {
                fine: &["true", "false", ""],
                why: "Runward always records changes of files; removed",
            },
        ),
        (
            "slack-webhook-endpoint",
            lost("notifications are set up on the Runward server; removed"),
        ),
        ("client-id", lost(CREDENTIAL)),
        ("secret", lost(CREDENTIAL)),
        ("url", lost(CREDENTIAL)),
        ("github-token", lost(CREDENTIAL)),
        ("log-level", lost(AGENT)),
        ("feature-gates", lost(AGENT)),
        ("release-path", lost(AGENT)),
        ("docker-image", lost(AGENT)),
        ("docker-image-pull", lost(AGENT)),
        ("docker-username", lost(CREDENTIAL)),
        ("docker-password", lost(CREDENTIAL)),
    ],
    without_a_line: "Cimon ignores 10.0.0.0/8, 172.16.0.0/12 and hosts that GitHub needs without a line, and goes on when it fails; a policy of Runward's names what it needs, such as `@github-actions`, and a job that can't be fenced does not start",
};

const TOOLS: [&Tool; 3] = [&HARDEN_RUNNER, &BULLFROG, &CIMON];

impl Tool {
    /// The tool that a step uses, by the value of its `uses`.
    pub(crate) fn of(uses: &str) -> Option<&'static Tool> {
        let (action, _) = uses.trim().split_once('@')?;
        let is_this = |tool: &&Tool| tool.action.eq_ignore_ascii_case(action);
        TOOLS.into_iter().find(is_this)
    }

    /// What becomes of an input. GitHub does not tell the case of its name apart.
    pub(crate) fn treatment(&self, input: &str) -> Option<Treatment> {
        let inputs = self.inputs.iter();
        let mut known = inputs.filter(|(name, _)| name.eq_ignore_ascii_case(input));
        known.next().map(|(_, treatment)| *treatment)
    }
}
