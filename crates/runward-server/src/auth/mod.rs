//! Who asks: people by a session, programs by a key.

mod attempts;
mod ci;
mod client;
mod fetch;
mod issuer;
mod jwt;
mod key;
mod oidc;
mod password;
mod sender;
mod session;

pub(crate) use attempts::Attempts;
pub(crate) use ci::{Mismatch, is_pattern};
pub(crate) use client::Client;
pub(crate) use fetch::Fetch;
pub(crate) use issuer::Issuer;
pub(crate) use key::{Bearer, NewKey, Registration, guessed};
pub(crate) use oidc::{Begun, Identified, LoginError, Provider};
pub(crate) use password::{hash_password, is_password};
pub(crate) use sender::{JobIssuer, Sender};
pub(crate) use session::{Cookie, Person, Token, Viewer};
