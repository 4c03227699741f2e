//! Who asks: people by a session, programs by a key.

mod attempts;
mod key;
mod password;
mod session;

pub(crate) use attempts::Attempts;
pub(crate) use key::{Bearer, NewKey};
pub(crate) use password::{hash_password, is_password};
pub(crate) use session::{Person, Token, Viewer, cookie, ended_cookie};
