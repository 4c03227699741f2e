//! The block lists of a run: the one that comes with Runward, and those that `--block-list` names.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use runward_policy::{BlockList, limits};

use crate::output;

/// How records call the list that comes with Runward.
const BUILT_IN: &str = "built-in";

/// Reads all lists. What is wrong with them is told here, all of it, and then nothing of them is in force.
pub(crate) fn of_job(files: &[PathBuf], built_in: bool) -> Result<BlockList> {
    let mut list = BlockList::default();
    let mut wrong = false;
    // First those of the user: where both have the same, theirs is the reason that is told.
    for path in files {
        let text = read(path)?;
        let shown = path.to_string_lossy();
        for error in list.add(&shown, &text).err().into_iter().flatten() {
            output::say(error);
            wrong = true;
        }
    }
    if wrong {
        bail!("a block list has errors, so the command was not started");
    }
    if built_in && list.add(BUILT_IN, &runward_detect::known_bad()).is_err() {
        bail!("the block list that comes with Runward can't be read: please report this");
    }
    Ok(list)
}

fn read(path: &Path) -> Result<String> {
    let what = || format!("cannot read the block list {}", path.display());
    let mut bytes = Vec::new();
    // One byte more than may be: then the list itself says that it is too large.
    let most = u64::try_from(limits::BLOCK_LIST_BYTES).unwrap_or(u64::MAX);
    let file = File::open(path).with_context(what)?;
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .with_context(what)?;
    // What is no UTF-8 can't be in a name; the line that it stands in says so.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
