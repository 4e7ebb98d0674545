//! A million nodes: how much memory they take, and how long commands, reads, views and snapshots
//! take on them, in time on a processor. `cargo bench -p ottla-znode`, or with the number of nodes behind `--`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ottla_jute::{Acl, Create, CreateMode, Delete, GetData, MultiOp, Request, SetData, Writer};
use ottla_znode::{
    Access, ChangeKind, Command, Entry, Operation, Owner, Requester, Rules, State, WatchMode,
    Watches,
};

const DATA: &[u8] = &[b'd'; 100];
/// Nodes have names of 12 bytes, a thousand in each folder.
const FOLDER: usize = 1000;
const OWNER: Owner = Owner {
    server: 1,
    attach: 1,
};

/// The resident memory of this process, in MiB.
fn resident_mib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<f64>().ok());
    pages.unwrap_or(0.0) * 4096.0 / f64::from(1 << 20)
}

fn folder(n: usize) -> String {
    format!("/bench/f{n:05}")
}

fn path(n: usize) -> String {
    format!("{}/node-{n:07}", folder(n / FOLDER))
}

fn write(request: Request) -> Command {
    Command::Write {
        requester: Requester {
            session: 1,
            owner: OWNER,
            cxid: 1,
            identities: Arc::from([]),
        },
        operation: Operation::try_from(request).expect("a change"),
    }
}

fn create(path: String, data: &'static [u8]) -> Command {
    write(Request::Create(Create {
        path,
        data: Some(Bytes::from_static(data)),
        acl: vec![Acl::open()],
        flags: CreateMode::Persistent.code(),
    }))
}

fn apply(state: &mut State, command: &Command) {
    let outcome = state.apply(1, 1, command, Rules::default());
    assert!(outcome.reply.is_ok(), "{command:?}: {:?}", outcome.reply);
}

/// The time that this thread has been running, so that others on the machine count less.
fn running() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = schedstat.split(' ').next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Prints how long one of many rounds takes.
fn time(what: &str, rounds: usize, mut round: impl FnMut(usize)) {
    let start = running();
    for n in 0..rounds {
        round(n);
    }
    let each = (running() - start).as_nanos() as f64 / rounds as f64;
    println!("{what:<44} {each:>9.0} ns");
}

fn once<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = running();
    let value = run();
    let took = running() - start;
    println!("{what:<44} {:>9.1} ms", took.as_secs_f64() * 1000.0);
    value
}

/// Numbers without an order, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

fn fill(nodes: usize) -> State {
    let mut state = State::new();
    let open = Command::OpenSession {
        session: 1,
        password: [0; 16],
        timeout_ms: 10_000,
        owner: OWNER,
    };
    apply(&mut state, &open);
    apply(&mut state, &create("/bench".into(), b""));
    for n in 0..nodes {
        if n % FOLDER == 0 {
            apply(&mut state, &create(folder(n / FOLDER), b""));
        }
        apply(&mut state, &create(path(n), DATA));
    }
    state
}

fn reads(state: &State, nodes: usize) {
    let access = Access {
        session: 1,
        identities: &[],
        rules: Rules::default(),
    };
    let random = &mut Random(7);
    let paths: Vec<String> = (0..100_000).map(|_| path(random.below(nodes))).collect();
    time("getData, any node", paths.len(), |n| {
        black_box(state.get_data(&paths[n], access).expect("there"));
    });
    time("getData, one node", 1_000_000, |_| {
        black_box(state.get_data(&paths[0], access).expect("there"));
    });
    let request = Request::GetData(GetData {
        path: paths[0].clone(),
        watch: false,
    });
    let mut out = BytesMut::with_capacity(1 << 12);
    time("getData, one node, with its response", 1_000_000, |_| {
        out.clear();
        let answered = state.answer(&request, access, &mut Writer::new(&mut out));
        answered.expect("there");
        black_box(&out);
    });
    time("exists, no node", 1_000_000, |_| {
        black_box(state.exists("/bench/f00000/nothing-here", access).is_err());
    });
    time("getChildren2 of a thousand", 2_000, |n| {
        out.clear();
        let request = Request::GetChildren2(ottla_jute::GetChildren {
            path: folder(n % (nodes / FOLDER).max(1)),
            watch: false,
        });
        let answered = state.answer(&request, access, &mut Writer::new(&mut out));
        answered.expect("there");
        black_box(&out);
    });
}

fn set(path: String) -> Command {
    write(Request::SetData(SetData {
        path,
        data: Some(Bytes::from_static(DATA)),
        version: -1,
    }))
}

