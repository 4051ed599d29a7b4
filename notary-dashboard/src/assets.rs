//! Style, script and icon: ours, small, and in the binary. Their addresses name their content, so that browsers keep them.

use std::{io::Write as _, sync::LazyLock};

use axum::{
    body::Body,
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

struct Asset {
    name: &'static str,
    kind: &'static str,
    plain: &'static [u8],
}

const ASSETS: [Asset; 3] = [
    Asset { name: "page.css", kind: "text/css; charset=utf-8", plain: include_bytes!("../assets/page.css") },
    Asset { name: "page.js", kind: "text/javascript; charset=utf-8", plain: include_bytes!("../assets/page.js") },
    Asset { name: "icon.svg", kind: "image/svg+xml", plain: include_bytes!("../assets/icon.svg") },
];

/// A name for all of them together.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in &ASSETS {
        hash.update(asset.plain);
    }
    hex::encode(&hash.finalize()[..8])
});

/// Compressed once. Pages are not: they hold secrets beside what strangers wrote (BREACH).
static COMPRESSED: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let gzip = |asset: &Asset| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(asset.plain).and_then(|()| encoder.finish()).unwrap_or_default()
    };
    ASSETS.iter().map(gzip).collect()
});

/// Where an asset is served.
pub(crate) fn path(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

pub(crate) async fn asset(Path((version, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(at) = ASSETS.iter().position(|asset| asset.name == name).filter(|_| version == *VERSION) else {
        return (StatusCode::NOT_FOUND, "there is no such file; load the page again\n").into_response();
    };
    let asset = &ASSETS[at];
    let takes_gzip = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|coding| coding.split(';').next().map(str::trim) == Some("gzip")));
    let common = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
    ];
    match COMPRESSED.get(at).filter(|bytes| takes_gzip && !bytes.is_empty()) {
        Some(bytes) => (common, [(header::CONTENT_ENCODING, "gzip")], Body::from(bytes.clone())).into_response(),
        None => (common, asset.plain).into_response(),
    }
}
