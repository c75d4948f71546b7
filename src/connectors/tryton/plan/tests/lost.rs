//! Postings whose answers are lost, and what people do in Tryton before the next one.

use super::{people::cancel_open, *};

/// What is told of an order, as the core keeps it.
#[derive(Debug, Default)]
struct Teller {
    sequence: u32,
    acked: [i64; 5],
    unanswered: Vec<Told>,
}

impl Teller {
    /// Returns what the next posting tells.
    fn tell(&mut self, target: [i64; 5]) -> Lines {
        self.sequence += 1;
        if self.unanswered.last().is_none_or(|last| last.totals != totals(target)) {
            self.unanswered.push(Told { sequence: self.sequence, totals: totals(target) });
        }
        let acked = totals(self.acked);
        let most = self.unanswered.iter().fold(acked, |most, told| most.most(told.totals));
        let line =
            PostingLine { unanswered: self.unanswered.clone(), ..line(totals(target), most, Some(acked)) };
        BTreeMap::from([(7, line)])
    }

    /// Posts a target, whose answer is lost.
    fn lose(&mut self, mini: &mut Mini, target: [i64; 5]) {
        let lines = self.tell(target);
        follow(mini, &lines, self.sequence);
    }

    fn post(&mut self, mini: &mut Mini, target: [i64; 5]) {
        self.lose(mini, target);
        (self.acked, self.unanswered) = (target, Vec::new());
    }
}

/// The units went elsewhere; one comes back, which is told, and a person cancels it before that is known.
#[test]
fn what_a_person_cancels_of_a_lost_posting_is_not_sold_once_more() {
    let (mut mini, mut teller) = (Mini::default(), Teller::default());
    teller.post(&mut mini, [3, 0, 0, 0, 0]);
    teller.post(&mut mini, [0; 5]);
    teller.lose(&mut mini, [1, 0, 0, 0, 0]);
    assert_eq!(mini.books.sums(7).open, 1);
    cancel_open(&mut mini);
    for target in [[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [2, 0, 0, 0, 0]] {
        teller.post(&mut mini, target);
        assert_eq!(mini.books.sums(7).open, target[0] - 1, "{target:?}");
    }
}

#[test]
fn what_a_lost_posting_cancelled_is_sold_anew_when_it_comes_back() {
    let (mut mini, mut teller) = (Mini::default(), Teller::default());
    teller.post(&mut mini, [3, 0, 0, 0, 0]);
    for target in [[0; 5], [3, 0, 0, 0, 0], [1, 0, 0, 0, 0], [2, 0, 0, 0, 0]] {
        teller.lose(&mut mini, target);
        assert_eq!(mini.books.sums(7).open, target[0], "{target:?}");
    }
}

/// What a person ships meanwhile of what is sold once more.
#[test]
fn what_a_person_ships_after_a_lost_posting_is_not_taken_back() {
    let (mut mini, mut teller) = (Mini::default(), Teller::default());
    teller.post(&mut mini, [2, 0, 0, 2, 0]);
    teller.lose(&mut mini, [2, 0, 0, 0, 0]);
    let mut shipments = mini.books.sales.iter().flat_map(|sale| &sale.shipments);
    let shipment = shipments.rfind(|s| is_open(s)).expect("it is sold once more").id;
    for button in [Button::AssignForce, Button::Pick, Button::Pack, Button::Do] {
        mini.press_shipment(shipment, button).expect("the buttons are in order");
    }
    teller.post(&mut mini, [2, 0, 0, 0, 0]);
    let sums = mini.books.sums(7);
    assert_eq!((sums.undone_back, sums.fulfilled), (2, 4));
}

/// What happens next to an order of which units go to another warehouse, and come back.
#[derive(Debug, Clone, Copy)]
enum Happens {
    /// It is told so many units; at most so many steps of the posting are made.
    Told { units: i64, steps: Option<usize>, answered: bool },
    /// A person cancels what is open, for good.
    Cancelled,
}

fn happens() -> impl Strategy<Value = Happens> {
    let steps = prop_oneof![3 => Just(None), 1 => (0..6_usize).prop_map(Some)];
    let told = (0..5_i64, steps, any::<bool>());
    prop_oneof![
        3 => told.prop_map(|(units, steps, answered)| Happens::Told { units, steps, answered }),
        1 => Just(Happens::Cancelled),
    ]
}

/// Follows the plan for some steps. Returns whether it came to its end.
fn some_steps(mini: &mut Mini, lines: &Lines, sequence: u32, steps: usize) -> bool {
    for _ in 0..steps {
        match next(&mini.books, lines, sequence) {
            Step::Done => return true,
            Step::Go(calls) => {
                for call in calls {
                    if mini.apply(&call).is_err() {
                        break;
                    }
                }
            }
            step @ (Step::Wait { .. } | Step::Refuse(_)) => panic!("{step:?} with {:#?}", mini.books),
        }
    }
    false
}

proptest! {
    /// Whatever is lost and whatever people cancel: what is open is what was told last, less what they have cancelled of it.
    #[test]
    fn what_is_open_is_what_was_told_less_what_people_cancelled(
        story in prop::collection::vec(happens(), 1..12),
        direct in any::<bool>(),
    ) {
        let mut mini = Mini { direct, ..Mini::default() };
        let mut teller = Teller::default();
        // Units that are told, and those of them that people have cancelled: the least and the most. Of what goes elsewhere again
        // before it was seen to be made nobody can say whether it is those; nor whether a person has cancelled them, or a posting
        // whose answer was lost.
        let (mut told, mut theirs, mut unmade, mut fell) = (0, (0, 0), 0, 0);
        let last = Happens::Told { units: 4, steps: None, answered: true };
        for happens in story.iter().chain([&last]) {
            match *happens {
                Happens::Told { units, steps, answered } => {
                    // What goes elsewhere people may have cancelled already.
                    let fewer = (told - units).max(0);
                    theirs = ((theirs.0 - fewer).max(0), (theirs.1 - (fewer - unmade).max(0)).clamp(0, units));
                    fell += fewer;
                    unmade = (unmade + units - told).max(0);
                    told = units;
                    let target = [units, 0, 0, 0, 0];
                    let lines = teller.tell(target);
                    if some_steps(&mut mini, &lines, teller.sequence, steps.unwrap_or(100)) {
                        let cancelled = told - mini.books.sums(7).open;
                        let may = (theirs.0 - fell).max(0)..=theirs.1;
                        prop_assert!(may.contains(&cancelled), "{may:?} {:#?}", mini.books);
                        (theirs, unmade) = ((cancelled, cancelled), 0);
                        if answered {
                            (teller.acked, teller.unanswered, fell) = (target, Vec::new(), 0);
                        }
                    }
                }
                Happens::Cancelled => {
                    let sums = mini.books.sums(7);
                    let open = sums.open + sums.loose;
                    cancel_open(&mut mini);
                    let more = |theirs: i64| theirs + open.min(told - theirs);
                    theirs = (more(theirs.0), more(theirs.1));
                }
            }
        }
    }
}
