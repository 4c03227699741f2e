//! What is written behind `uses:`.

use crate::tool::Tool;

/// Runward's own action, unless told otherwise. The one place with its name.
pub const ACTION: &str = "runward/runward/integrations/github-action@v1";

/// A reference to an action: `owner/repository[/folder]@ref`, or a folder of the repository, `./folder`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action(String);

/// Why a text is no reference to an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// It has another form.
    #[error("an action is `owner/repository@ref`, `owner/repository/folder@ref`, or `./folder`")]
    Form,
    /// It is what is to be replaced.
    #[error("this is an action of the tools that are replaced")]
    Replaced,
}

impl Action {
    /// Reads a reference.
    ///
    /// # Errors
    ///
    /// When it has another form, or a character that would mean something in YAML.
    pub fn parse(text: &str) -> Result<Action, ActionError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        let of_folder = |path: &str| path.len() > "./".len() && path.chars().all(plain);
        let is_action = match text.split_once('@') {
            Some((path, at)) => {
                let parts: Vec<&str> = path.split('/').collect();
                let named = parts.len() >= 2 && parts.iter().all(|part| !part.is_empty());
                let begins = path.starts_with(|c: char| c.is_ascii_alphanumeric());
                named
                    && begins
                    && !at.is_empty()
                    && path.chars().all(plain)
                    && at.chars().all(plain)
            }
            None => text.starts_with("./") && of_folder(text),
        };
        if !is_action {
            return Err(ActionError::Form);
        }
        if Tool::of(text).is_some() {
            return Err(ActionError::Replaced);
        }
        Ok(Action(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is bound to one commit, or to a folder of the same one.
    pub(crate) fn is_pinned(&self) -> bool {
        self.0.split_once('@').is_none_or(|(_, at)| is_commit(at))
    }
}

impl Default for Action {
    fn default() -> Action {
        Action(ACTION.to_owned())
    }
}

/// Whether what stands behind an `@` is a commit: a whole SHA-1 or SHA-256.
pub(crate) fn is_commit(at: &str) -> bool {
    matches!(at.len(), 40 | 64) && at.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_one_word_that_yaml_leaves_alone() {
        for good in [
            ACTION,
            "owner/repository@v1.2",
            "owner/repository/a/b@0123456789abcdef0123456789abcdef01234567",
            "./.github/actions/runward",
        ] {
            assert_eq!(Action::parse(good).unwrap().as_str(), good);
        }
        for (bad, error) in [
            ("", ActionError::Form),
            ("runward", ActionError::Form),
            ("owner/repository", ActionError::Form),
            ("owner/@v1", ActionError::Form),
            ("owner/repository@", ActionError::Form),
            ("owner/repository@v1 # x", ActionError::Form),
            ("owner/repository@v1: x", ActionError::Form),
            ("owner/repository@v1\nrun", ActionError::Form),
            ("../up", ActionError::Form),
            ("./", ActionError::Form),
            ("Step-Security/harden-runner@v2", ActionError::Replaced),
        ] {
            assert_eq!(Action::parse(bad), Err(error), "{bad}");
        }
        assert!(!Action::default().is_pinned());
    }
}
