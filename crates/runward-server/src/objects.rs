//! The events themselves, as objects that are written once.

use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};

/// An object store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("the events can't be kept or read now: {0}")]
pub(crate) struct ObjectError(#[from] object_store::Error);

/// Where events are kept.
#[derive(Clone, Debug)]
pub(crate) struct Objects(Arc<dyn ObjectStore>);

impl Objects {
    /// Keeps them as files in a folder, each on the disk before anybody is told that it is kept.
    pub(crate) fn folder(folder: &Path) -> Result<Objects, ObjectError> {
        let files = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Objects(Arc::new(files)))
    }

    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.0.put(&Key::from(key), bytes.into()).await?;
        Ok(())
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        Ok(self.0.get(&Key::from(key)).await?.bytes().await?)
    }
}
