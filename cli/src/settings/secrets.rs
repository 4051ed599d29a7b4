//! What `lota config show` keeps to itself: tokens, and whatever of a URL may be a password or a key.

/// What is not shown at all.
const HIDDEN: [&str; 4] = ["api.token", "node.pinning_token", "node.filecoin_session_key", "node.curio_key"];
/// URLs, or several with commas between.
const URLS: [&str; 15] = [
    "api.url",
    "node.curio",
    "node.filecoin",
    "node.gateway_url",
    "node.gateways",
    "node.kubo",
    "node.mock",
    "node.pinning_service",
    "fil_plus.server",
    "fil_plus.lists",
    "notary.gateways",
    "notary.origin",
    "notary.other_notary",
    "notary.registry",
    "notary.smtp",
];
/// The same, of services that take keys as paths.
const KEYED_URLS: [&str; 7] = [
    "node.rpc",
    "node.filecoin_rpc",
    "node.curio_rpc",
    "fil_plus.rpc",
    "fil_plus.ipni",
    "notary.rpc",
    "notary.webhook",
];

/// The value of a setting as it may stay on a screen.
pub(crate) fn shown(key: &str, value: &str) -> String {
    if HIDDEN.contains(&key) {
        return "(set, not shown)".to_owned();
    }
    let is_keyed = KEYED_URLS.contains(&key);
    if !is_keyed && !URLS.contains(&key) {
        return value.to_owned();
    }
    let urls: Vec<_> = value.split(',').map(|url| masked(url.trim(), is_keyed)).collect();
    urls.join(", ")
}

/// A URL with `...` in place of credentials, query and fragment, and of the path if that may be a key; also of what is no URL.
fn masked(url: &str, hides_path: bool) -> String {
    let (scheme, rest) = url.find("://").map_or(("", url), |end| url.split_at(end + 3));
    // The last one: in what is no proper URL a password may hold anything.
    let (credentials, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("...@", rest));
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = match path.find(['?', '#']) {
        _ if hides_path && path.len() > 1 => "/...".to_owned(),
        Some(at) => format!("{}...", &path[..=at]),
        None => path.to_owned(),
    };
    format!("{scheme}{credentials}{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::KEYS;

    #[test]
    fn of_a_url_no_key_is_shown() {
        for (key, value, seen) in [
            ("node.rpc", "http://127.0.0.1:8545", "http://127.0.0.1:8545"),
            ("node.rpc", "http://127.0.0.1:8545/", "http://127.0.0.1:8545/"),
            (
                "node.rpc",
                "wss://me:SECRET@one.example/v1?token=SECRET,https://two.example/v3/SECRET",
                "wss://...@one.example/..., https://two.example/...",
            ),
            ("node.rpc", "https://node.example?key=SECRET", "https://node.example/..."),
            ("node.rpc", "me:SECRET@node.example", "...@node.example"),
            ("node.kubo", "http://me:SE/CR@ET@127.0.0.1:5001", "http://...@127.0.0.1:5001"),
            ("node.pinning_service", "https://api.example/psa", "https://api.example/psa"),
            ("node.pinning_service", "https://api.example/psa?key=SECRET", "https://api.example/psa?..."),
            ("node.gateways", "https://gw.example#SECRET , http://b", "https://gw.example#..., http://b"),
            ("node.pinning_token", "SECRET", "(set, not shown)"),
            ("node.filecoin_session_key", "0x5EC2E7", "(set, not shown)"),
            ("node.curio_key", "0x5EC2E7", "(set, not shown)"),
            ("node.filecoin_rpc", "https://api.example/v1/SECRET", "https://api.example/..."),
            ("api.token", "SECRET", "(set, not shown)"),
            ("node.directories", "a=/data/a?b", "a=/data/a?b"),
        ] {
            assert_eq!(shown(key, value), seen);
        }
    }

    #[test]
    fn every_setting_that_is_a_url_is_known_as_one() {
        let known = |key: &str| HIDDEN.iter().chain(&URLS).chain(&KEYED_URLS).any(|known| *known == key);
        for key in KEYS.iter().filter(|key| key.about.contains("URL") && !key.about.contains("http://")) {
            assert!(known(key.name), "{} is shown as it is", key.name);
        }
        for name in HIDDEN.iter().chain(&URLS).chain(&KEYED_URLS) {
            assert!(KEYS.iter().any(|key| key.name == *name), "there is no {name}");
        }
        let mut tokens = KEYS.iter().filter(|key| key.name.ends_with("token"));
        assert!(tokens.all(|key| HIDDEN.contains(&key.name)), "a token is shown");
    }
}
