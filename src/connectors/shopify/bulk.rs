//! Snapshots of large shops, by a bulk operation: Shopify writes all there is to a file, which is read part by part.
//!
//! Rows are read by Shopify at some moment between the operation's begin and its end, and no row says when. So a row
//! counts as of the begin if its level has not changed since; where it has, or may have, the item is read again. The
//! query has one list and nothing below it that would be a list, so no row has to be joined with another. A file that is
//! not whole is never taken for all there is: its size and the number of its rows are compared with what Shopify tells.
//!
//! Where a bulk operation cannot be begun, or fails, the catalogue is read page by page instead.
//! <https://shopify.dev/docs/api/usage/bulk-operations/queries>

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Method,
    header::{ACCEPT_ENCODING, RANGE},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};
use url::Url;

use crate::{
    connectors::{
        CataloguePage, Cursor, Fault, http,
        shopify::{
            PAGE,
            call::Caller,
            decode, gid,
            graphql::{BULK, BULK_BEGIN, COUNT},
            items,
            options::{Location, Locations},
        },
    },
    model::{Levels, Timestamp},
};

#[cfg(test)]
mod tests;

/// How much of the file is read in one go.
const PART: u64 = 512 << 10;
/// The longest row that is believed in.
const ROW_MAX: u64 = 8 << 20;
/// How many rows of the ledger one page brings at most; what is left of a part is read once more.
const ROWS_MAX: usize = 5_000;
/// How long it is waited before an operation is asked for again: at first, and at most.
const POLL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A level counts as changed since the begin if it changed so shortly before: its time and the shop's clock are whole
/// seconds of different machines.
const DOUBT_MS: i64 = 5_000;

/// How many operations may run at once, by Shopify's rules.
const AT_ONCE: usize = 5;

/// When the operations that were begun last were begun: a snapshot may be read for the opening while another goes on. What is
/// lost here is begun anew.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<VecDeque<(String, Instant)>>);

/// Where a snapshot goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum At {
    Bulk {
        bulk: Place,
    },
    /// A cursor of the catalogue's pages.
    Pages {
        pages: Option<String>,
    },
}

/// How far the file of an operation was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// The operation.
    id: String,
    /// The shop's clock when it was begun, or a little before.
    begun_at: i64,
    /// How often it was asked for without being done.
    asked: u32,
    /// Bytes and rows that were read.
    offset: u64,
    rows: u64,
    /// Items that changed since the begin: they are read before the file goes on.
    again: Vec<u64>,
}

/// Reads one page of a snapshot. `above`: shops with more variants are read by a bulk operation.
pub(super) async fn snapshot(
    caller: &Caller,
    locations: &Locations,
    runs: &Runs,
    above: u64,
    after: Option<&Cursor>,
) -> Result<CataloguePage, Fault> {
    let at = match after {
        None => begin(caller, locations, runs, above).await?.unwrap_or(At::Pages { pages: None }),
        Some(cursor) => {
            serde_json::from_str(&cursor.0).map_err(|e| Fault::Refused(format!("not a cursor: {e}")))?
        }
    };
    match at {
        At::Pages { pages } => paged(caller, locations, pages.map(Cursor).as_ref()).await,
        At::Bulk { bulk } if after.is_none() => {
            Ok(CataloguePage { next: Some(At::Bulk { bulk }.cursor()?), ..CataloguePage::default() })
        }
        At::Bulk { bulk } => go_on(caller, locations, runs, bulk).await,
    }
}

impl At {
    fn cursor(&self) -> Result<Cursor, Fault> {
        serde_json::to_string(self).map(Cursor).map_err(|e| Fault::Malformed(e.to_string()))
    }
}

impl Runs {
    fn begin(&self, id: &str, at: Instant) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.truncate(AT_ONCE - 1);
        runs.push_front((id.to_owned(), at));
    }

    fn age(&self, id: &str) -> Result<Duration, Fault> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = runs.iter().find(|(known, _)| known == id).map(|(_, at)| at.elapsed());
        begun.ok_or_else(|| Fault::Refused("the bulk operation is not one that was begun here".to_owned()))
    }
}

/// Reads one page of the catalogue by pages.
async fn paged(
    caller: &Caller,
    locations: &Locations,
    after: Option<&Cursor>,
) -> Result<CataloguePage, Fault> {
    let page = items::catalogue(caller, locations, after).await?;
    let next = page.next.map(|cursor| At::Pages { pages: Some(cursor.0) }.cursor()).transpose()?;
    Ok(CataloguePage { next, ..page })
}

