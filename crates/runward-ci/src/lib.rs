//! Who a job is, from the environment that the CI system set; which pod it runs in, from its control group; and which
//! stage of a job a shell of GitLab Runner is, from its script.
//!
//! [`identify`] is a function from variables to [`JobIdentity`], and [`context()`] one to what the job was made with.
//! Everything that they return is a claim of the environment: fit to label a report, unfit to authorise anything.
//!
//! **What `branch` means.** What is built, not where it comes from. For a pull or merge request that is the
//! request's own ref (`12/merge`, `merge-requests/7/head`) and not the name of its source branch: whoever sends a
//! request from a fork chooses that name, and may choose `main`.
//!
//! **Architecture invariant.** This crate does no I/O: it never reads the process's own environment. It can't fail,
//! and imports only `runward-event`.

mod clean;
mod context;
mod kubernetes;
mod providers;
mod stage;

use runward_event::{JobIdentity, Provider};

use clean::Environment;
pub use context::{context, is_fork, pinned};
pub use kubernetes::{Pod, PodName};
pub use stage::{Stage, StagePlace, container_slot, is_of_containers, is_of_job, workspace};

/// Tells who the job is in whose environment this runs; `env` gives the value of a variable.
///
/// Outside of any CI system the answer is [`Provider::Local`] and nothing else; inside one that is not known by
/// name, which sets `CI`, it is [`Provider::Unknown`].
///
/// ```
/// let env = |name: &str| match name {
///     "GITLAB_CI" => Some("true".to_owned()),
///     "CI_PROJECT_PATH" => Some("group/app".to_owned()),
///     _ => None,
/// };
/// let identity = runward_ci::identify(&env);
/// assert_eq!(identity.provider, runward_event::Provider::Gitlab);
/// assert_eq!(identity.project.as_deref(), Some("group/app"));
/// ```
pub fn identify(env: &dyn Fn(&str) -> Option<String>) -> JobIdentity {
    let env = Environment::new(env);
    providers::ALL
        .iter()
        .find_map(|identify| identify(&env))
        .map(clean::bound)
        .unwrap_or_else(|| JobIdentity {
            provider: if env.is_on("CI") {
                Provider::Unknown
            } else {
                Provider::Local
            },
            ..JobIdentity::default()
        })
}
