//! Crashes at every operation, and at random: what was synced stays, what was not may go, nothing is invented.

use proptest::prelude::*;

use super::*;

/// What may be in a journal: everything ever attempted, of which a part is known to be durable.
#[derive(Debug, Default)]
struct Model {
    attempted: Vec<Vec<u8>>,
    /// Ends of groups, as counts of records.
    group_ends: Vec<usize>,
    durable: usize,
    next_id: usize,
}

impl Model {
    fn attempt(&mut self, sizes: &[usize]) -> Vec<Vec<u8>> {
        let ids = self.next_id..;
        let group: Vec<Vec<u8>> = ids.zip(sizes).map(|(id, size)| payload(id, *size)).collect();
        self.next_id += group.len();
        self.attempted.extend(group.clone());
        self.group_ends.push(self.attempted.len());
        group
    }

    /// Compares with what was found after a restart; from there on that is what is durable.
    fn check(&mut self, found: &[Vec<u8>]) {
        assert!(found.len() >= self.durable, "{} of {} synced records are there", found.len(), self.durable);
        assert!(self.attempted.starts_with(found), "records differ from what was appended");
        let whole = found.is_empty() || self.group_ends.contains(&found.len());
        assert!(whole, "a group is there in part: {} of {:?}", found.len(), self.group_ends);
        self.attempted.truncate(found.len());
        self.group_ends.retain(|end| *end <= found.len());
        self.durable = found.len();
    }
}

#[derive(Debug, Clone)]
enum Action {
    Append(Vec<usize>),
    Sync,
    Close,
    Kill,
    PowerCut { seed: u64 },
    Fail { after: u64, full: bool },
    CutPower { after: u64 },
}

/// Runs actions against a journal and the model, restarting when the journal has stopped. Power cuts that come
/// by themselves take their whims from `seed`.
fn run(actions: &[Action], seed: u64) {
    let disk = SimDisk::new();
    let mut model = Model::default();
    let mut journal = None;
    for (step, action) in actions.iter().enumerate() {
        let seed = seed.wrapping_add(step as u64);
        match action {
            Action::Fail { after, full: true } => disk.fail_after(*after, ErrorKind::StorageFull),
            Action::Fail { after, full: false } => disk.fail_after(*after, ErrorKind::Other),
            Action::CutPower { after } => disk.cut_after(*after),
            Action::Kill => journal = None,
            Action::PowerCut { seed } => {
                journal = None;
                disk.power_cut(*seed);
            }
            Action::Append(_) | Action::Sync | Action::Close => {
                let open = journal.take().unwrap_or_else(|| reopen(&disk, &mut model, seed));
                journal = write(open, &mut model, action).ok().flatten();
            }
        }
    }
    drop(journal);
    disk.heal();
    let last = reopen(&disk, &mut model, seed);
    assert_eq!(check_offline(&disk).expect("verify must agree").head, last.head());
}

/// Returns the journal unless it was closed; one that failed is dropped.
fn write(mut journal: Journal, model: &mut Model, action: &Action) -> Result<Option<Journal>, Error> {
    match action {
        Action::Append(sizes) => {
            let before = model.attempted.len();
            journal.append(&model.attempt(sizes))?;
            model.durable = before;
        }
        Action::Close => {
            journal.close()?;
            model.durable = model.attempted.len();
            return Ok(None);
        }
        Action::Sync => {
            journal.sync()?;
            model.durable = model.attempted.len();
        }
        Action::Kill | Action::PowerCut { .. } | Action::Fail { .. } | Action::CutPower { .. } => {}
    }
    Ok(Some(journal))
}

/// Opens the journal, with power restored as often as it goes, and checks what is in it.
fn reopen(disk: &SimDisk, model: &mut Model, seed: u64) -> Journal {
    for attempt in 0..10 {
        match try_open(disk) {
            Ok((journal, _)) => match read_all(&journal) {
                Ok(found) => {
                    model.check(&found);
                    assert_eq!(journal.head().seq, model.durable as u64);
                    return journal;
                }
                // The power went just after it was opened.
                Err(Error::Disk(_)) => disk.power_cut(seed.wrapping_mul(31).wrapping_add(attempt)),
                Err(error) => panic!("what opens must read: {error}"),
            },
            Err(error @ Error::Damaged { .. }) => panic!("a crash is no damage: {error}"),
            Err(_) => disk.power_cut(seed.wrapping_mul(31).wrapping_add(attempt)),
        }
    }
    panic!("the journal does not open");
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![4 => 0..60usize, 1 => 400..700usize], 1..6)
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => sizes().prop_map(Action::Append),
        8 => Just(Action::Sync),
        1 => Just(Action::Close),
        1 => Just(Action::Kill),
        2 => any::<u64>().prop_map(|seed| Action::PowerCut { seed }),
        1 => (0..6u64, any::<bool>()).prop_map(|(after, full)| Action::Fail { after, full }),
        1 => (0..6u64).prop_map(|after| Action::CutPower { after }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_synced_records_stay_and_none_is_invented(
        actions in prop::collection::vec(action(), 1..40),
        seed in any::<u64>(),
    ) {
        run(&actions, seed);
    }
}

/// The power goes at each operation of a run that rotates, and comes back each time differently.
#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_synced() {
    let script: Vec<Action> = [vec![30], vec![10, 600, 20], vec![0], vec![500, 5], vec![40, 40], vec![700]]
        .into_iter()
        .flat_map(|sizes| [Action::Append(sizes), Action::Sync])
        .collect();
    for at in 0..50 {
        for seed in 0..8 {
            let mut actions = vec![Action::CutPower { after: at }];
            actions.extend(script.clone());
            run(&actions, seed * 1000 + at);
        }
    }
}

/// The same with an I/O error at each operation instead, and a power cut some time after it.
#[test]
fn an_io_error_at_any_operation_loses_nothing_that_was_synced() {
    let group = || Action::Append(vec![30, 300]);
    for at in 0..30 {
        for cut in 0..6 {
            let mut actions = vec![Action::Fail { after: at, full: at % 2 == 0 }];
            actions.extend((0..6).flat_map(|_| [group(), Action::Sync]));
            actions.insert(1 + cut * 2, Action::PowerCut { seed: at * 10 + cut as u64 });
            run(&actions, at);
        }
    }
}