/// Begins a bulk operation, if the shop is large enough and lets us.
async fn begin(caller: &Caller, locations: &Locations, runs: &Runs, above: u64) -> Result<Option<At>, Fault> {
    let asked = Instant::now();
    let said = caller.call(&COUNT, &json!({})).await?;
    let variants = said.data["productVariantsCount"]["count"].as_u64().unwrap_or(0);
    // Without the shop's clock nothing could be said of when a row was so.
    let Some(begun_at) = said.at.filter(|_| variants > above) else { return Ok(None) };
    let said = caller.call(&BULK_BEGIN, &json!({"query": query(locations)})).await?;
    let id = match begun(&said.data) {
        Ok(id) => id,
        Err(why) => {
            warn!(%why, "no bulk operation can be begun; the catalogue is read page by page");
            return Ok(None);
        }
    };
    info!(id, variants, "a bulk operation writes the catalogue to a file");
    runs.begin(id, asked);
    let bulk = Place { id: id.to_owned(), begun_at: begun_at.millis(), ..Place::default() };
    Ok(Some(At::Bulk { bulk }))
}

/// Reads which operation was begun. Err: none was, and why.
pub(super) fn begun(data: &Value) -> Result<&str, String> {
    let told = &data["bulkOperationRunQuery"];
    let id = told["bulkOperation"]["id"].as_str();
    id.ok_or_else(|| http::excerpt(told["userErrors"].to_string().as_bytes()))
}

/// Returns the name under which a row tells the level at a location.
fn level_at(location: &Location) -> String {
    format!("at{}", location.number)
}

/// Returns the query of everything there is at the locations. Bulk operations take no variables.
pub(super) fn query(locations: &Locations) -> String {
    let level = |location: &Location| {
        format!(
            "{}: inventoryLevel(locationId: \"{}\", includeInactive: true) {{ isActive updatedAt quantities(names: \
             [\"available\", \"on_hand\", \"committed\"]) {{ name quantity }} }}",
            level_at(location),
            location.gid()
        )
    };
    let levels: Vec<String> = locations.iter().map(level).collect();
    format!(
        "{{ productVariants {{ edges {{ node {{ id barcode displayName requiresComponents inventoryItem {{ id sku tracked \
         {} }} }} }} }} }}",
        levels.join(" ")
    )
}

/// What is told of an operation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    status: String,
    error_code: Option<String>,
    /// Numbers of 64 bits are told as texts.
    root_object_count: Value,
    file_size: Value,
    url: Option<String>,
}

fn number(told: &Value) -> Option<u64> {
    told.as_u64().or_else(|| told.as_str()?.parse().ok())
}

async fn go_on(
    caller: &Caller,
    locations: &Locations,
    runs: &Runs,
    place: Place,
) -> Result<CataloguePage, Fault> {
    // Before anything is asked: a row counts as of the begin, not as of now.
    let age = runs.age(&place.id)?;
    if !place.again.is_empty() {
        let (now, later) = place.again.split_at(place.again.len().min(PAGE));
        let page = items::again(caller, locations, now).await?;
        let bulk = Place { again: later.to_vec(), ..place.clone() };
        return Ok(CataloguePage { next: Some(At::Bulk { bulk }.cursor()?), ..page });
    }
    let said = caller.call(&BULK, &json!({"id": place.id})).await?;
    let told: Told = http::json_part(&said.data["bulkOperation"]).map_err(Fault::Malformed)?;
    match told.status.as_str() {
        "CREATED" | "RUNNING" => {
            let (first, most) = POLL;
            sleep((first * (place.asked + 1)).min(most)).await;
            let bulk = Place { asked: place.asked.saturating_add(1), ..place };
            Ok(CataloguePage { next: Some(At::Bulk { bulk }.cursor()?), ..CataloguePage::default() })
        }
        "COMPLETED" => Ok(CataloguePage { age, ..read(caller, locations, place, &told).await? }),
        status => {
            // What it wrote until then would be taken for all there is.
            let why = told.error_code.unwrap_or_default();
            warn!(
                id = place.id,
                status, why, "the bulk operation failed; the catalogue is read page by page"
            );
            Ok(CataloguePage { next: Some(At::Pages { pages: None }.cursor()?), ..CataloguePage::default() })
        }
    }
}

