use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{self, PasswordHasher as _, PasswordVerifier as _};

/// The hash of a password, with a salt of its own: argon2id with the parameters that its authors recommend.
pub(crate) fn hash_password(password: &str) -> Result<String, password_hash::Error> {
    let hash = Argon2::default().hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

/// Whether this is the password. Takes as long when there is no hash, so that nobody learns which logins there are.
pub(crate) fn is_password(password: &str, hash: Option<&str>) -> bool {
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
        assert!(is_password("correct horse", Some(&hash)));
        assert!(!is_password("correct horses", Some(&hash)));
        assert!(!is_password("correct horse", None));
        assert!(!is_password("", Some("nonsense")));
        assert_ne!(hash, hash_password("correct horse").unwrap());
    }
}
