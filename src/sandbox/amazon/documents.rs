//! Where documents lie, of reports and of feeds: at addresses that are good for five minutes, for anybody who has them.

use std::io::Write as _;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use flate2::{Compression, write::GzEncoder};

use super::Params;

/// How long the address of a document is good.
pub(super) const ADDRESS_LIFE_MS: i64 = 300_000;

/// What makes the addresses of a document good, and until when.
#[derive(Default)]
pub(super) struct Addresses(Vec<(String, i64)>);

impl Addresses {
    /// Returns another address of a document. `path`: where on this host it lies.
    pub(super) fn add(&mut self, host: &str, path: &str, signature: String, now_ms: i64) -> String {
        let url = format!("http://{host}/{path}?X-Amz-Expires=300&X-Amz-Signature={signature}");
        self.0.push((signature, now_ms + ADDRESS_LIFE_MS));
        url
    }

    fn are_good(&self, signature: &str, now_ms: i64) -> bool {
        self.0.iter().any(|(known, until)| known == signature && now_ms < *until)
    }
}

/// Returns the document, if there is one, to whoever has a good address. Who brings a token is refused, as where Amazon's
/// documents lie.
pub(super) fn let_in<D>(
    document: Option<D>,
    addresses: impl Fn(&D) -> &Addresses,
    query: &str,
    headers: &HeaderMap,
    now_ms: i64,
) -> Result<D, (StatusCode, &'static str)> {
    let params = Params::read(query);
    let signature = params.get("X-Amz-Signature").unwrap_or_default();
    if headers.contains_key("x-amz-access-token") {
        return Err((StatusCode::BAD_REQUEST, "InvalidArgument: only one auth mechanism allowed"));
    }
    let document = document.filter(|document| addresses(document).are_good(signature, now_ms));
    document.ok_or((StatusCode::FORBIDDEN, "AccessDenied: Request has expired"))
}

pub(super) fn zipped(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(text).and_then(|()| encoder.finish());
    packed.expect("writing to memory does not fail").into()
}