/// Reads the next part of the file.
async fn read(
    caller: &Caller,
    locations: &Locations,
    place: Place,
    told: &Told,
) -> Result<CataloguePage, Fault> {
    let size = number(&told.file_size).unwrap_or(0);
    let all = number(&told.root_object_count).ok_or_else(|| malformed("tells no number of its rows"))?;
    if place.offset >= size {
        let whole = place.rows == all && place.offset == size;
        return if whole {
            Ok(CataloguePage::default())
        } else {
            Err(malformed("ended before all of its rows"))
        };
    }
    let url = told.url.as_deref().ok_or_else(|| malformed("has no file any more"))?;
    let mut part = PART;
    loop {
        let until = size.min(place.offset.saturating_add(part));
        let bytes = download(caller, url, place.offset, until).await?;
        let last = until == size;
        let whole =
            if last { bytes.len() } else { bytes.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1) };
        if whole > 0 {
            return take(locations, place, &bytes[..whole]);
        }
        if part >= ROW_MAX {
            return Err(malformed("holds a row that is too long"));
        }
        part *= 4;
    }
}

fn malformed(what: &str) -> Fault {
    Fault::Malformed(format!("the file of the bulk operation {what}"))
}

/// Reads some bytes of the file. Its address is good for anybody who has it, so no token goes there.
async fn download(caller: &Caller, url: &str, from: u64, until: u64) -> Result<bytes::Bytes, Fault> {
    let url = Url::parse(url).ok().filter(|url| caller.may_fetch(url));
    let url = url.ok_or_else(|| malformed("lies at an address that is not https"))?;
    let request = caller.http().request(Method::GET, url);
    // A part of something packed could not be unpacked.
    let request =
        request.header(ACCEPT_ENCODING, "identity").header(RANGE, format!("bytes={from}-{}", until - 1));
    let answer = caller.http().send(request).await?;
    let wanted = usize::try_from(until - from).unwrap_or(usize::MAX);
    match answer.status {
        206 if answer.body.len() == wanted => Ok(answer.body),
        // Who does not know of parts sends all of it.
        200 if from == 0 && answer.body.len() == wanted => Ok(answer.body),
        200 | 206 => {
            Err(malformed(&format!("came as {} bytes where {wanted} were asked for", answer.body.len())))
        }
        401 | 403 | 404 | 410 => Err(malformed(&format!("is not there any more (status {})", answer.status))),
        _ => Err(answer.fault(POLL.1)),
    }
}

/// Reads whole rows.
fn take(locations: &Locations, mut place: Place, bytes: &[u8]) -> Result<CataloguePage, Fault> {
    let mut page = CataloguePage::default();
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        if page.items.len() + page.unread.len() >= ROWS_MAX {
            break;
        }
        place.offset += line.len() as u64;
        if line.trim_ascii().is_empty() {
            continue;
        }
        place.rows += 1;
        let row: Value = match http::json(line) {
            Ok(row) => row,
            // The others are not held up by it, and what is known of its listing stays so.
            Err(why) => {
                warn!(id = place.id, row = place.rows, %why, "a row of the bulk operation was not understood");
                continue;
            }
        };
        for location in locations.iter() {
            let node = as_item(&row, location);
            let read = decode::item(&node, location);
            if read.as_ref().is_ok_and(|item| changed_since(item.levels.as_ref(), place.begun_at)) {
                place.again.extend(node["id"].as_str().and_then(|id| gid::number("InventoryItem", id)));
            } else {
                items::put(&mut page, locations, location, read);
            }
        }
    }
    place.again.dedup();
    Ok(CataloguePage { next: Some(At::Bulk { bulk: place }.cursor()?), ..page })
}

/// Tells whether a level may be other than it was at the begin.
fn changed_since(levels: Option<&Levels>, begun_at: i64) -> bool {
    let begun = Timestamp::from_millis(begun_at.saturating_sub(DOUBT_MS));
    levels.is_some_and(|levels| levels.changed_at.is_none_or(|at| at >= begun))
}

/// Returns a row as the catalogue's pages would tell it: the item, with its variant and its level at a location.
fn as_item(row: &Value, location: &Location) -> Value {
    let item = &row["inventoryItem"];
    let variant = |key: &str| row[key].clone();
    json!({
        "id": item["id"],
        "sku": item["sku"],
        "tracked": item["tracked"],
        "variants": {"nodes": [{
            "id": variant("id"),
            "barcode": variant("barcode"),
            "displayName": variant("displayName"),
            "requiresComponents": variant("requiresComponents"),
        }]},
        "inventoryLevel": item[level_at(location)],
    })
}
