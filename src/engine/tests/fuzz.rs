//! Whatever may stand in a record of the journal.

use std::path::Path;

use serde_json::Value;

use crate::{engine::disk, fuzz, store};

#[test]
fn envelopes() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/store/v2");
    let mut samples: Vec<Value> = Vec::new();
    let read =
        &mut |record: store::Record| samples.push(serde_json::from_slice(&record.payload).expect("JSON"));
    store::verify_journal(&golden, None, read).expect("it is whole");
    fuzz::json(bolero::check!(), &samples, |payload| {
        match disk::decode(7, payload) {
            Ok(envelope) => {
                // What was read is told again as it was read: nothing of it is lost on the way.
                let told = serde_json::to_vec(&envelope).expect("it can be told");
                let again = disk::decode(7, &told).expect("what was told can be read");
                assert_eq!(again, envelope);
            }
            Err(error) => assert!(error.to_string().contains("record 7"), "{error}"),
        }
    });
}
