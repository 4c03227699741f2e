//! A message, before it is written for some medium.

use runward_store::{Millis, Notification, Parcel, Severity};

use crate::words::{counted, plain};

/// The kind of a notification that tells nothing: somebody tries a channel.
pub const TEST: &str = "test";

/// Characters of a line that stands above everything else.
const TITLE_MAX: usize = 160;

/// What is told at once, and what is needed to read it elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// By which who gets it twice knows that it is the same.
    pub id: &'a str,
    /// This server's address, without a `/` at its end.
    pub server: &'a str,
    /// The organisation's name in addresses.
    pub org_slug: &'a str,
    /// The organisation's name for people.
    pub org_name: &'a str,
    /// What is told.
    pub parcel: &'a Parcel,
    /// When the first of it was found.
    pub created_at: Millis,
}

/// What a channel is tried with.
pub fn test(channel: &str, by: &str, org_slug: &str, now: Millis) -> Notification {
    Notification {
        kind: TEST.to_owned(),
        severity: Severity::Low,
        sentence: format!(
            "This is a test of the channel “{channel}” by {by}: nothing has happened"
        ),
        at: now,
        details: Vec::new(),
        link: format!("/o/{org_slug}/settings/notifications"),
        repeats: 0,
    }
}

impl Message<'_> {
    /// What happened, in one line.
    pub(crate) fn title(&self) -> String {
        match self.alone() {
            Some(only) => plain(&only.sentence, TITLE_MAX),
            None => format!(
                "{} to look at in {}",
                counted(self.parcel.count(), "thing", "things"),
                plain(self.org_name, 60)
            ),
        }
    }

    /// The only thing in it.
    pub(crate) fn alone(&self) -> Option<&Notification> {
        let only = self.parcel.told.first()?;
        (self.parcel.count() == 1).then_some(only)
    }

    pub(crate) fn is_test(&self) -> bool {
        self.alone().is_some_and(|only| only.kind == TEST)
    }

    /// A page of this server, by its path.
    pub(crate) fn page(&self, path: &str) -> String {
        self.at(path)
    }

    /// The page with the evidence.
    pub(crate) fn evidence(&self, notification: &Notification) -> String {
        self.at(&notification.link)
    }

    /// The page with all detections.
    pub(crate) fn detections(&self) -> String {
        self.at(&format!("/o/{}/detections", self.org_slug))
    }

    /// The page where it is said who is told what.
    pub(crate) fn settings(&self) -> String {
        self.at(&format!("/o/{}/settings/notifications", self.org_slug))
    }

    /// A page of this server. Paths are this server's own; one that looks otherwise leads to the front page.
    fn at(&self, path: &str) -> String {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/%?=&".contains(&b);
        let is_own = path.starts_with('/') && !path.starts_with("//") && path.bytes().all(is_plain);
        format!("{}{}", self.server, if is_own { path } else { "/" })
    }
}
