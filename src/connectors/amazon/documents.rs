//! Where documents lie, of reports and of feeds: at addresses that are good for a few minutes, for anybody who has them.

use reqwest::RequestBuilder;
use serde::Deserialize;
use url::Url;

use super::{
    call::Caller,
    encode::{NoPath, Request},
};
use crate::connectors::{
    Fault,
    http::{self, Answer},
};

/// Where a document lies, as it is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    pub(super) url: String,
    pub(super) compression_algorithm: Option<String>,
}

/// Asks where a document lies. Returns its address, and how it is packed. `what`: it, in words.
pub(super) async fn ask(
    caller: &Caller,
    request: Result<Request, NoPath>,
    what: &str,
) -> Result<(Url, Option<String>), Fault> {
    let request = request.map_err(|e| Fault::Malformed(e.to_string()))?;
    let told: Told = http::json(&caller.read(&request).await?.body).map_err(Fault::Malformed)?;
    Ok((address(caller, &told.url, what)?, told.compression_algorithm))
}

/// Returns the address that is told of a document, if it is one to go to.
pub(super) fn address(caller: &Caller, url: &str, what: &str) -> Result<Url, Fault> {
    let url = Url::parse(url).ok().filter(|url| caller.may_fetch(url));
    url.ok_or_else(|| Fault::Malformed(format!("{what} lies at an address that is not https")))
}

/// Downloads or uploads a document whole. The address is good for anybody who has it, so no token goes there.
pub(super) async fn send(caller: &Caller, request: RequestBuilder) -> Result<Answer, Fault> {
    let answer = caller.http().send(request).await?;
    if !answer.is_success() {
        return Err(Fault::Server { status: answer.status, detail: http::excerpt(&answer.body) });
    }
    Ok(answer)
}
