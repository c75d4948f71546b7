//! One suite for every connector: what a channel may do to us, and what must come of it.
//!
//! `subjects` is the table of connectors, and the list below the cases; each connector is put through each case. The
//! connectors speak to the sandbox through a server that strikes (`front`). A case that makes no sense for a connector is
//! excused in the table, with the reason.

mod bench;
mod deltas;
pub(crate) mod front;
mod pages;
mod reads;
mod subjects;
mod tokens;
mod wire;
mod writes;

use self::bench::Bench;

macro_rules! suite {
    (@of $subject:ident [$($module:ident :: $case:ident),* $(,)?]) => {
        mod $subject {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let subject = super::subjects::$subject();
                if let Some(why) = subject.excuse(stringify!($case)) {
                    eprintln!("not asked of {}: {why}", subject.name);
                    return;
                }
                super::$module::$case(super::Bench::start(subject).await).await;
            })*
        }
    };
    (@named [$($module:ident :: $case:ident),* $(,)?]) => {
        const CASES: &[&str] = &[$(stringify!($case)),*];
    };
    ([$($subject:ident),* $(,)?] $cases:tt) => {
        $(suite!(@of $subject $cases);)*
        const SUBJECTS: &[fn() -> subjects::Subject] = &[$(subjects::$subject),*];
        suite!(@named $cases);
    };
}

suite! {
    [shopify, amazon, tryton]
    [
        wire::a_connection_that_is_refused_proves_that_nothing_was_sent,
        wire::a_certificate_that_nobody_vouches_for_is_refused,
        wire::a_server_without_tls_is_refused,
        wire::a_redirect_is_refused_and_gets_no_credentials,
        writes::a_write_without_a_whole_answer_is_unknown_and_can_go_again,
        writes::a_write_whose_answer_takes_too_long_is_unknown,
        writes::a_write_whose_answer_is_lost_has_landed_once,
        writes::a_throttled_write_says_until_when,
        writes::a_write_that_is_refused_for_its_credentials_stops_the_lane,
        writes::a_batch_with_a_bad_entry_names_that_one,
        writes::a_refused_compare_is_stale,
        writes::the_same_write_twice_is_one,
        deltas::a_delta_is_done_whatever_is_shown,
        deltas::a_delta_whose_answer_is_lost_is_done_once_and_sent_once,
        deltas::a_delta_without_a_whole_answer_is_unknown_and_those_after_it_are_not_sent,
        deltas::a_throttled_delta_was_not_done,
        reads::a_read_without_a_whole_answer_is_a_fault,
        reads::a_read_that_takes_too_long_ends,
        reads::an_answer_without_end_is_not_held,
        reads::a_throttled_read_says_until_when,
        reads::a_read_that_is_refused_for_its_credentials_says_so,
        reads::a_clock_that_is_hours_off_is_the_channels_own,
        reads::another_version_than_the_pinned_one_is_told,
        reads::ids_of_64_bits_survive,
        reads::odd_skus_survive,
        reads::a_push_that_nobody_signed_is_forged,
        reads::a_cursor_of_somebody_else_is_refused,
        pages::an_empty_page_ends_a_list,
        pages::a_page_that_leads_to_itself_ends_in_a_fault,
        pages::a_page_may_be_long_and_tell_things_twice,
        pages::a_page_may_be_in_another_order,
        pages::an_entry_that_cannot_be_read_holds_up_no_other,
        tokens::an_ended_token_is_exchanged_once_in_the_middle_of_a_batch,
        tokens::a_token_that_is_refused_again_stops_the_lane,
        tokens::without_a_token_nothing_is_sent,
    ]
}

#[test]
fn whoever_is_excused_is_excused_from_a_case_that_there_is() {
    for subject in SUBJECTS {
        let subject = subject();
        for (case, why) in subject.excused {
            assert!(CASES.contains(case) && !why.is_empty(), "{}: {case}", subject.name);
        }
    }
}
