//! What the fence refused, in a sentence on the terminal while the job runs.

use runward_agent::Refusal;
use runward_event::Reason;

/// Who was refused what, and which line of the policy would allow it.
pub(crate) fn sentence(refusal: &Refusal) -> String {
    let host = refusal
        .name
        .clone()
        .unwrap_or_else(|| refusal.ip.to_string());
    let target = if refusal.port == 53 && refusal.name.is_some() {
        host
    } else {
        format!("{host}:{}", refusal.port)
    };
    let why = match refusal.reason {
        Reason::NotAllowed => "no line of the policy allows it",
        _ => "it is not allowed",
    };
    format!(
        "blocked {target} for {} (pid {}): {why}",
        refusal.exe, refusal.pid
    )
}
