use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{self, PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

/// Passwords that are looked at at once; others wait. Each takes 19 MiB.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

/// The hash of a password, with a salt of its own: argon2id with the parameters that its authors recommend.
pub(crate) fn hash_password(password: &str) -> Result<String, password_hash::Error> {
    let hash = Argon2::default().hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

/// Whether this is the password. Slow on purpose, so it is not done where requests are answered.
pub(crate) async fn is_password(password: String, hash: Option<String>) -> bool {
    let Ok(place) = AT_ONCE.acquire().await else {
        return false;
    };
    let fits = tokio::task::spawn_blocking(move || {
        let fits = fits(&password, hash.as_deref());
        drop(place);
        fits
    });
    fits.await.unwrap_or(false)
}

/// Takes as long when there is no hash, so that nobody learns which logins there are.
fn fits(password: &str, hash: Option<&str>) -> bool {
    /// Of a password that nobody has.
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBmaXhlZCBzYWx0$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
    let known = hash.is_some();
    let Ok(hash) = PasswordHash::new(hash.unwrap_or(NOBODY)) else {
        return false;
    };
    let fits = Argon2::default()
        .verify_password(password.as_bytes(), &hash)
        .is_ok();
    fits && known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_and_nothing_else() {
        let hash = hash_password("correct horse").unwrap();
        assert!(fits("correct horse", Some(&hash)));
        assert!(!fits("correct horses", Some(&hash)));
        assert!(!fits("correct horse", None));
        assert!(!fits("", Some("nonsense")));
        assert_ne!(hash, hash_password("correct horse").unwrap());
    }
}