fn changes(state: &mut State, nodes: usize) {
    let random = &mut Random(11);
    let sets: Vec<Command> = (0..200_000)
        .map(|_| set(path(random.below(nodes))))
        .collect();
    time("setData, any node", sets.len(), |n| apply(state, &sets[n]));
    time("setData, one node", sets.len(), |_| apply(state, &sets[0]));
    let creates: Vec<Command> = (0..100_000)
        .map(|n| create(format!("/bench/f00000/more-{n:06}"), DATA))
        .collect();
    time("create", creates.len(), |n| apply(state, &creates[n]));
    let deletes: Vec<Command> = (0..creates.len())
        .map(|n| {
            write(Request::Delete(Delete {
                path: format!("/bench/f00000/more-{n:06}"),
                version: -1,
            }))
        })
        .collect();
    time("delete", deletes.len(), |n| apply(state, &deletes[n]));
    let multi = write(Request::Multi(
        (0..10)
            .map(|n| {
                MultiOp::SetData(SetData {
                    path: path(n),
                    data: Some(Bytes::from_static(DATA)),
                    version: -1,
                })
            })
            .collect(),
    ));
    time("multi of ten setData", 50_000, |_| apply(state, &multi));
    let mut entry = BytesMut::new();
    Entry::begin(&mut entry, Rules::default(), 1);
    for command in &sets[..100] {
        command.encode(&mut entry);
    }
    let entry = entry.freeze();
    time("decode an entry of 100 setData", 10_000, |_| {
        black_box(Entry::decode(&entry).expect("valid"));
    });
    let mut out = BytesMut::with_capacity(1 << 12);
    time("encode a setData", 1_000_000, |_| {
        out.clear();
        sets[0].encode(&mut out);
    });
}

fn snapshots(state: &mut State, nodes: usize) {
    let digest = state.digest();
    let view = once("view", || state.view());
    let random = &mut Random(13);
    let sets: Vec<Command> = (0..50_000)
        .map(|_| set(path(random.below(nodes))))
        .collect();
    time(
        "setData, any node, while there is a view",
        sets.len(),
        |n| {
            apply(state, &sets[n]);
        },
    );
    println!(
        "{:<44} {:>9.1} MiB",
        "resident, with the view",
        resident_mib()
    );
    let chunks: Vec<Bytes> = once("snapshot written", || view.chunks().collect());
    let bytes: usize = chunks.iter().map(Bytes::len).sum();
    println!(
        "{:<44} {:>9.1} MiB",
        "the snapshot",
        bytes as f64 / f64::from(1 << 20)
    );
    once("view dropped", || drop(view));
    let restored = once("snapshot restored", || State::restore(&chunks));
    assert_eq!(restored.expect("valid").digest(), digest);
}

fn watches(nodes: usize) {
    let before = resident_mib();
    let mut watches = Watches::new();
    let count = nodes.min(1_000_000);
    let paths: Vec<String> = (0..count).map(path).collect();
    let paths_mib = resident_mib() - before;
    time("add a watch", count, |n| {
        watches.add(&paths[n], n as u64 % 1000, WatchMode::Data);
    });
    let each = (resident_mib() - before - paths_mib) * f64::from(1 << 20) / count as f64;
    println!("{:<44} {each:>9.0} B", "a watch");
    let acl: Arc<[Acl]> = [Acl::open()].into();
    let changes: Vec<_> = paths
        .iter()
        .map(|path| ottla_znode::Change {
            kind: ChangeKind::DataChanged,
            path: path.as_str().into(),
            acl: Arc::clone(&acl),
            parent_acl: None,
        })
        .collect();
    time("fire a watch", count, |n| {
        assert_eq!(watches.fire(&changes[n..=n]).len(), 1);
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let nodes = arguments.iter().find_map(|n| n.parse().ok());
    let nodes: usize = nodes.unwrap_or(1_000_000);
    if arguments.iter().any(|argument| argument == WATCHES) {
        watches(nodes);
        return;
    }
    let before = resident_mib();
    let mut state = once("nodes created, and the requests for it", || fill(nodes));
    let mib = resident_mib() - before;
    println!("{:<44} {mib:>9.1} MiB", "resident, for the nodes");
    reads(&state, nodes);
    changes(&mut state, nodes);
    snapshots(&mut state, nodes);
    // In a process of its own, whose memory nothing else has used before.
    let program = std::env::current_exe().expect("this program");
    let run = std::process::Command::new(program)
        .args([WATCHES, &nodes.to_string()])
        .status();
    assert!(run.expect("it runs").success());
}

/// The argument that measures watches only.
const WATCHES: &str = "watches";
