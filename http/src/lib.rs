//! HTTP clients with one TLS implementation for the whole process: rustls with ring.
//!
//! reqwest is built without a TLS provider of its own: its default, aws-lc, takes five times as long to compile as ring.
//! A client that is built without a provider panics, so all clients begin here (`clippy.toml` bans the other ways).

#[cfg(feature = "answers")]
pub mod answers;

/// Makes ring the process's TLS provider, unless it has one.
pub fn use_ring() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// What a client is built from, with reqwest's defaults.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn builder() -> reqwest::ClientBuilder {
    use_ring();
    reqwest::Client::builder()
}

/// A client with reqwest's defaults.
///
/// # Panics
/// Like [`reqwest::Client::new`]: when the system's resolver cannot be read.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn client() -> reqwest::Client {
    use_ring();
    reqwest::Client::new()
}

#[cfg(test)]
mod tests {
    #[test]
    fn clients_have_a_tls_provider() {
        assert!(super::builder().build().is_ok());
        let _client = super::client();
    }
}
