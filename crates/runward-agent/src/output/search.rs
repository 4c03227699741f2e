use runward_secrets::{Finder, Variable, secret_variables};
use sha2::{Digest as _, Sha256};

use super::message::{Setup, SetupVariable};

/// What makes a key of hashes from a key of the control plane: so no other use of that key gives the same bytes.
const PURPOSE: &[u8] = b"runward: hashes of secrets\0";

/// What is looked for in a job's output.
#[derive(Clone, Debug)]
pub struct Search {
    key: runward_secrets::Key,
    variables: Vec<Variable>,
    add_mask: bool,
}

impl Search {
    /// The rules, and the values of those variables of `environment` that hold secrets.
    ///
    /// `shared` is what hashes are keyed with, so that a secret has one hash in all runs that share it; without it, each
    /// run has a key of its own that nobody learns. `add_mask` says whether a line `::add-mask::` hides what is in it.
    pub fn new<'a>(
        environment: impl Iterator<Item = (&'a str, &'a [u8])>,
        shared: Option<&str>,
        add_mask: bool,
    ) -> std::io::Result<Search> {
        let mut key = [0; 32];
        match shared {
            Some(shared) => {
                let digest = Sha256::new()
                    .chain_update(PURPOSE)
                    .chain_update(shared)
                    .finalize();
                key.copy_from_slice(&digest);
            }
            None => getrandom::fill(&mut key).map_err(std::io::Error::other)?,
        }
        Ok(Search {
            key,
            variables: secret_variables(environment),
            add_mask,
        })
    }

    pub(super) fn finder(self) -> Finder {
        Finder::new(self.key, self.variables, self.add_mask)
    }

    pub(super) fn setup(&self) -> Setup {
        Setup {
            key: self.key,
            variables: self
                .variables
                .iter()
                .map(|variable| SetupVariable {
                    name: variable.name.clone(),
                    value: variable.value.clone(),
                })
                .collect(),
            add_mask: self.add_mask,
        }
    }
}

impl From<Setup> for Search {
    fn from(setup: Setup) -> Search {
        Search {
            key: setup.key,
            variables: setup
                .variables
                .into_iter()
                .map(|variable| Variable {
                    name: variable.name,
                    value: variable.value,
                })
                .collect(),
            add_mask: setup.add_mask,
        }
    }
}
