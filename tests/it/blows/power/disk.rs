//! A file system that knows what was made durable, and what it may have kept of the rest when the power goes.
//!
//! Writes and lengths are durable when their file was synced, names when their directory was. What was not may be there,
//! be gone, or be torn between sectors; names of one directory stay in their order, those of different ones do not.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Component, Path, PathBuf},
};

use rand::{RngExt as _, rngs::StdRng};

use super::log::Change;

const SECTOR: u64 = 512;

#[derive(Debug, Clone)]
enum Piece {
    Write(u64, Vec<u8>),
    Length(u64),
}

/// A change of the names in a directory.
#[derive(Debug, Clone)]
struct Naming {
    gone: Option<String>,
    set: Option<(String, usize)>,
}

#[derive(Debug)]
enum Node {
    File { durable: Vec<u8>, pending: Vec<Piece> },
    Dir { durable: BTreeMap<String, usize>, pending: Vec<Naming>, now: BTreeMap<String, usize> },
}

fn dir() -> Node {
    Node::Dir { durable: BTreeMap::new(), pending: Vec::new(), now: BTreeMap::new() }
}

/// How much of what was not durable is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keeps {
    Nothing,
    All,
    /// Whatever the die says, down to the sector.
    Some,
}

pub(super) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    inodes: HashMap<u64, usize>,
}

impl Disk {
    /// An empty directory that is durable.
    pub(super) fn new(root: &Path, inode: u64) -> Disk {
        Disk { root: root.to_path_buf(), nodes: vec![dir()], inodes: HashMap::from([(inode, 0)]) }
    }

    /// Returns the directory of a path, and the name in it. `None`: it is the root.
    fn place(&self, path: &Path) -> Option<(usize, String)> {
        let below = path.strip_prefix(&self.root).expect("only what lies below is noted");
        let mut parts: Vec<String> = below.components().map(name).collect();
        let last = parts.pop()?;
        let mut at = 0;
        for part in parts {
            let Node::Dir { now, .. } = &self.nodes[at] else {
                panic!("{} leads through a file", path.display())
            };
            at = now[&part];
        }
        Some((at, last))
    }

    fn name(&mut self, at: usize, naming: Naming) {
        let Node::Dir { pending, now, .. } = &mut self.nodes[at] else { panic!("a file has no names") };
        put(now, &naming);
        pending.push(naming);
    }

    fn make(&mut self, inode: u64, path: &Path, node: Node) {
        let Some((at, name)) = self.place(path) else { return };
        self.nodes.push(node);
        let made = self.nodes.len() - 1;
        self.inodes.insert(inode, made);
        self.name(at, Naming { gone: None, set: Some((name, made)) });
    }

    fn piece(&mut self, inode: u64, piece: Piece) {
        match &mut self.nodes[self.inodes[&inode]] {
            Node::File { pending, .. } => pending.push(piece),
            Node::Dir { .. } => panic!("a directory is not written to"),
        }
    }

    pub(super) fn change(&mut self, change: &Change) {
        match change {
            Change::File { inode, path } => {
                self.make(*inode, path, Node::File { durable: Vec::new(), pending: Vec::new() });
            }
            Change::Dir { inode, path } => self.make(*inode, path, dir()),
            Change::Write { inode, at, data } => self.piece(*inode, Piece::Write(*at, data.clone())),
            Change::Length { inode, len } => self.piece(*inode, Piece::Length(*len)),
            Change::Sync { inode } => match &mut self.nodes[self.inodes[inode]] {
                Node::File { durable, pending } => pending.drain(..).for_each(|piece| apply(durable, &piece)),
                Node::Dir { durable, pending, .. } => {
                    pending.drain(..).for_each(|naming| put(durable, &naming));
                }
            },
            Change::Remove { path } => {
                let (at, name) = self.place(path).expect("the root stays");
                self.name(at, Naming { gone: Some(name), set: None });
            }
            Change::Rename { from, to } => self.rename(from, to),
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let ((at, name), (other, new)) = (self.place(from).expect("below"), self.place(to).expect("below"));
        let Node::Dir { now, .. } = &self.nodes[at] else { panic!("a file has no names") };
        let moved = now[&name];
        assert_eq!(at, other, "what is renamed stays in its directory: {}", to.display());
        self.name(at, Naming { gone: Some(name), set: Some((new, moved)) });
    }

    /// Writes into `to` what is left when the power goes at this moment.
    pub(super) fn cut(&self, to: &Path, keeps: Keeps, dice: &mut StdRng) {
        self.write(0, to, keeps, dice);
    }

    fn write(&self, node: usize, to: &Path, keeps: Keeps, dice: &mut StdRng) {
        match &self.nodes[node] {
            Node::Dir { durable, pending, .. } => {
                let kept = match keeps {
                    Keeps::Nothing => 0,
                    Keeps::All => pending.len(),
                    Keeps::Some => dice.random_range(0..=pending.len()),
                };
                let mut names = durable.clone();
                pending[..kept].iter().for_each(|naming| put(&mut names, naming));
                fs::create_dir_all(to).expect("a directory");
                for (name, node) in names {
                    self.write(node, &to.join(name), keeps, dice);
                }
            }
            Node::File { durable, pending } => {
                let mut content = durable.clone();
                match keeps {
                    Keeps::Nothing => {}
                    Keeps::All => pending.iter().for_each(|piece| apply(&mut content, piece)),
                    Keeps::Some => tear(&mut content, pending, dice),
                }
                fs::write(to, content).expect("written");
            }
        }
    }
}

/// Keeps some of what was not synced: all of it, nothing, what was first, or sectors here and there.
fn tear(content: &mut Vec<u8>, pending: &[Piece], dice: &mut StdRng) {
    let (first, share) = (dice.random_range(0..=pending.len()), [0.0, 0.1, 0.5, 0.9, 1.0]);
    let share = share[dice.random_range(0..share.len())];
    for (n, piece) in pending.iter().enumerate() {
        match piece {
            _ if n < first => apply(content, piece),
            Piece::Length(_) if dice.random_bool(share) => apply(content, piece),
            Piece::Length(_) => {}
            Piece::Write(at, data) => {
                let end = at + data.len() as u64;
                let mut from = *at;
                while from < end {
                    let to = end.min((from / SECTOR + 1) * SECTOR);
                    if dice.random_bool(share) {
                        let part = data[index(from - at)..index(to - at)].to_vec();
                        apply(content, &Piece::Write(from, part));
                    }
                    from = to;
                }
            }
        }
    }
}

fn apply(content: &mut Vec<u8>, piece: &Piece) {
    match piece {
        Piece::Length(len) => content.resize(index(*len), 0),
        Piece::Write(at, data) => {
            let (at, end) = (index(*at), index(*at) + data.len());
            if content.len() < end {
                content.resize(end, 0);
            }
            content[at..end].copy_from_slice(data);
        }
    }
}

fn put(names: &mut BTreeMap<String, usize>, naming: &Naming) {
    if let Some(gone) = &naming.gone {
        names.remove(gone);
    }
    if let Some((name, node)) = &naming.set {
        names.insert(name.clone(), *node);
    }
}

fn index(of: u64) -> usize {
    usize::try_from(of).expect("small files")
}

fn name(part: Component<'_>) -> String {
    part.as_os_str().to_string_lossy().into_owned()
}
